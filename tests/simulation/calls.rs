//! The calls to the service, over the world.

use std::time::Duration;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity,
    NewAuthenticatorConfig,
};
use beyond_identity_operator::beyond_identity::{Answer, Error, Listing};
use beyond_identity_operator::reconcile::write_ahead::Record;
use beyond_identity_operator::reconcile::{Destination, RealmIds, Remote, Ticket};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::faults::Port;
use crate::injected_failure::InjectedFailure;
use crate::invariants;
use crate::reconciles::SERVICE;
use crate::service::Moment;
use crate::turns::Turn;
use crate::world::State;

/// The way to a service.
pub struct SimRemote {
    pub turn: Turn,
    /// Whether it is the other one.
    pub elsewhere: bool,
    /// Whether it is for a configuration: then another service that is met in its place answers as no API does.
    pub of_configs: bool,
}

fn destination(endpoint: &str) -> Destination {
    let realm = RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() };
    Destination { realm, endpoint: endpoint.to_owned() }
}

impl SimRemote {
    /// Calls the service; for a while, what answers is one that knows nobody, and says so with `nobody`.
    async fn call<T, F>(
        &self,
        port: Port,
        limit: Duration,
        nobody: impl FnOnce() -> Result<T, Error> + Send + 'static,
        effect: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, Error> + Send + 'static,
    {
        if port.is_remote_write() {
            invariants::before_a_remote_write(&self.turn.seat.0, port);
        }
        let answer = move |state: &mut State, now, wall| {
            if state.remote.misdirected { nobody() } else { effect(state, now, wall) }
        };
        self.turn.call(port, limit, answer).await
    }

    /// Makes a job, as the ticket for this record allows once.
    pub async fn post(&self, record: &SendRecord, timeout: Duration) -> Result<Answer<CredentialBindingJob>, Error> {
        let (send, elsewhere) = (record.clone(), self.elsewhere);
        let post = move |state: &mut State, now, wall| {
            state.send(elsewhere, &send, now, wall).map(|item| Answer { item, server_time: None })
        };
        self.call(Port::CreateJob, timeout, unknown, post).await
    }

    /// No call may start, or last, beyond the time that its record gives it.
    fn check_deadline(&self, record: &impl Record, timeout: Duration) {
        let mut state = self.turn.seat.0.world.lock();
        let Some(announcement) = state.record.announced.get(record.id()) else { return };
        let deadline = announcement.begun + record.timeout();
        if Instant::now() >= deadline || Instant::now() + timeout > deadline {
            let id = record.id();
            state.violate(format!("a call under the record {id} was begun, or may last, beyond its time"));
        }
    }
}

fn unknown<T>() -> Result<T, Error> {
    Err(Error::NotFound { message: "another service knows nothing of this".to_owned() })
}

impl Remote for SimRemote {
    fn destination(&self) -> Destination {
        destination(if self.elsewhere { "https://other" } else { "https://service" })
    }

    async fn identity(&self, id: &str) -> Result<Identity, Error> {
        let (id, elsewhere) = (id.to_owned(), self.elsewhere);
        self.call(Port::Identity, SERVICE, unknown, move |state, _, _| state.remote.at(elsewhere).identity(&id)).await
    }

    async fn jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        let (id, elsewhere) = (identity_id.to_owned(), self.elsewhere);
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            let service = remote.at(elsewhere);
            service.list_jobs(&id, &mut Moment { now, wall, chance })
        };
        let nobody = || Ok(Listing { items: Vec::new(), server_time: None });
        self.call(Port::ListJobs, SERVICE, nobody, list).await
    }

    async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        let (identity, id, elsewhere) = (identity_id.to_owned(), job_id.to_owned(), self.elsewhere);
        let read = move |state: &mut State, now: Instant, wall| {
            let server_time = Some(Moment { now, wall, chance: &mut state.chance }.told());
            state.read_job(elsewhere, &identity, &id).map(|item| Answer { item, server_time })
        };
        self.call(Port::Job, SERVICE, unknown, read).await
    }

    async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let (username, elsewhere) = (username.to_owned(), self.elsewhere);
        let find = move |state: &mut State, _, _| state.remote.at(elsewhere).identities(&username);
        self.call(Port::Identities, SERVICE, || Ok(Vec::new()), find).await
    }

    async fn revoke_job(&self, identity_id: &str, job_id: &str) -> Result<(), Error> {
        let (identity, id, elsewhere) = (identity_id.to_owned(), job_id.to_owned(), self.elsewhere);
        let revoke = move |state: &mut State, now, _| state.remote.at(elsewhere).revoke(&identity, &id, now);
        self.call(Port::RevokeJob, SERVICE, unknown, revoke).await
    }

    async fn create_job(
        &self,
        ticket: Ticket<SendRecord>,
        timeout: Duration,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        self.check_deadline(ticket.record(), timeout);
        self.post(ticket.record(), timeout).await
    }

    async fn configs(&self) -> Result<Listing<RemoteConfig>, Error> {
        let (elsewhere, of_configs) = (self.elsewhere, self.of_configs);
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            remote.at(elsewhere).list_configs(&mut Moment { now, wall, chance })
        };
        let empty = || Ok(Listing { items: Vec::new(), server_time: None });
        self.call(Port::ListConfigs, SERVICE, move || if of_configs { foreign() } else { empty() }, list).await
    }

    async fn config(&self, id: &str) -> Result<RemoteConfig, Error> {
        let id = id.to_owned();
        self.call(Port::Config, SERVICE, foreign, move |state, _, _| state.remote.service.config(&id)).await
    }

    async fn create_config(
        &self,
        ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<RemoteConfig, Error> {
        let (record, config) = (ticket.record().clone(), config.clone());
        self.check_deadline(&record, timeout);
        let post = move |state: &mut State, now, wall| state.create_config(&record, &config, now, wall);
        self.call(Port::CreateConfig, timeout, foreign, post).await
    }

    async fn patch_config(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<(), Error> {
        let (id, patch) = (id.to_owned(), patch.clone());
        let change = move |state: &mut State, now, _: Timestamp| state.remote.service.patch_config(&id, &patch, now);
        self.call(Port::PatchConfig, SERVICE, foreign, change).await
    }

    async fn delete_config(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        let delete = move |state: &mut State, now, wall| state.delete_config(&id, now, wall);
        self.call(Port::DeleteConfig, SERVICE, foreign, delete).await
    }
}

/// What another service says to calls about configurations: not in the form of the API.
fn foreign<T>() -> Result<T, Error> {
    Err(InjectedFailure::Foreign.into())
}
