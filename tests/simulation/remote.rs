//! The remote side: the service, another one at a second endpoint, and disturbances of the connection.

use std::collections::BTreeMap;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_limits::EnrollmentLimits;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::Error;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig, CredentialBindingJob, JobState, NewAuthenticatorConfig,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::budget;
use crate::injected_failure::InjectedFailure;
use crate::invariants;
use crate::observed::{self, Observed};
use crate::proxy::Proxy;
use crate::service::{Job, Moment, Service, is_active};
use crate::world::State;

/// The remote side.
#[derive(Debug, Default)]
pub struct Remote {
    pub service: Service,
    /// The service at the other endpoint. It has the same identities and configurations, and its own jobs.
    pub other: Service,
    /// Whether the provider config names the other endpoint.
    pub other_endpoint: bool,
    /// Whether calls reach a service without any identity.
    pub misrouted: bool,
    /// The proxy in front of both services.
    pub proxy: Proxy,
    /// The observed configurations, if the configurations are only observed.
    pub observed: Option<Observed>,
    /// The limits of the provider config on emails.
    pub limits: EnrollmentLimits,
    /// Whether the Secret with the token is deleted.
    pub secret_deleted: bool,
    /// The number of the token in the Secret.
    pub token: u64,
    /// The tokens that the service refuses, and since when.
    pub refused: BTreeMap<u64, Instant>,
    /// When the service last accepted a token again.
    pub accepted_since: Option<Instant>,
    /// Since when the provider config is paused.
    pub paused_since: Option<Instant>,
    /// The number of changes of the provider config and its Secret.
    pub provider_changes: u64,
}

impl Remote {
    /// The service at the first or the other endpoint.
    pub fn at(&mut self, other_endpoint: bool) -> &mut Service {
        if other_endpoint { &mut self.other } else { &mut self.service }
    }

    /// Whether the service accepts a token.
    pub fn authorize(&self, token: u64) -> Result<(), Error> {
        if self.refused.contains_key(&token) { Err(InjectedFailure::Unauthorized.into()) } else { Ok(()) }
    }

    /// Accepts every token again.
    pub fn accept_tokens(&mut self) {
        self.refused.clear();
        self.accepted_since = Some(Instant::now());
    }

    /// Whether the service refuses the token in the Secret.
    pub fn refuses_token(&self) -> bool {
        self.refused.contains_key(&self.token)
    }

    /// The version of the provider config and its credentials.
    pub fn version(&self) -> u64 {
        2 * self.token + u64::from(self.other_endpoint)
    }

    /// The jobs of both services.
    pub fn all_jobs(&self) -> impl Iterator<Item = (&String, &Job)> {
        self.service.jobs.iter().chain(&self.other.jobs)
    }

    /// A job of either service.
    pub fn job(&self, id: &str) -> Option<&Job> {
        self.service.jobs.get(id).or_else(|| self.other.jobs.get(id))
    }
}

impl State {
    /// Reads a job.
    pub fn read_job(&mut self, other_endpoint: bool, identity: &str, id: &str) -> Result<CredentialBindingJob, Error> {
        let job = self.remote.at(other_endpoint).job(identity, id)?;
        if is_active(&job) || job.state == Some(JobState::Complete) {
            self.record.read.insert(id.to_owned());
        }
        Ok(job)
    }

    /// Revokes a job for the operator.
    pub fn revoke(&mut self, other_endpoint: bool, identity: &str, id: &str, now: Instant) -> Result<(), Error> {
        observed::before_a_revocation(self, id);
        self.remote.at(other_endpoint).revoke(identity, id, now)
    }

    /// Deletes an authenticator configuration for the operator.
    pub fn delete_config(&mut self, id: &str, now: Instant, wall: Timestamp) -> Result<(), Error> {
        self.remote.service.delete_config(id, now)?;
        invariants::after_a_delete(self, id, wall);
        Ok(())
    }

    /// Sends an email.
    pub fn send(
        &mut self,
        other_endpoint: bool,
        send: &SendRecord,
        now: Instant,
        wall: Timestamp,
    ) -> Result<CredentialBindingJob, Error> {
        let Self { remote, chance, .. } = self;
        let sent = remote.at(other_endpoint).send(send, &mut Moment { now, wall, chance })?;
        self.log_detail(|| format!("EMAIL to {} for {}: job {}", send.identity_id, send.id, sent.id));
        invariants::after_an_email(self, &send.id, &sent.id, (now, wall));
        budget::after_an_email(self, &send.id, &sent.id);
        Ok(sent)
    }

    /// Creates an authenticator configuration.
    pub fn create_config(
        &mut self,
        record: &CreateRecord,
        config: &NewAuthenticatorConfig,
        now: Instant,
        wall: Timestamp,
    ) -> Result<AuthenticatorConfig, Error> {
        let created = self.remote.service.create_config(config, &mut Moment { now, wall, chance: &mut self.chance })?;
        self.log_detail(|| format!("CONFIGURATION {} created for {}", created.id, record.id));
        invariants::after_a_create(self, &created);
        Ok(created)
    }
}
