//! Lists of a whole realm that serve many requests: one request reads the pages, and others that wait use them. So where
//! many wait, an enrolment costs little more than the call that sends the email.
//!
//! These rules decide whether such a list of jobs may justify a send. A request that they exclude lists the jobs of its
//! identity alone.
//!
//! - **It began after this process first saw the request, and at most [`JOBS_AGE`] ago.** So it shows what a list at the
//!   moment of the request would show, such as the job of an earlier request.
//! - **It is complete**: all its pages were read, each with an identity for each job, and as many jobs as the service says
//!   it has. A list with several pages is read twice, since items shift between pages. An empty list justifies nothing: the
//!   service may not know the wildcard for all identities.
//! - **The service that answered knows an identity of the realm**, which is read after the last page. A list of another service
//!   would look empty.
//! - **This process sent nothing to the identity within the last hour.** (`recent_jobs.rs` knows.) The list could be from
//!   before that.
//! - It is for a first send without a doubt. The earliest create time of the send's own job is that of the first page.
//!
//! What a list says of an identity may be older ([`IDENTITY_AGE`]), but not much older than the request. The service checks the
//! identity again when it creates the job, and sends the email to the address that it has then. What would stop a send is
//! read alone first, and so is whether the identity exists. Only a request that reports such a problem already believes a list
//! that still shows it. The list of jobs that follows must not be that of another service, so the service must have known
//! an identity of the realm within the last [`RECOGNIZED`].
//!
//! Only requests with the same provider config share lists.

mod identities;
mod jobs;
mod reader;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::api::{EnrollmentRequest, ProviderConfigKey};
use crate::beyond_identity::types::Identity;
use crate::reconcile::Destination;
use identities::Identities;
pub use identities::IdentityPage;
use jobs::Jobs;
pub use jobs::{IdentityJobs, JobSet, NotRead};

/// How long a list of jobs may justify sends, from its first page on.
pub const JOBS_AGE: Duration = Duration::from_secs(10);
/// How long it counts what a list says of an identity that a request names by its id. After half of that, it is read again.
pub const IDENTITY_AGE: Duration = Duration::from_secs(7200);
/// How much older than a request it may be. Somebody may have enrolled in between.
const BEFORE_THE_REQUEST: Duration = Duration::from_secs(60);
/// How long a service counts as that of the realm, after it knew one of its identities: the answer to a read by id or to a send.
pub const RECOGNIZED: Duration = Duration::from_secs(10);
/// The most pages of a list.
pub const MOST_PAGES: u64 = 100;
/// The fewest requests that wait, or came lately, for which identities are listed.
const LEAST_EXPECTED: usize = 20;
/// Lists are forgotten after so long without a new request, if none waits.
const UNUSED: Duration = Duration::from_secs(60);
/// How many arrivals are remembered.
const MOST_ARRIVALS: usize = 1000;
/// So many requests wait for each call that a list of a realm costs.
const WAITING_FOR_EACH_CALL: usize = 4;
/// So many lists of single identities were needed lately for each call that a list of a realm costs.
const LISTS_FOR_EACH_CALL: usize = 2;

/// When requests share lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// When that takes fewer calls.
    WhenCheaper,
    /// Always. For tests.
    Always,
}

/// Through which provider config a realm is listed, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListedRealm {
    /// The provider config.
    pub provider: ProviderConfigKey,
    /// The realm.
    pub destination: Destination,
}

/// The lists of all realms.
pub struct RealmLists {
    sharing: Sharing,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    realms: HashMap<ListedRealm, Lists>,
}

/// The lists of one realm.
#[derive(Default)]
struct Lists {
    jobs: Jobs,
    identities: Identities,
    /// When a request began whose answer showed that the service knows an identity.
    recognized: Option<Instant>,
}

impl Lists {
    fn is_recognized(&self, now: Instant) -> bool {
        self.recognized.is_some_and(|at| now.saturating_duration_since(at) <= RECOGNIZED)
    }
}

/// The requests that have not sent yet, with the time at which this process first saw each.
#[derive(Default)]
struct Waiting {
    since: BTreeMap<String, Instant>,
    by_time: BTreeSet<(Instant, String)>,
    /// When the last requests were first seen, within [`JOBS_AGE`]. They may have sent since.
    arrivals: VecDeque<Instant>,
}

impl Waiting {
    fn add(&mut self, uid: &str, now: Instant) {
        if !self.since.contains_key(uid) {
            self.since.insert(uid.to_owned(), now);
            self.by_time.insert((now, uid.to_owned()));
            self.arrivals.push_back(now);
            if self.arrivals.len() > MOST_ARRIVALS {
                self.arrivals.pop_front();
            }
        }
    }

    fn remove(&mut self, uid: &str) {
        if let Some(since) = self.since.remove(uid) {
            self.by_time.remove(&(since, uid.to_owned()));
        }
    }

    fn has_arrived_within(&self, time: Duration, now: Instant) -> bool {
        self.arrivals.back().is_some_and(|at| now.saturating_duration_since(*at) <= time)
    }

    /// How many requests wait, or have come lately: as many may come soon.
    fn expected(&self, now: Instant) -> usize {
        let is_recent = |at: &&Instant| now.saturating_duration_since(**at) <= JOBS_AGE;
        self.since.len().max(self.arrivals.iter().rev().take_while(is_recent).count())
    }

    /// The number of requests that were first seen after `began`, or of all, but at most `most`.
    fn after(&self, began: Option<Instant>, most: usize) -> usize {
        let after = |(since, _): &&(Instant, String)| began.is_none_or(|began| *since > began);
        self.by_time.iter().rev().take_while(after).take(most).count()
    }
}

