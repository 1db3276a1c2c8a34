//! The state of the simulator, behind one lock that is never held across an await.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::ambiguities::Ambiguities;
use super::call::{Call, Operation};
use super::faults::{Effect, Faults};
use super::model::{Application, Config, Email, Identity, Job, LINK_LIFETIME, Outcome, Recorded, api_time, short_id};
use super::quota::Used;
use super::reply::Reply;
use super::shelf::Shelf;
use crate::contract::Breach;

/// Tenant and realm.
pub(super) type Key = (String, String);

/// All realms and all requests.
#[derive(Debug, Default)]
pub(super) struct World {
    pub realms: HashMap<Key, Realm>,
    /// The applications, by tenant, realm and id.
    pub applications: HashMap<(String, String, String), Registered>,
    /// The quotas by tenant.
    pub quotas: HashMap<String, Used>,
    pub requests: Vec<Recorded>,
    /// Whether requests are not validated.
    pub allows_any_request: bool,
    /// The violations of the contract, with their realm.
    pub breaches: Vec<(Key, Breach)>,
}

/// One realm of one tenant.
#[derive(Debug, Default)]
pub(super) struct Realm {
    pub tenant: String,
    pub id: String,
    pub token: String,
    /// The tokens that applications issued for this realm, except the revoked ones.
    pub issued: Vec<Issued>,
    pub ambiguities: Ambiguities,
    /// The form in which configurations are kept, if another one than was sent.
    pub config_form: Option<fn(&mut Config)>,
    pub paused: bool,
    /// Whether its answers are not validated.
    pub allows_any_answer: bool,
    /// The status that every `:revoke` is refused with, if any.
    pub refuse_revoke: Option<u16>,
    /// Whether jobs keep their state after their expire time.
    pub keeps_expired: bool,
    /// The lifetime of the links of new jobs, unless it is the default.
    pub link_lifetime: Option<SignedDuration>,
    /// The difference of its clock from the clock of this machine.
    pub clock_skew: SignedDuration,
    pub identities: Shelf<Identity>,
    pub configs: Shelf<Config>,
    pub jobs: Shelf<Job>,
    pub outbox: Vec<Email>,
    pub faults: Faults,
}

/// An application, and the realm that its tokens are for.
#[derive(Debug)]
pub(super) struct Registered {
    pub application: Application,
    pub managed: Key,
}

/// An issued token.
#[derive(Debug)]
pub(super) struct Issued {
    pub token: String,
    pub expires: Timestamp,
}

/// The index of a recorded request.
#[derive(Debug)]
pub(super) struct RequestId(usize);

impl World {
    /// Attributes a request for a token to the realm that the token is for, so that its faults apply.
    pub fn attribute(&self, call: &mut Call) {
        if call.operation == Operation::RequestToken {
            let id = (call.tenant.clone(), call.realm.clone(), call.id(0).to_owned());
            call.ids.push(call.realm.clone());
            if let Some(registered) = self.applications.get(&id) {
                (call.tenant, call.realm) = registered.managed.clone();
            }
        }
    }

    /// Records a request, and returns the effect of a fault on it.
    pub fn record_request(&mut self, call: &Call) -> (RequestId, Option<Effect>) {
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
                let realm_time = realm.now();
                let exceeded =
                    self.quotas.get_mut(&call.tenant).and_then(|used| used.count(Timestamp::now(), realm_time));
                exceeded.map(Effect::Answer).or_else(|| realm.faults.take(call))
            }
        };
        (RequestId(self.requests.len() - 1), effect)
    }

    /// Records the outcome of a request.
    pub fn record_outcome(&mut self, id: RequestId, reply: Option<&Reply>) {
        if let Some(recorded) = self.requests.get_mut(id.0) {
            recorded.outcome = reply.map_or(Outcome::Dropped, |reply| Outcome::Answered(reply.status));
        }
    }
}

impl Realm {
    /// The time by its own clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.clock_skew
    }

    /// Whether this is a token of this realm, even if it has expired.
    pub fn knows(&self, token: Option<&str>) -> bool {
        token.is_some_and(|token| token == self.token || self.issued.iter().any(|issued| issued.token == token))
    }

    /// Whether it accepts this token.
    pub fn accepts(&self, token: Option<&str>) -> bool {
        let is_valid = |issued: &Issued| Some(issued.token.as_str()) == token && Timestamp::now() < issued.expires;
        token == Some(self.token.as_str()) || self.issued.iter().any(is_valid)
    }

    /// A job that is sent now.
    pub fn new_job(&self, identity_id: &str, config_id: &str) -> Job {
        Job::sent(identity_id, config_id, self.now(), self.link_lifetime.unwrap_or(LINK_LIFETIME))
    }

    /// The job with this id. It expires first, if its time has passed.
    pub fn job(&mut self, id: &str) -> Option<&Job> {
        self.expire(|job| job.id == id);
        self.jobs.get(id)
    }

    /// Expires the matching jobs whose time has passed.
    pub fn expire(&mut self, matches: impl Fn(&Job) -> bool) {
        if self.keeps_expired {
            return;
        }
        let now = self.now();
        self.jobs.each_mut().filter(|job| matches(job)).for_each(|job| job.expire(now));
    }

    /// Stores a new job, and sends its email if the delivery method is `EMAIL`.
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

    /// Sets the state of a job, with its side effects. Returns false if the job does not exist.
    pub fn set_job_state(&mut self, id: &str, state: &str) -> bool {
        let now = self.now();
        let Some(job) = self.jobs.get_mut(id) else {
            return false;
        };
        job.state = Some(state.to_owned());
        job.update_time = Some(api_time(now));
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
