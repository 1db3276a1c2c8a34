//! The links of one realm that are out, and which call follows them best. Pure: time is an argument.
//!
//! A call costs the same whether it reads one job or a page of all jobs. So a round of pages is cheaper as soon as more
//! links are due than the list has pages. A page only shows which jobs may have changed: each of these is read by its id,
//! and only that decides. A job that no page shows is read too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::budget::Budget;
use super::link::{Link, NoPage, Shown, ShownPage};
use crate::api::ProviderConfigRef;
use crate::enrollment_request::plan::poll_interval;
use crate::reconcile::ObjectKey;
use crate::reconcile::times::Times;

/// The delay before the list is tried again after it failed. It doubles up to the longest one.
const LIST_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// The delay before a job is read again after that failed. It doubles up to the resync interval.
const READ_AGAIN: Duration = Duration::from_secs(30);
/// Every so many single reads, the link that waits for the longest time is next instead of the youngest one.
const OLDEST_EACH: u32 = 4;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until then; `None`: until something changes.
    Wait(Option<Instant>),
    /// The jobs of these requests may be read.
    Read(Vec<ObjectKey>),
    /// Read the page with this token, through the provider config of this request.
    Page { token: Option<String>, request: ObjectKey, provider: ProviderConfigRef },
}

/// The links of one realm.
#[derive(Debug)]
pub(super) struct Realm {
    budget: Budget,
    /// By the uid of the request. Two of them may name the same job, if a status was edited.
    links: BTreeMap<String, Followed>,
    round: Option<Round>,
    /// The pages of the list when it was last read.
    pages: Option<u64>,
    list_failures: u32,
    no_list_until: Option<Instant>,
    /// Counts single reads and rounds.
    turns: u32,
}

/// A link and what is known of it here.
#[derive(Debug)]
struct Followed {
    link: Link,
    due: Instant,
    since: Instant,
    /// Whether its job may be read now.
    may_read: bool,
    /// Failed reads in a row.
    failures: u32,
    /// The last round did not show its job.
    unlisted: bool,
}

/// A round through the pages of the list.
#[derive(Debug, Default)]
struct Round {
    token: Option<String>,
    tokens: HashSet<String>,
    pages: u64,
    /// The pages that cost as much as reading each due job by its id.
    most: u64,
    shown: HashSet<String>,
    in_flight: bool,
    again_at: Option<Instant>,
}

