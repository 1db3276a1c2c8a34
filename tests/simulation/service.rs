//! A model of the service: identities, jobs with their emails, and authenticator configurations. Its lists lag.

use std::collections::BTreeMap;
use std::time::Duration;

use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, DeliveryMethod, Identity, JobState,
    NewAuthenticatorConfig, PatchedConfig,
};
use beyond_identity_operator::beyond_identity::{Doubt, Error, JobsPage, Listing, RealmPage, Refusal};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::chance::Chance;

/// The maximum delay of the effect of a failed call. The sum with [`MAX_LAG`] is below the settle time.
pub const MAX_DELAY: Duration = Duration::from_secs(25);
/// The maximum lag of a list.
pub const MAX_LAG: Duration = Duration::from_secs(30);
/// The maximum clock error of the service's machines, in seconds.
/// The jobs on a page of all jobs: so few that the list has several pages.
const PAGE: usize = 3;
const SKEW: i64 = 14;

/// The values over time, the newest last.
type History<T> = Vec<(Instant, T)>;

/// An identity.
#[derive(Clone, Debug)]
pub struct SimIdentity {
    pub active: bool,
    pub username: String,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    pub history: History<CredentialBindingJob>,
    /// The id of the write-ahead record for which it was created. `None` if another client created it.
    pub created_for: Option<String>,
}

impl Job {
    pub fn now(&self) -> &CredentialBindingJob {
        &self.history.last().expect("a job has a state").1
    }
}

/// The service.
#[derive(Debug, Default)]
pub struct Service {
    pub identities: BTreeMap<String, SimIdentity>,
    pub jobs: BTreeMap<String, Job>,
    pub configs: BTreeMap<String, History<Option<AuthenticatorConfig>>>,
    /// Whether its answers have only the required fields.
    pub minimal_answers: bool,
    /// Whether it refuses all revocations.
    pub refuses_revocation: bool,
    /// Whether some of the jobs that it makes cannot be revoked.
    pub creates_irrevocable_jobs: bool,
    /// The jobs that cannot be revoked. True if the service reports that, false if it accepts the call without an
    /// effect.
    pub irrevocable: BTreeMap<String, bool>,
    /// Whether its jobs have an unknown delivery method.
    pub unknown_method: bool,
}

/// The time of a call, by the virtual and the wall clock.
pub struct Moment<'a> {
    pub now: Instant,
    pub wall: Timestamp,
    pub chance: &'a mut Chance,
}

impl Moment<'_> {
    /// The time by the clock of one of the service's machines.
    pub fn server_time(&mut self) -> Timestamp {
        let skew = self.chance.skew(SKEW);
        self.wall.checked_add(skew).expect("within the calendar")
    }

    fn id(&mut self) -> String {
        format!("{:08x}", self.chance.below(1 << 32))
    }

    /// The moment that a list reflects.
    fn shown(&mut self) -> Option<Instant> {
        let lag = if self.chance.happens(0.6) { Duration::ZERO } else { self.chance.within(MAX_LAG) };
        self.now.checked_sub(lag)
    }
}

/// An identity with only an id.
pub fn minimal_identity(id: &str) -> Identity {
    serde_json::from_value(json!({ "id": id })).expect("an identity")
}

fn not_found(what: &str) -> Error {
    Error::NotFound { message: format!("no such {what}") }
}

fn as_of<T>(history: &History<T>, shown: Option<Instant>) -> Option<&T> {
    history.iter().rev().find(|(since, _)| Some(*since) <= shown).map(|(_, value)| value)
}

impl Service {
    pub fn identity(&self, id: &str) -> Result<Identity, Error> {
        let identity = self.identities.get(id).ok_or_else(|| not_found("identity"))?;
        let status = if identity.active { "active" } else { "suspended" };
        let complete =
            |job: &Job| job.now().identity_id.as_deref() == Some(id) && job.now().state == Some(JobState::Complete);
        let enrolled = self.jobs.values().any(complete).then_some("ENROLLED");
        let traits = json!({ "username": identity.username, "primary_email_address": "jane@example.com" });
        let json = json!({ "id": id, "status": status, "enrollment_status": enrolled, "traits": traits });
        Ok(serde_json::from_value(json).expect("an identity"))
    }

