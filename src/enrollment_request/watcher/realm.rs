//! The links of one realm that are out, and which call follows them best. Pure: time is an argument.
//!
//! A call costs the same whether it reads one job or a page of all jobs. So a round of pages is cheaper as soon as more
//! links are due than the list has pages. A page only shows which jobs may have changed: each of these is read by its id,
//! and only that decides. A job that no page shows is read too. One call in four is for these, and for jobs that were not
//! read by their ids for half an hour, so that no list, however wrong or long, hides a job for ever.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::budget::Budget;
use super::link::{Link, NoPage, Shown, ShownPage};
use crate::api::ProviderConfigRef;
use crate::enrollment_request::job_state::is_outstanding;
use crate::enrollment_request::plan::poll_interval;
use crate::reconcile::ObjectKey;
use crate::reconcile::times::Times;

/// The delay before the list is tried again after it failed. It doubles up to the longest one, which is also how long an
/// estimate of its pages counts.
const LIST_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// The delay before a job is read again after that failed. It doubles up to the resync interval.
const READ_AGAIN: Duration = Duration::from_secs(30);
/// The delay before a page is asked for again that was not asked for. A turn is reserved for longer than that.
const PAGE_AGAIN: Duration = Duration::from_secs(2);
/// Every so many calls, a job is read that no page shows, or that was not read by its id for the longest time.
const OLDEST_EACH: u32 = 4;
/// How long that must be, unless no page shows it.
const UNREAD: Duration = Duration::from_secs(1800);
/// The most single reads that are allowed at once.
const MOST_READS: usize = 100;
/// The jobs on a page, unless a service has longer ones.
const PAGE_SIZE: u64 = 200;
/// A round ends after so many points: a page that waits for its turn has one, and one whose provider config may not call
/// has ten.
const MOST_POINTS: u32 = 30;

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
    /// The pages of the list, and until when that counts if it is an estimate.
    pages: Option<(u64, Option<Instant>)>,
    list_failures: u32,
    no_list_until: Option<Instant>,
    /// Counts calls.
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
    /// When its job was last read by its id.
    read_at: Option<Instant>,
    /// Failed reads in a row.
    failures: u32,
    seen: Seen,
}

/// What the pages say of a job since it was last read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// Nothing, or that it is unchanged.
    #[default]
    Nothing,
    /// They do not show it, or cannot tell whether its link has expired.
    Unclear,
    /// It may have changed.
    Changed,
}

/// A round through the pages of the list, all through one provider config.
#[derive(Debug, Default)]
struct Round {
    through: Option<(ObjectKey, ProviderConfigRef)>,
    token: Option<String>,
    tokens: HashSet<String>,
    pages: u64,
    /// The jobs of the longest page.
    longest: u64,
    /// The pages that cost as much as reading each due job by its id.
    most: u64,
    /// The ids of the followed jobs that it showed.
    shown: HashSet<String>,
    in_flight: bool,
    again_at: Option<Instant>,
    points: u32,
}

impl Followed {
    /// Whether its job should be read.
    fn is_due(&self, now: Instant) -> bool {
        !self.may_read && self.due <= now
    }
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
                let (may_read, read_at, seen) = (false, None, Seen::Nothing);
                let followed = Followed { link, due, since: now, may_read, read_at, failures: 0, seen };
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

    /// Whether nothing is left to do or to remember.
    pub fn is_idle(&mut self, now: Instant) -> bool {
        self.links.is_empty() && self.round.is_none() && self.budget.is_full(now)
    }

    /// The request with this uid read this job by its id, with an answer (`answered`) or without one.
    pub fn read(&mut self, uid: &str, job_id: &str, answered: bool, times: &Times, now: Instant) {
        let Some(followed) = self.links.get_mut(uid).filter(|followed| followed.link.job_id == job_id) else { return };
        if !std::mem::take(&mut followed.may_read) {
            self.budget.owe(now);
        }
        if answered {
            (followed.failures, followed.seen, followed.read_at) = (0, Seen::Nothing, Some(now));
            // An answer says more precisely when it is due, before this reconcile ends.
            followed.due = now + times.job_poll_min;
        } else {
            followed.put_off(times, now);
        }
    }

