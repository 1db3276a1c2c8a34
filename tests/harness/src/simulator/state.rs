//! All that the simulator knows, behind one lock that is never held across a wait.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::call::Call;
use super::faults::{Effect, Faults};
use super::model::{Config, Email, Identity, Job, LINK_LIFE, Outcome, Recorded, short_id, wire};
use super::quota::Used;
use super::reply::Reply;
use super::shelf::Shelf;
use crate::contract::Breach;

/// Tenant and realm.
pub(super) type Key = (String, String);

/// Every realm, and every request.
#[derive(Debug, Default)]
pub(super) struct World {
    pub realms: HashMap<Key, Realm>,
    /// Of each tenant that has one.
    pub quotas: HashMap<String, Used>,
    pub requests: Vec<Recorded>,
    /// Whether requests are not held against the contract.
    pub takes_any_request: bool,
    /// What broke the contract, and in which realm.
    pub breaches: Vec<(Key, Breach)>,
}

/// One realm of one tenant.
#[derive(Debug, Default)]
pub(super) struct Realm {
    pub tenant: String,
    pub id: String,
    pub token: String,
    /// Whether a `hosted_web` configuration has to have all that the API's description calls required.
    pub strict_config: bool,
    pub paused: bool,
    /// Whether its answers are not held against the contract.
    pub gives_any_answer: bool,
    /// The status that every `:revoke` is refused with, if it is.
    pub refuse_revoke: Option<u16>,
    /// Whether a job whose link has expired stays in the state that it was in.
    pub leaves_expired: bool,
    /// How long the links of new jobs live, if not as long as usual.
    pub link_life: Option<SignedDuration>,
    /// How far its clock is ahead of this machine's.
    pub clock_skew: SignedDuration,
    pub identities: Shelf<Identity>,
    pub configs: Shelf<Config>,
    pub jobs: Shelf<Job>,
    pub outbox: Vec<Email>,
    pub faults: Faults,
}

/// Where a request is recorded.
#[derive(Debug)]
pub(super) struct Ticket(usize);

impl World {
    /// Records a request, and says what is to be done to it.
    pub fn arrive(&mut self, call: &Call) -> (Ticket, Option<Effect>) {
        self.requests.push(Recorded {
            operation: call.operation,
            tenant: call.tenant.clone(),
            realm: call.realm.clone(),
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.raw_query.clone(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            authorization: call.authorization.is_some(),
            user_agent: call.user_agent.clone(),
            traceparent: call.traceparent.clone(),
            time: Timestamp::now(),
            outcome: Outcome::Pending,
        });
        let effect = match self.realms.get_mut(&(call.tenant.clone(), call.realm.clone())) {
            None => None,
            Some(realm) if realm.paused => Some(Effect::LoseRequest),
            Some(realm) => {
                let shown = realm.now();
                let too_many = self.quotas.get_mut(&call.tenant).and_then(|used| used.count(Timestamp::now(), shown));
                too_many.map(Effect::Answer).or_else(|| realm.faults.take(call))
            }
        };
        (Ticket(self.requests.len() - 1), effect)
    }

    /// Records what became of it.
    pub fn conclude(&mut self, ticket: Ticket, reply: Option<&Reply>) {
        if let Some(recorded) = self.requests.get_mut(ticket.0) {
            recorded.outcome = reply.map_or(Outcome::Dropped, |reply| Outcome::Answered(reply.status));
        }
    }
}

impl Realm {
    /// The time by its own clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.clock_skew
    }

    /// A job that is mailed now.
    pub fn new_job(&self, identity_id: &str, config_id: &str) -> Job {
        Job::mailed(identity_id, config_id, self.now(), self.link_life.unwrap_or(LINK_LIFE))
    }

    /// The job of that id, as it is by now.
    pub fn job(&mut self, id: &str) -> Option<&Job> {
        self.expire(|job| job.id == id);
        self.jobs.get(id)
    }

    /// Brings the jobs that fit to where they are by now.
    pub fn expire(&mut self, fits: impl Fn(&Job) -> bool) {
        if self.leaves_expired {
            return;
        }
        let now = self.now();
        self.jobs.each_mut().filter(|job| fits(job)).for_each(|job| job.expire(now));
    }

    /// Keeps a new job, and mails its link if that is how it is delivered.
    pub fn send(&mut self, job: &Job) {
        self.jobs.put(&job.id, job.clone());
        let Some(identity) = self.identities.get_mut(&job.identity_id) else {
            return;
        };
        if let Some(status) = identity.enrollment_status.as_mut().filter(|status| *status != "ENROLLED") {
            "PENDING".clone_into(status);
        }
        if job.delivery_method != "EMAIL" {
            return;
        }
        if let Some(address) = identity.email.clone() {
            self.outbox.push(Email {
                tenant: self.tenant.clone(),
                realm: self.id.clone(),
                identity_id: job.identity_id.clone(),
                job_id: job.id.clone(),
                address,
                time: Timestamp::now(),
            });
        }
    }

    /// Moves a job on, with what comes with it; false if there is no such job.
    pub fn set_job_state(&mut self, id: &str, state: &str) -> bool {
        let now = self.now();
        let Some(job) = self.jobs.get_mut(id) else {
            return false;
        };
        job.state = Some(state.to_owned());
        job.update_time = Some(wire(now));
        if state == "COMPLETE" {
            job.credential_id.get_or_insert_with(short_id);
            let identity = self.identities.get_mut(&job.identity_id);
            if let Some(status) = identity.and_then(|identity| identity.enrollment_status.as_mut()) {
                "ENROLLED".clone_into(status);
            }
        }
        true
    }
}