    pub fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let ids = self.identities.iter().filter(|(_, identity)| identity.username.eq_ignore_ascii_case(username));
        ids.map(|(id, _)| self.identity(id)).collect()
    }

    pub fn list_jobs(&self, identity: &str, moment: &mut Moment<'_>) -> Result<Listing<CredentialBindingJob>, Error> {
        let server_time = (!moment.chance.happens(0.1)).then(|| moment.server_time());
        let shown = moment.shown();
        let jobs = self.jobs.values().filter_map(|job| as_of(&job.history, shown));
        let items = jobs.filter(|job| job.identity_id.as_deref() == Some(identity)).map(|job| self.answer(job));
        Ok(Listing { items: items.collect(), server_time })
    }

    /// A page of all jobs. The token is the last id of the page before.
    pub fn page_of_all_jobs(&self, after: Option<&str>, moment: &mut Moment<'_>) -> Result<JobsPage, Error> {
        let shown = moment.shown();
        let jobs = self.jobs.values().filter_map(|job| as_of(&job.history, shown)).map(|job| self.answer(job));
        let mut all: Vec<_> = jobs.collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(page(all, |job| &job.id, after, moment))
    }

    /// A page of all identities.
    pub fn page_of_identities(
        &self,
        after: Option<&str>,
        moment: &mut Moment<'_>,
    ) -> Result<RealmPage<Identity>, Error> {
        let all = self.identities.keys().map(|id| self.identity(id)).collect::<Result<Vec<_>, _>>()?;
        Ok(page(all, |identity| &identity.id, after, moment))
    }

    pub fn job(&self, identity: &str, id: &str) -> Result<CredentialBindingJob, Error> {
        let job = self.jobs.get(id).map(Job::now).filter(|job| job.identity_id.as_deref() == Some(identity));
        job.map(|job| self.answer(job)).ok_or_else(|| not_found("job"))
    }

    /// Creates a job, and sends its email.
    pub fn send(&mut self, send: &SendRecord, moment: &mut Moment<'_>) -> Result<CredentialBindingJob, Error> {
        let identity = self.identities.get(&send.identity_id).ok_or_else(|| not_found("identity"))?;
        let refused = |cause| Error::Refused { cause, message: "impossible".to_owned() };
        if !identity.active {
            return Err(refused(Refusal::Unprocessable));
        }
        if !matches!(self.configs.get(&send.authenticator_config_id), Some(history) if latest(history).is_some()) {
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

    /// Adds a job of this age.
    pub fn add_job(
        &mut self,
        identity: &str,
        config: &str,
        created_for: Option<String>,
        age: Duration,
        moment: &mut Moment<'_>,
    ) -> String {
        let created = moment.server_time().checked_sub(age).expect("within the calendar");
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
        if self.creates_irrevocable_jobs && moment.chance.happens(0.5) {
            self.irrevocable.insert(id.clone(), moment.chance.happens(0.5));
        }
        self.jobs.insert(id.clone(), Job { history: vec![(since, job)], created_for });
        id
    }

    /// Revokes a job.
    pub fn revoke(&mut self, identity: &str, id: &str, now: Instant) -> Result<(), Error> {
        if self.refuses_revocation {
            let message = "not allowed".to_owned();
            return Err(Error::Refused { cause: Refusal::Forbidden, message });
        }
        let is_active = is_active(&self.job(identity, id)?);
        match self.irrevocable.get(id).filter(|_| is_active) {
            Some(true) => {
                let message = "not now".to_owned();
                return Err(Error::InDoubt { cause: Doubt::Status, status: Some(409), after: None, message });
            }
            Some(false) => return Ok(()),
            None => {}
        }
        if !is_active {
            return Err(Error::Refused { cause: Refusal::BadRequest, message: "not outstanding".to_owned() });
        }
        self.set_state(id, JobState::Revoked, now);
        Ok(())
    }

    /// Sets the state of a job.
    pub fn set_state(&mut self, id: &str, state: JobState, now: Instant) {
        if let Some(job) = self.jobs.get_mut(id) {
            let moved = CredentialBindingJob { state: Some(state), ..job.now().clone() };
            job.history.push((now, moved));
        }
    }

    pub fn list_configs(&self, moment: &mut Moment<'_>) -> Result<Listing<AuthenticatorConfig>, Error> {
        let shown = moment.shown();
        let items = self.configs.values().filter_map(|history| as_of(history, shown)?.clone()).collect();
        Ok(Listing { items, server_time: Some(moment.server_time()) })
    }

    pub fn config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        self.configs.get(id).and_then(latest).cloned().ok_or_else(|| not_found("configuration"))
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

    pub fn patch_config(
        &mut self,
        id: &str,
        patch: &AuthenticatorConfigPatch,
        now: Instant,
    ) -> Result<PatchedConfig, Error> {
        let mut config = self.config(id)?;
        if let Some(name) = &patch.display_name {
            config.display_name = Some(name.clone());
        }
        config.config.get_or_insert_default().extend(patch.config.clone().unwrap_or_default());
        self.configs.get_mut(id).expect("it was read").push((now, Some(config.clone())));
        Ok(config.into())
    }

    pub fn delete_config(&mut self, id: &str, now: Instant) -> Result<(), Error> {
        self.config(id)?;
        self.configs.get_mut(id).expect("it was read").push((now, None));
        Ok(())
    }

    /// Moves the expire time of a job to the past, without a change of its state.
    pub fn pass_expire_time(&mut self, id: &str, now: Instant, wall: Timestamp) {
        if let Some(job) = self.jobs.get_mut(id) {
            let expired = wall.checked_sub(SignedDuration::from_hours(1)).expect("within the calendar");
            let moved = CredentialBindingJob { expire_time: Some(expired.to_string()), ..job.now().clone() };
            job.history.push((now, moved));
        }
    }

    /// A copy with the same identities and configurations, but without jobs.
    pub fn copy_without_jobs(&self) -> Self {
        Self { identities: self.identities.clone(), configs: self.configs.clone(), ..Self::default() }
    }

    /// The existing configurations.
    pub fn existing_configs(&self) -> impl Iterator<Item = &AuthenticatorConfig> {
        self.configs.values().filter_map(latest)
    }

    fn answer(&self, job: &CredentialBindingJob) -> CredentialBindingJob {
        if self.minimal_answers {
            CredentialBindingJob {
                id: job.id.clone(),
                authenticator_config_id: job.authenticator_config_id.clone(),
                state: job.state.clone(),
                ..CredentialBindingJob::default()
            }
        } else if self.unknown_method {
            CredentialBindingJob { delivery_method: Some(DeliveryMethod::from("by mail")), ..job.clone() }
        } else {
            job.clone()
        }
    }
}

/// Whether the expire time of a job has passed, with a margin for the service's clocks.
pub fn has_expired(job: &CredentialBindingJob, wall: Timestamp) -> bool {
    let expires = job.expire_time.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    expires.is_some_and(|at| at + SignedDuration::from_secs(SKEW) < wall)
}

/// Whether the job's link can be used.
pub fn is_active(job: &CredentialBindingJob) -> bool {
    !matches!(job.state, Some(JobState::Complete | JobState::Expired | JobState::FailedToSend | JobState::Revoked))
}

/// The page behind the item `after`.
fn page<T>(all: Vec<T>, id: impl Fn(&T) -> &str, after: Option<&str>, moment: &mut Moment<'_>) -> RealmPage<T> {
    let total_size = Some(all.len() as u64);
    let mut items: Vec<_> = all.into_iter().filter(|item| after.is_none_or(|after| id(item) > after)).collect();
    let has_more = items.len() > PAGE;
    items.truncate(PAGE);
    let next_page_token = items.last().filter(|_| has_more).map(|item| id(item).to_owned());
    let server_time = (!moment.chance.happens(0.1)).then(|| moment.server_time());
    RealmPage { items, total_size, next_page_token, server_time }
}

fn latest(history: &History<Option<AuthenticatorConfig>>) -> Option<&AuthenticatorConfig> {
    history.last()?.1.as_ref()
}
