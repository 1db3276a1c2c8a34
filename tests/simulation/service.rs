//! The service: identities, jobs and the emails that they send, authenticator configurations. Its lists lag.

use std::collections::BTreeMap;
use std::time::Duration;

use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, DeliveryMethod, Identity, JobState,
    NewAuthenticatorConfig,
};
use beyond_identity_operator::beyond_identity::{Doubt, Error, Listing, Refusal};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::chance::Chance;

/// How late the effect of a call can come that was given up. With [`LAG`] it stays below the settling time.
pub const LATE: Duration = Duration::from_secs(25);
/// How far a list can lag.
pub const LAG: Duration = Duration::from_secs(30);
/// How far the clocks of the service's machines are from the true time, in seconds.
const SKEW: i64 = 14;

/// What was so since when, the newest last.
type History<T> = Vec<(Instant, T)>;

/// Who can be enrolled.
#[derive(Clone, Debug)]
pub struct Person {
    pub active: bool,
    pub username: String,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    pub history: History<CredentialBindingJob>,
    /// The id of the record under which it was made; `None`: by a person, or before all time.
    pub created_by: Option<String>,
}

impl Job {
    pub fn now(&self) -> &CredentialBindingJob {
        &self.history.last().expect("a job has a state").1
    }
}

/// The service.
#[derive(Debug, Default)]
pub struct Service {
    pub people: BTreeMap<String, Person>,
    pub jobs: BTreeMap<String, Job>,
    pub configs: BTreeMap<String, History<Option<AuthenticatorConfig>>>,
    /// Whether its answers have hardly more than they must.
    pub terse: bool,
    /// Whether it lets nobody revoke a job.
    pub keeps_links: bool,
    /// Whether some of the jobs that it makes cannot be revoked.
    pub has_stuck_jobs: bool,
    /// The jobs that cannot be revoked, and whether the service says so, or accepts it and does nothing.
    pub stuck: BTreeMap<String, bool>,
    /// Whether it writes the delivery method in a way that nobody knows.
    pub odd_method: bool,
}

/// When a call is carried out, and by which clock.
pub struct Moment<'a> {
    pub now: Instant,
    pub wall: Timestamp,
    pub chance: &'a mut Chance,
}

impl Moment<'_> {
    /// The time by the clock of one of the service's machines.
    pub fn told(&mut self) -> Timestamp {
        let skew = self.chance.skew(SKEW);
        self.wall.checked_add(skew).expect("within the calendar")
    }

    fn id(&mut self) -> String {
        format!("{:08x}", self.chance.below(1 << 32))
    }

    /// The moment that a list shows.
    fn shown(&mut self) -> Option<Instant> {
        let lag = if self.chance.happens(0.6) { Duration::ZERO } else { self.chance.within(LAG) };
        self.now.checked_sub(lag)
    }
}

/// An identity of which nothing is known but its id.
pub fn anybody(id: &str) -> Identity {
    serde_json::from_value(json!({ "id": id })).expect("an identity")
}

fn gone(what: &str) -> Error {
    Error::NotFound { message: format!("there is no such {what}") }
}

fn as_of<T>(history: &History<T>, shown: Option<Instant>) -> Option<&T> {
    history.iter().rev().find(|(since, _)| Some(*since) <= shown).map(|(_, value)| value)
}

impl Service {
    pub fn identity(&self, id: &str) -> Result<Identity, Error> {
        let person = self.people.get(id).ok_or_else(|| gone("identity"))?;
        let status = if person.active { "active" } else { "suspended" };
        let complete =
            |job: &Job| job.now().identity_id.as_deref() == Some(id) && job.now().state == Some(JobState::Complete);
        let enrolled = self.jobs.values().any(complete).then_some("ENROLLED");
        let traits = json!({ "username": person.username, "primary_email_address": "jane@example.com" });
        let json = json!({ "id": id, "status": status, "enrollment_status": enrolled, "traits": traits });
        Ok(serde_json::from_value(json).expect("an identity"))
    }

