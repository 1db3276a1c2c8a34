//! The remote side: the service, another one that a provider config may lead to, and what can be in the way.

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::Error;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig, CredentialBindingJob, JobState, NewAuthenticatorConfig,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::invariants;
use crate::service::{Job, Moment, Service, is_live};
use crate::world::State;

/// The remote side.
#[derive(Debug, Default)]
pub struct Remote {
    pub service: Service,
    /// Another service: it knows the same people and configurations, and has jobs of its own.
    pub other: Service,
    /// Whether the provider config leads there.
    pub elsewhere: bool,
    /// Whether what answers, where the service should, is one that knows nobody.
    pub misdirected: bool,
    /// Whether the Secret with the token is gone.
    pub secretless: bool,
    /// How often the provider config or its Secret has changed.
    pub provider_changes: u64,
}

impl Remote {
    /// The service, or the other one.
    pub fn at(&mut self, elsewhere: bool) -> &mut Service {
        if elsewhere { &mut self.other } else { &mut self.service }
    }

    /// The jobs of both services.
    pub fn all_jobs(&self) -> impl Iterator<Item = (&String, &Job)> {
        self.service.jobs.iter().chain(&self.other.jobs)
    }

    /// A job, wherever it is.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.service.jobs.get(id).or_else(|| self.other.jobs.get(id))
    }
}

impl State {
    /// Reads a job.
    pub fn read_job(&mut self, elsewhere: bool, identity: &str, id: &str) -> Result<CredentialBindingJob, Error> {
        let job = self.remote.at(elsewhere).job(identity, id)?;
        if is_live(&job) || job.state == Some(JobState::Complete) {
            self.record.read.insert(id.to_owned());
        }
        Ok(job)
    }

    /// The operator deletes an authenticator configuration.
    pub fn delete_config(&mut self, id: &str, now: Instant, wall: Timestamp) -> Result<(), Error> {
        self.remote.service.delete_config(id, now)?;
        invariants::after_a_delete(self, id, wall);
        Ok(())
    }

    /// Sends an email.
    pub fn send(
        &mut self,
        elsewhere: bool,
        send: &SendRecord,
        now: Instant,
        wall: Timestamp,
    ) -> Result<CredentialBindingJob, Error> {
        let Self { remote, chance, .. } = self;
        let sent = remote.at(elsewhere).send(send, &mut Moment { now, wall, chance })?;
        self.add(|| format!("EMAIL to {} for {}: job {}", send.identity_id, send.id, sent.id));
        invariants::after_an_email(self, &send.id, &sent.id, (now, wall));
        Ok(sent)
    }

    /// Makes an authenticator configuration.
    pub fn create_config(
        &mut self,
        record: &CreateRecord,
        config: &NewAuthenticatorConfig,
        now: Instant,
        wall: Timestamp,
    ) -> Result<AuthenticatorConfig, Error> {
        let made = self.remote.service.create_config(config, &mut Moment { now, wall, chance: &mut self.chance })?;
        self.add(|| format!("CONFIGURATION {} made for {}", made.id, record.id));
        invariants::after_a_create(self, &made);
        Ok(made)
    }
}
