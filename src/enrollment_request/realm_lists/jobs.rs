//! The list of all jobs of a realm. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::reader::{AGAIN, Reader};
use super::{IDENTITY_AGE, JOBS_AGE, MOST_PAGES};
use crate::beyond_identity::types::CredentialBindingJob;

/// An empty list, or one that took too long, is not read again for so long.
const AGAIN_EMPTY: Duration = Duration::from_secs(2);
/// How many recent needs of a list are remembered.
const MOST_NEEDS: usize = 1000;

/// A complete list of the jobs of a realm.
#[derive(Clone, Debug)]
pub struct JobSet {
    /// When its first page was requested.
    pub began: Instant,
    /// The service's time of the first page, or this machine's if that is earlier.
    pub server_time: Option<Timestamp>,
    /// The service's time of the first page.
    pub listed_at: Option<Timestamp>,
    /// The jobs, by the id of their identity.
    pub jobs: HashMap<String, Vec<CredentialBindingJob>>,
    /// The number of pages.
    pub pages: u64,
}

/// Why a list was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// It has so many pages, which is more than it is worth.
    TooLong(u64),
    /// A page was not read, or the list is not usable.
    Failed,
}

/// The jobs of one identity in such a list.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityJobs {
    /// The jobs.
    pub jobs: Vec<CredentialBindingJob>,
    /// The service's time of the first page, or this machine's if that is earlier.
    pub server_time: Option<Timestamp>,
    /// The service's time of the first page.
    pub listed_at: Option<Timestamp>,
}

/// The last list of a realm, and what it is worth to read the next one.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    set: Option<JobSet>,
    pub reader: Reader,
    /// The number of pages when that was last known.
    pages: Option<(u64, Instant)>,
    /// When requests needed a list within the last [`JOBS_AGE`].
    needs: VecDeque<Instant>,
}

/// The calls for a list of so many pages. A list with several pages is read twice, and the service must know an identity.
pub(super) fn calls_for(pages: u64) -> u64 {
    1 + if pages > 1 { 2 * pages } else { 1 }
}

impl Jobs {
    /// A request needs a list.
    pub fn needed(&mut self, now: Instant) {
        self.needs.push_back(now);
        let is_old = |at: &Instant| now.saturating_duration_since(*at) > JOBS_AGE;
        while self.needs.len() > MOST_NEEDS || self.needs.front().is_some_and(is_old) {
            self.needs.pop_front();
        }
        self.forget_old(now);
    }

    /// Forgets a list that justifies nothing any more.
    pub fn forget_old(&mut self, now: Instant) {
        self.set.take_if(|set| now.saturating_duration_since(set.began) > JOBS_AGE);
    }

    pub fn needed_lately(&self) -> usize {
        self.needs.len()
    }

    pub fn began(&self) -> Option<Instant> {
        self.set.as_ref().map(|set| set.began)
    }

    /// Whether the list is so young that the next one is not read yet, unless it is needed for requests that came later.
    pub fn is_young(&self, now: Instant) -> bool {
        self.began().is_some_and(|began| now.saturating_duration_since(began) <= JOBS_AGE / 2)
    }

    /// Whether a request that was first seen at `since` can use the list for a good while.
    pub fn is_fresh(&self, since: Instant, now: Instant) -> bool {
        self.is_young(now) && self.began().is_some_and(|began| began > since)
    }

    /// The most pages that cost no more than `most_calls`, if the list has no more than that as far as is known.
    pub fn worth(&self, most_calls: usize, now: Instant) -> Option<u64> {
        let most_calls = most_calls as u64;
        let known = self.pages.filter(|(_, at)| now.saturating_duration_since(*at) < IDENTITY_AGE);
        let affordable =
            if most_calls >= calls_for(2) { (most_calls - 1) / 2 } else { u64::from(most_calls >= calls_for(1)) };
        let pages = known.map_or(1, |(pages, _)| pages).max(1);
        (pages <= affordable).then_some(affordable.min(MOST_PAGES))
    }

    pub fn end(&mut self, read: Result<JobSet, NotRead>, now: Instant) {
        self.reader.end();
        match read {
            Ok(set) if now.saturating_duration_since(set.began) > JOBS_AGE || set.jobs.is_empty() => {
                self.reader.end_for(AGAIN_EMPTY, now);
            }
            Ok(set) => {
                self.pages = Some((set.pages, now));
                self.set = Some(set);
            }
            Err(NotRead::TooLong(pages)) => self.pages = Some((pages, now)),
            Err(NotRead::Failed) => self.reader.end_for(AGAIN, now),
        }
    }

    /// The jobs of an identity, for a request that was first seen at `since`.
    pub fn of(&self, identity_id: &str, since: Instant, now: Instant) -> Option<IdentityJobs> {
        let set = self.set.as_ref()?;
        if set.began <= since || now.saturating_duration_since(set.began) > JOBS_AGE {
            return None;
        }
        let jobs = set.jobs.get(identity_id).cloned().unwrap_or_default();
        Some(IdentityJobs { jobs, server_time: set.server_time, listed_at: set.listed_at })
    }
}