    pub fn identities(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let ids = self.people.iter().filter(|(_, person)| person.username.eq_ignore_ascii_case(username));
        ids.map(|(id, _)| self.identity(id)).collect()
    }

    pub fn list_jobs(&self, identity: &str, moment: &mut Moment<'_>) -> Result<Listing<CredentialBindingJob>, Error> {
        let server_time = (!moment.chance.happens(0.1)).then(|| moment.told());
        let shown = moment.shown();
        let jobs = self.jobs.values().filter_map(|job| as_of(&job.history, shown));
        let items = jobs.filter(|job| job.identity_id.as_deref() == Some(identity)).map(|job| self.answer(job));
        Ok(Listing { items: items.collect(), server_time })
    }

    pub fn job(&self, identity: &str, id: &str) -> Result<CredentialBindingJob, Error> {
        let job = self.jobs.get(id).map(Job::now).filter(|job| job.identity_id.as_deref() == Some(identity));
        job.map(|job| self.answer(job)).ok_or_else(|| gone("job"))
    }

    /// Makes a job, and sends its email.
    pub fn send(&mut self, send: &SendRecord, moment: &mut Moment<'_>) -> Result<CredentialBindingJob, Error> {
        let person = self.people.get(&send.identity_id).ok_or_else(|| gone("identity"))?;
        let refused = |cause| Error::Refused { cause, message: "impossible".to_owned() };
        if !person.active {
            return Err(refused(Refusal::Unprocessable));
        }
        if !matches!(self.configs.get(&send.authenticator_config_id), Some(history) if live(history).is_some()) {
            return Err(refused(Refusal::BadRequest));
        }
        let id = self.add_job(
            &send.identity_id,
            &send.authenticator_config_id,
            Some(send.id.clone()),
            Duration::ZERO,
            moment,
        );
        Ok(self.answer(self.jobs[&id].now()))
    }

    /// Adds a job that is `age` old.
    pub fn add_job(
        &mut self,
        identity: &str,
        config: &str,
        created_by: Option<String>,
        age: Duration,
        moment: &mut Moment<'_>,
    ) -> String {
        let created = moment.told().checked_sub(age).expect("within the calendar");
        let expires = created.checked_add(SignedDuration::from_hours(168)).expect("within the calendar");
        let job = CredentialBindingJob {
            id: moment.id(),
            identity_id: Some(identity.to_owned()),
            authenticator_config_id: Some(config.to_owned()),
            delivery_method: Some(DeliveryMethod::Email),
            state: Some(JobState::LinkSent),
            create_time: Some(created.to_string()),
            expire_time: Some(expires.to_string()),
            ..CredentialBindingJob::default()
        };
        let (id, since) = (job.id.clone(), moment.now.checked_sub(age).unwrap_or(moment.now));
        if self.has_stuck_jobs && moment.chance.happens(0.5) {
            self.stuck.insert(id.clone(), moment.chance.happens(0.5));
        }
        self.jobs.insert(id.clone(), Job { history: vec![(since, job)], created_by });
        id
    }

    /// Revokes a job.
    pub fn revoke(&mut self, identity: &str, id: &str, now: Instant) -> Result<(), Error> {
        if self.keeps_links {
            let message = "not allowed".to_owned();
            return Err(Error::Refused { cause: Refusal::Forbidden, message });
        }
        let is_live = is_live(&self.job(identity, id)?);
        match self.stuck.get(id).filter(|_| is_live) {
            Some(true) => {
                let message = "not now".to_owned();
                return Err(Error::InDoubt { cause: Doubt::Status, status: Some(409), after: None, message });
            }
            Some(false) => return Ok(()),
            None => {}
        }
        if !is_live {
            return Err(Error::Refused { cause: Refusal::BadRequest, message: "not outstanding".to_owned() });
        }
        self.set_state(id, JobState::Revoked, now);
        Ok(())
    }