    /// The request with this uid may read its job, but cannot: its provider config may not call.
    pub fn held(&mut self, uid: &str, times: &Times, now: Instant) {
        if let Some(followed) = self.links.get_mut(uid).filter(|followed| followed.may_read) {
            followed.may_read = false;
            followed.put_off(times, now);
            self.budget.give_back();
        }
    }

    /// What to do now. Until it is done, the same is not returned again.
    pub fn next(&mut self, now: Instant) -> Next {
        match &self.round {
            Some(Round { in_flight: true, .. }) => return Next::Wait(None),
            Some(Round { again_at: Some(at), .. }) if *at > now => return Next::Wait(Some(*at)),
            Some(_) => {}
            None => {
                let due = || self.links.values().filter(|followed| followed.is_due(now));
                if due().next().is_none() {
                    return Next::Wait(self.links.values().filter(|it| !it.may_read).map(|it| it.due).min());
                }
                let most = count(due().filter(|followed| followed.seen == Seen::Nothing));
                let pages = self.pages.filter(|(_, until)| until.is_none_or(|until| now < until));
                let may_list = self.no_list_until.is_none_or(|until| until <= now);
                if may_list && most > pages.map_or(1, |(pages, _)| pages) {
                    self.round = Some(Round { most, ..Round::default() });
                }
            }
        }
        let mut reads = Vec::new();
        while reads.len() < MOST_READS && self.budget.take(now) {
            self.turns = self.turns.wrapping_add(1);
            if let Some(request) = self.allow_one(now) {
                reads.push(request);
                continue;
            }
            if reads.is_empty()
                && let Some(page) = self.page()
            {
                return page;
            }
            self.turns = self.turns.wrapping_sub(1);
            self.budget.give_back();
            break;
        }
        if reads.is_empty() { Next::Wait(Some(self.budget.next_at())) } else { Next::Read(reads) }
    }

    /// Allows a single read, unless a page is next: of a job that may have changed, of the youngest link, since people
    /// click within minutes, and every now and then of the job that was not read for the longest time.
    fn allow_one(&mut self, now: Instant) -> Option<ObjectKey> {
        let least = if self.round.is_some() { Seen::Changed } else { Seen::Nothing };
        let of_the_oldest = self.turns.is_multiple_of(OLDEST_EACH).then(|| self.oldest(now)).flatten();
        let followed = match of_the_oldest.and_then(|uid| self.links.get_mut(&uid)) {
            Some(oldest) => oldest,
            None => {
                // A job without a create time counts as young.
                let age = |followed: &Followed| followed.link.create_time.unwrap_or(Timestamp::MAX);
                let due = self.links.values_mut().filter(|followed| followed.is_due(now) && followed.seen >= least);
                due.max_by_key(|followed| (followed.seen == Seen::Changed, age(followed), followed.since))?
            }
        };
        followed.may_read = true;
        Some(followed.link.request.clone())
    }

    /// The uid of the request whose job waits for the longest time to be read by its id.
    fn oldest(&self, now: Instant) -> Option<String> {
        let unread_since = |followed: &Followed| followed.read_at.unwrap_or(followed.since);
        let is_old = |followed: &Followed| now.saturating_duration_since(unread_since(followed)) >= UNREAD;
        let due = self.links.iter().filter(|(_, followed)| followed.is_due(now));
        let due = due.filter(|(_, followed)| followed.seen == Seen::Unclear || is_old(followed));
        due.min_by_key(|(_, followed)| (unread_since(followed), followed.due)).map(|(uid, _)| uid.clone())
    }

    /// The next page of the round.
    fn page(&mut self) -> Option<Next> {
        let round = self.round.as_mut()?;
        if round.through.is_none() {
            // Another one than the last time, since the provider config of one link may be broken.
            let from = usize::try_from(self.turns).unwrap_or_default() % self.links.len().max(1);
            let mut links = self.links.values().skip(from).chain(self.links.values());
            round.through = links.find(|it| !it.may_read).map(|it| (it.link.request.clone(), it.link.provider.clone()));
        }
        let Some((request, provider)) = round.through.clone() else {
            self.round = None;
            return None;
        };
        (round.in_flight, round.again_at) = (true, None);
        Some(Next::Page { token: round.token.clone(), request, provider })
    }