impl Realm {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            budget: Budget::new(per_minute, now),
            links: BTreeMap::new(),
            round: None,
            pages: None,
            list_failures: 0,
            no_list_until: None,
            turns: 0,
        }
    }

    /// Follows a link from now on, or updates what is known of it.
    pub fn follow(&mut self, uid: &str, link: Link, now: Instant) {
        let due = link.due;
        match self.links.get_mut(uid).filter(|followed| followed.link.job_id == link.job_id) {
            Some(followed) => {
                // A round may have shown the job since it was read.
                followed.due = due.map_or(followed.due, |due| due.max(followed.due));
                followed.link = link;
            }
            None => {
                let due = due.unwrap_or(now);
                let followed = Followed { link, due, since: now, may_read: false, failures: 0, unlisted: false };
                self.links.insert(uid.to_owned(), followed);
            }
        }
    }

    /// Follows a link no longer.
    pub fn leave(&mut self, uid: &str) {
        self.links.remove(uid);
    }

    /// Whether the request with this uid may read this job now.
    pub fn may_read(&self, uid: &str, job_id: &str) -> bool {
        self.links.get(uid).is_some_and(|followed| followed.may_read && followed.link.job_id == job_id)
    }

    /// The request with this uid read this job by its id, with an answer (`answered`) or without one.
    pub fn read(&mut self, uid: &str, job_id: &str, answered: bool, times: &Times, now: Instant) {
        let Some(followed) = self.links.get_mut(uid).filter(|followed| followed.link.job_id == job_id) else { return };
        if !std::mem::take(&mut followed.may_read) {
            self.budget.owe(now);
        }
        followed.unlisted = false;
        followed.failures = if answered { 0 } else { followed.failures.saturating_add(1) };
        let again = if answered {
            times.job_poll_min
        } else {
            doubled(READ_AGAIN.min(times.job_poll_max), followed.failures - 1).min(times.resync)
        };
        // An answer says more precisely when it is due, before this reconcile ends.
        followed.due = now + again;
    }

    /// What to do now. Until it is done, the same is not returned again.
    pub fn next(&mut self, now: Instant) -> Next {
        if let Some(round) = &self.round {
            if round.in_flight {
                return Next::Wait(None);
            }
            if let Some(at) = round.again_at.filter(|at| *at > now) {
                return Next::Wait(Some(at));
            }
            return self.page(now);
        }
        let waiting = |followed: &&Followed| !followed.may_read;
        let (mut due, mut on_a_page) = (0_u64, 0_u64);
        let mut first = None;
        for followed in self.links.values().filter(waiting) {
            if followed.due > now {
                first = Some(first.map_or(followed.due, |first: Instant| first.min(followed.due)));
                continue;
            }
            due += 1;
            on_a_page += u64::from(!followed.unlisted);
        }
        if due == 0 {
            return Next::Wait(first);
        }
        let may_list = self.no_list_until.is_none_or(|until| until <= now);
        if may_list && on_a_page > self.pages.unwrap_or(1) {
            self.round = Some(Round { most: on_a_page, ..Round::default() });
            return self.page(now);
        }
        let mut reads = Vec::new();
        while self.budget.take(now) {
            let Some(request) = self.allow_one(now) else {
                self.budget.give_back();
                break;
            };
            reads.push(request);
        }
        if reads.is_empty() { Next::Wait(Some(self.budget.next_at())) } else { Next::Read(reads) }
    }

    /// Allows a single read: of the youngest link, since people click within minutes, but not always.
    fn allow_one(&mut self, now: Instant) -> Option<ObjectKey> {
        self.turns = self.turns.wrapping_add(1);
        let due = self.links.values_mut().filter(|followed| !followed.may_read && followed.due <= now);
        let next = if self.turns.is_multiple_of(OLDEST_EACH) {
            due.min_by_key(|followed| followed.due)
        } else {
            // Without a create time, it is as old as this process has known it.
            due.max_by_key(|followed| (followed.link.create_time, followed.since))
        };
        let followed = next?;
        followed.may_read = true;
        Some(followed.link.request.clone())
    }

    /// The next page of the round, if the budget has a call for it.
    fn page(&mut self, now: Instant) -> Next {
        if !self.budget.take(now) {
            return Next::Wait(Some(self.budget.next_at()));
        }
        self.turns = self.turns.wrapping_add(1);
        // Through the provider config of one of the links, and of another one the next time, since one of them may be broken.
        let any = usize::try_from(self.turns).unwrap_or_default() % self.links.len().max(1);
        let Some((followed, round)) = self.links.values().nth(any).zip(self.round.as_mut()) else {
            self.round = None;
            self.budget.give_back();
            return Next::Wait(None);
        };
        (round.in_flight, round.again_at) = (true, None);
        let Link { request, provider, .. } = followed.link.clone();
        Next::Page { token: round.token.clone(), request, provider }
    }

    /// A page was read. Returns the requests whose jobs may have changed; they may be read now.
    pub fn listed(&mut self, page: ShownPage, times: &Times, (now, time): (Instant, Timestamp)) -> Vec<ObjectKey> {
        let Some(mut round) = self.round.take() else { return Vec::new() };
        let ShownPage { jobs, total, next, .. } = page;
        let size = u64::try_from(jobs.len()).unwrap_or(u64::MAX).max(1);
        round.pages += 1;
        let mut changed = Vec::new();
        let by_id: HashMap<&str, &Shown> = jobs.iter().map(|shown| (shown.job_id.as_str(), shown)).collect();
        for followed in self.links.values_mut() {
            let Some(shown) = by_id.get(followed.link.job_id.as_str()) else { continue };
            let link = &mut followed.link;
            link.create_time = link.create_time.or(shown.create_time);
            round.shown.insert(shown.job_id.clone());
            // Only a read by id tells the time of the service, by which a link ends.
            let has_expired = !link.expired && followed.due <= now && link.expire_time.is_some_and(|at| at < time);
            if link.is_as(shown) && !has_expired {
                let known = now.saturating_duration_since(followed.since);
                followed.due = now + poll_interval::of(link.create_time, link.expire_time, known, times, time);
            } else if !followed.may_read {
                followed.may_read = true;
                self.budget.owe(now);
                changed.push(link.request.clone());
            }
            followed.unlisted = false;
        }
        self.list_failures = 0;
        let Some(token) = next else {
            self.end_round(&round, round.pages, now);
            return changed;
        };
        if !round.tokens.insert(token.clone()) {
            self.no_list(now);
            return changed;
        }
        // As far as the service says how long its list is.
        let pages = total.map_or(0, |total| total.div_ceil(size)).max(round.pages + 1);
        let is_shown = |followed: &Followed| round.shown.contains(&followed.link.job_id);
        let due = self.links.values().filter(|it| !it.may_read && it.due <= now && !is_shown(it));
        let due = u64::try_from(due.count()).unwrap_or(u64::MAX);
        if due <= pages - round.pages || round.pages >= round.most {
            // Single reads are cheaper now.
            self.end_round(&round, pages, now);
            return changed;
        }
        (round.token, round.in_flight) = (Some(token), false);
        self.round = Some(round);
        changed
    }

    /// A page was not read.
    pub fn not_listed(&mut self, why: NoPage, now: Instant) {
        match why {
            NoPage::NotAsked => {
                self.budget.give_back();
                if let Some(round) = &mut self.round {
                    (round.in_flight, round.again_at) = (false, Some(now + Duration::from_secs(2)));
                }
            }
            NoPage::Failed => self.no_list(now),
            NoPage::NoList => {
                self.list_failures = u32::MAX;
                self.no_list(now);
            }
        }
    }

    /// Reads jobs one by one for a while.
    fn no_list(&mut self, now: Instant) {
        self.round = None;
        let (first, longest) = LIST_AGAIN;
        self.no_list_until = Some(now + doubled(first, self.list_failures).min(longest));
        self.list_failures = self.list_failures.saturating_add(1);
    }

    fn end_round(&mut self, round: &Round, pages: u64, now: Instant) {
        self.pages = Some(pages);
        let whole = pages == round.pages;
        for followed in self.links.values_mut() {
            // A list may lag, and shift while it is read. Only a read by id says that a job is gone.
            followed.unlisted = whole && followed.due <= now && !round.shown.contains(&followed.link.job_id);
        }
    }
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}

#[cfg(test)]
mod tests;
