//! What the pages of a realm's identities say. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::IDENTITY_AGE;
use super::reader::{AGAIN, Reader};
use crate::beyond_identity::types::Identity;

/// A page of identities.
#[derive(Clone, Debug)]
pub struct IdentityPage {
    /// The identities.
    pub identities: Vec<Identity>,
    /// How many identities all pages have, as the service says.
    pub total: Option<u64>,
    /// The token of the next page.
    pub next: Option<String>,
}

/// The identities that pages showed, and the walk through the pages.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: HashMap<String, (Identity, Instant)>,
    walk: Option<Walk>,
    reader: Reader,
    /// The number of pages when that was last known.
    pages: Option<(u64, Instant)>,
}

/// A walk through the pages, one at a time.
#[derive(Debug)]
struct Walk {
    began: Instant,
    token: Option<String>,
    tokens: HashSet<String>,
    pages: u64,
    /// Once it has ended: whether it saw as many identities as the service says it has.
    ended_complete: Option<bool>,
}

impl Identities {
    /// The token of the page to read, unless none is to be read.
    pub fn begin(&mut self, most: u64, age: Duration, now: Instant) -> Option<Option<String>> {
        let is_within = |at: Instant, age: Duration| now.saturating_duration_since(at) < age;
        if !self.reader.may_begin(now) {
            return None;
        }
        // A walk that has not ended goes on, so that one request in a hurry does not keep it from ending.
        let is_old =
            |walk: &Walk| !is_within(walk.began, if walk.ended_complete.is_some() { age } else { IDENTITY_AGE / 2 });
        self.walk.take_if(|walk| is_old(walk));
        let known = self.pages.filter(|(_, at)| is_within(*at, IDENTITY_AGE)).map_or(1, |(pages, _)| pages);
        let walk = self.walk.get_or_insert_with(|| Walk {
            began: now,
            token: None,
            tokens: HashSet::new(),
            pages: 0,
            ended_complete: None,
        });
        if walk.ended_complete.is_some() || known.max(walk.pages + 1) > most {
            return None;
        }
        self.reader.begin(now);
        Some(walk.token.clone())
    }

    pub fn end(&mut self, page: Option<IdentityPage>, now: Instant) {
        self.reader.end();
        let Some(walk) = &mut self.walk else { return };
        let Some(IdentityPage { identities, total, next }) = page else {
            self.reader.end_for(AGAIN, now);
            self.walk = None;
            return;
        };
        walk.pages += 1;
        let on_page = identities.len() as u64;
        self.known.extend(identities.into_iter().map(|identity| (identity.id.clone(), (identity, now))));
        match next {
            Some(token) if on_page > 0 && walk.tokens.insert(token.clone()) => {
                let promised = total.map_or(0, |total| total.div_ceil(on_page));
                self.pages = Some((promised.max(walk.pages + 1), now));
                walk.token = Some(token);
            }
            next => {
                self.pages = Some((walk.pages, now));
                let seen = self.known.values().filter(|(_, at)| *at >= walk.began).count() as u64;
                let is_complete = next.is_none() && total.is_some_and(|total| seen >= total);
                walk.ended_complete = Some(is_complete);
            }
        }
    }

    /// An identity and when it was read, if that is less than `age` ago.
    pub fn get(&self, id: &str, age: Duration, now: Instant) -> Option<(Identity, Instant)> {
        self.known.get(id).filter(|(_, at)| now.saturating_duration_since(*at) < age).cloned()
    }

    /// Forgets what is too old.
    pub fn forget_old(&mut self, now: Instant) {
        self.known.retain(|_, (_, at)| now.saturating_duration_since(*at) < IDENTITY_AGE);
    }

    /// Whether a complete walk that began less than `age` ago did not see an identity.
    pub fn lacks(&self, id: &str, age: Duration, now: Instant) -> bool {
        self.walk.as_ref().is_some_and(|walk| {
            walk.ended_complete == Some(true)
                && now.saturating_duration_since(walk.began) < age
                && self.known.get(id).is_none_or(|(_, at)| *at < walk.began)
        })
    }

    pub fn forget(&mut self, id: &str) {
        self.known.remove(id);
        // It is not absent, but unknown.
        if let Some(walk) = &mut self.walk {
            walk.ended_complete = walk.ended_complete.map(|_| false);
        }
    }
}