    /// A page was read.
    pub fn listed(&mut self, page: ShownPage, times: &Times, (now, time): (Instant, Timestamp)) {
        let Some(mut round) = self.round.take() else { return };
        let ShownPage { jobs, total, next, .. } = page;
        round.pages += 1;
        round.longest = round.longest.max(u64::try_from(jobs.len()).unwrap_or(u64::MAX));
        let by_id: HashMap<&str, &Shown> = jobs.iter().map(|shown| (shown.job_id.as_str(), shown)).collect();
        for followed in self.links.values_mut().filter(|followed| !followed.may_read) {
            let Some(shown) = by_id.get(followed.link.job_id.as_str()) else { continue };
            round.shown.insert(shown.job_id.clone());
            followed.shown(shown, times, (now, time));
        }
        self.list_failures = 0;
        let Some(token) = next else { return self.end_round(&round, round.pages, now) };
        if !round.tokens.insert(token.clone()) {
            return self.no_list(now);
        }
        // As far as the service says how long its list is.
        let pages = total.map_or(0, |total| total.div_ceil(round.longest.max(PAGE_SIZE))).max(round.pages + 1);
        let is_left =
            |it: &&Followed| it.is_due(now) && it.seen == Seen::Nothing && !round.shown.contains(&it.link.job_id);
        if count(self.links.values().filter(is_left)) <= pages - round.pages || round.pages >= round.most {
            // Single reads are cheaper now.
            return self.end_round(&round, pages, now);
        }
        (round.token, round.in_flight, round.points) = (Some(token), false, 0);
        self.round = Some(round);
    }

    /// A page was not read.
    pub fn not_listed(&mut self, why: NoPage, now: Instant) {
        match why {
            NoPage::NotItsTurn | NoPage::NotAllowed => {
                self.budget.give_back();
                let Some(round) = &mut self.round else { return };
                (round.in_flight, round.again_at) = (false, Some(now + PAGE_AGAIN));
                if why == NoPage::NotItsTurn {
                    round.points += 1;
                } else {
                    // Its tokens are of no use to another provider config.
                    let (most, points, again_at) = (round.most, round.points + 10, round.again_at);
                    *round = Round { most, points, again_at, ..Round::default() };
                }
                if round.points >= MOST_POINTS {
                    self.no_list(now);
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

    /// Ends a round of a list with so many pages, all of which it may have read.
    fn end_round(&mut self, round: &Round, pages: u64, now: Instant) {
        let is_whole = pages == round.pages;
        self.pages = Some((pages, (!is_whole).then_some(now + LIST_AGAIN.1)));
        // A list may lag, and shift while it is read. Only a read by id says that a job is gone.
        let is_missed = |it: &&mut Followed| it.is_due(now) && !round.shown.contains(&it.link.job_id);
        for followed in self.links.values_mut().filter(is_missed).filter(|_| is_whole) {
            followed.seen = followed.seen.max(Seen::Unclear);
        }
    }
}

impl Followed {
    /// A page shows its job.
    fn shown(&mut self, shown: &Shown, times: &Times, (now, time): (Instant, Timestamp)) {
        let link = &mut self.link;
        link.create_time = link.create_time.or(shown.create_time);
        if !link.is_as(shown) {
            (self.seen, self.due) = (Seen::Changed, self.due.min(now));
        } else if self.due <= now
            && !link.expired
            && is_outstanding(link.state.as_deref())
            && link.expire_time.is_some_and(|at| at < time)
        {
            // Only a read by id tells the time of the service, by which a link ends.
            self.seen = self.seen.max(Seen::Unclear);
        } else {
            let known = now.saturating_duration_since(self.since);
            self.seen = Seen::Nothing;
            self.due = now + poll_interval::of(link.create_time, link.expire_time, known, times, time);
        }
    }

    /// Its job could not be read.
    fn put_off(&mut self, times: &Times, now: Instant) {
        self.due = now + doubled(READ_AGAIN.min(times.job_poll_max), self.failures).min(times.resync);
        self.failures = self.failures.saturating_add(1);
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times))
}

#[cfg(test)]
mod tests;