    /// Moves a job on.
    pub fn set_state(&mut self, id: &str, state: JobState, now: Instant) {
        if let Some(job) = self.jobs.get_mut(id) {
            let moved = CredentialBindingJob { state: Some(state), ..job.now().clone() };
            job.history.push((now, moved));
        }
    }

    pub fn list_configs(&self, moment: &mut Moment<'_>) -> Result<Listing<AuthenticatorConfig>, Error> {
        let shown = moment.shown();
        let items = self.configs.values().filter_map(|history| as_of(history, shown)?.clone()).collect();
        Ok(Listing { items, server_time: Some(moment.told()) })
    }

    pub fn config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        self.configs.get(id).and_then(live).cloned().ok_or_else(|| gone("configuration"))
    }

    pub fn create_config(
        &mut self,
        new: &NewAuthenticatorConfig,
        moment: &mut Moment<'_>,
    ) -> Result<AuthenticatorConfig, Error> {
        let config = AuthenticatorConfig {
            id: moment.id(),
            display_name: new.display_name.clone(),
            config: Some(new.config.clone()),
            ..AuthenticatorConfig::default()
        };
        self.configs.insert(config.id.clone(), vec![(moment.now, Some(config.clone()))]);
        Ok(config)
    }

    pub fn patch_config(&mut self, id: &str, patch: &AuthenticatorConfigPatch, now: Instant) -> Result<(), Error> {
        let mut config = self.config(id)?;
        if let Some(name) = &patch.display_name {
            config.display_name = Some(name.clone());
        }
        config.config.get_or_insert_default().extend(patch.config.clone().unwrap_or_default());
        self.configs.get_mut(id).expect("it was read").push((now, Some(config)));
        Ok(())
    }

    pub fn delete_config(&mut self, id: &str, now: Instant) -> Result<(), Error> {
        self.config(id)?;
        self.configs.get_mut(id).expect("it was read").push((now, None));
        Ok(())
    }

    /// The time of a job's link is over, and nobody moves it on.
    pub fn run_out(&mut self, id: &str, now: Instant, wall: Timestamp) {
        if let Some(job) = self.jobs.get_mut(id) {
            let over = wall.checked_sub(SignedDuration::from_hours(1)).expect("within the calendar");
            let moved = CredentialBindingJob { expire_time: Some(over.to_string()), ..job.now().clone() };
            job.history.push((now, moved));
        }
    }

    /// A service that knows the same people and configurations, and has none of the jobs.
    pub fn twin(&self) -> Self {
        Self { people: self.people.clone(), configs: self.configs.clone(), ..Self::default() }
    }

    /// The configurations that there are.
    pub fn live_configs(&self) -> impl Iterator<Item = &AuthenticatorConfig> {
        self.configs.values().filter_map(live)
    }

    fn answer(&self, job: &CredentialBindingJob) -> CredentialBindingJob {
        if self.terse {
            CredentialBindingJob {
                id: job.id.clone(),
                authenticator_config_id: job.authenticator_config_id.clone(),
                state: job.state.clone(),
                ..CredentialBindingJob::default()
            }
        } else if self.odd_method {
            CredentialBindingJob { delivery_method: Some(DeliveryMethod::from("by mail")), ..job.clone() }
        } else {
            job.clone()
        }
    }
}

/// Whether the time of the job's link is over, by a margin for the service's clocks.
pub fn is_over(job: &CredentialBindingJob, wall: Timestamp) -> bool {
    let expires = job.expire_time.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    expires.is_some_and(|at| at + SignedDuration::from_secs(SKEW) < wall)
}

/// Whether the job's link can be used.
pub fn is_live(job: &CredentialBindingJob) -> bool {
    !matches!(job.state, Some(JobState::Complete | JobState::Expired | JobState::FailedToSend | JobState::Revoked))
}

fn live(history: &History<Option<AuthenticatorConfig>>) -> Option<&AuthenticatorConfig> {
    history.last()?.1.as_ref()
}