impl RealmLists {
    /// No lists.
    pub fn new(sharing: Sharing) -> Self {
        Self { sharing, state: Mutex::default() }
    }

    /// Forgets lists that are of no more use, forever.
    pub async fn forget_unused(&self) {
        loop {
            sleep(UNUSED).await;
            let (state, now) = (&mut *self.state.lock(), Instant::now());
            if state.waiting.since.is_empty() && !state.waiting.has_arrived_within(UNUSED, now) {
                state.realms = HashMap::new();
            } else {
                for lists in state.realms.values_mut() {
                    lists.jobs.forget_old(now);
                    lists.identities.forget_old(now);
                }
            }
        }
    }

    /// Takes note of a version of a request.
    pub fn observe(&self, request: &EnrollmentRequest, now: Instant) {
        let Some(uid) = &request.metadata.uid else { return };
        let has_sent = request.status.as_ref().is_some_and(|status| status.attempt.is_some() || status.send.is_some());
        if has_sent || request.metadata.deletion_timestamp.is_some() {
            self.leave(uid);
        } else {
            self.state.lock().waiting.add(uid, now);
        }
    }

    /// The request with this uid has sent, or is gone.
    pub fn leave(&self, uid: &str) {
        self.state.lock().waiting.remove(uid);
    }

    /// The most pages of all jobs that the request with this uid should read for all, unless it should not read them. The
    /// result goes to [`jobs_read`](Self::jobs_read).
    pub fn jobs_to_read(&self, of: &ListedRealm, uid: &str, now: Instant) -> Option<u64> {
        let State { waiting, realms } = &mut *self.state.lock();
        let since = *waiting.since.get(uid)?;
        let jobs = &mut realms.entry(of.clone()).or_default().jobs;
        jobs.needed(now);
        if jobs.is_fresh(since, now) || !jobs.reader.may_begin(now) {
            return None;
        }
        let most = match self.sharing {
            Sharing::Always => MOST_PAGES,
            Sharing::WhenCheaper => {
                let served = jobs.began().filter(|_| jobs.is_young(now));
                let calls = jobs.needed_lately() / LISTS_FOR_EACH_CALL;
                let waiting = waiting.after(served, calls * WAITING_FOR_EACH_CALL) / WAITING_FOR_EACH_CALL;
                jobs.worth(waiting, now)?
            }
        };
        jobs.reader.begin(now);
        Some(most)
    }

    /// The result of reading all jobs.
    pub fn jobs_read(&self, of: &ListedRealm, read: Result<JobSet, NotRead>, now: Instant) {
        if let Some(lists) = self.state.lock().realms.get_mut(of) {
            lists.jobs.end(read, now);
        }
    }

    /// The jobs of an identity, if they may justify a send of the request with this uid.
    pub fn jobs_of(&self, of: &ListedRealm, uid: &str, identity_id: &str, now: Instant) -> Option<IdentityJobs> {
        let State { waiting, realms } = &*self.state.lock();
        let since = *waiting.since.get(uid)?;
        realms.get(of)?.jobs.of(identity_id, since, now)
    }

    /// The token of the page of identities that the request with this uid should read for all, unless it should read none:
    /// `None` in it stands for the first page. Pages are read again after `age`. The result goes to
    /// [`identities_read`](Self::identities_read).
    pub fn identities_to_read(
        &self,
        of: &ListedRealm,
        uid: &str,
        age: Duration,
        now: Instant,
    ) -> Option<Option<String>> {
        let State { waiting, realms } = &mut *self.state.lock();
        waiting.since.get(uid)?;
        let most = match self.sharing {
            Sharing::Always => MOST_PAGES,
            Sharing::WhenCheaper => {
                let expected = waiting.expected(now);
                if expected < LEAST_EXPECTED {
                    return None;
                }
                (expected / WAITING_FOR_EACH_CALL) as u64
            }
        };
        realms.entry(of.clone()).or_default().identities.begin(most.min(MOST_PAGES), age, now)
    }

    /// The result of reading a page of identities; `None` if it was not read.
    pub fn identities_read(&self, of: &ListedRealm, page: Option<IdentityPage>, now: Instant) {
        if let Some(lists) = self.state.lock().realms.get_mut(of) {
            lists.identities.end(page, now);
        }
    }

    /// What is known of an identity for the request with this uid, if it is younger than `age`.
    pub fn identity(&self, of: &ListedRealm, uid: &str, id: &str, age: Duration, now: Instant) -> Option<Identity> {
        let state = self.state.lock();
        let since = *state.waiting.since.get(uid)?;
        let lists = state.realms.get(of)?;
        let (identity, at) = lists.identities.get(id, age, now).filter(|_| lists.is_recognized(now))?;
        (at + BEFORE_THE_REQUEST >= since).then_some(identity)
    }

    /// The service knows an identity of the realm, as the answer to a request at that time shows.
    pub fn recognized(&self, of: &ListedRealm, at: Instant) {
        let lists = &mut *self.state.lock();
        if let Some(lists) = lists.realms.get_mut(of) {
            lists.recognized = lists.recognized.max(Some(at));
        }
    }

    /// Whether a complete list that is younger than `age` does not have an identity.
    pub fn lacks_identity(&self, of: &ListedRealm, id: &str, age: Duration, now: Instant) -> bool {
        let state = self.state.lock();
        let lists = state.realms.get(of).filter(|lists| lists.is_recognized(now));
        lists.is_some_and(|lists| lists.identities.lacks(id, age, now))
    }

    /// Forgets an identity, since the service did not accept a send to it.
    pub fn forget_identity(&self, id: &str) {
        self.state.lock().realms.values_mut().for_each(|lists| lists.identities.forget(id));
    }
}

#[cfg(test)]
mod calls;
#[cfg(test)]
mod tests;
