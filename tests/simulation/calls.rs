//! The simulated calls to the service.

use std::time::Duration;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity,
    NewAuthenticatorConfig, PatchedConfig,
};
use beyond_identity_operator::beyond_identity::{
    Answer, Error, Gate, Held, JobsPage, Listing, NotSent, Operation, RealmPage, operation,
};
use beyond_identity_operator::reconcile::write_ahead::Record;
use beyond_identity_operator::reconcile::{Destination, RealmIds, Remote, Ticket};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::budget;
use crate::faults::Port;
use crate::injected_failure::InjectedFailure;
use crate::invariants;
use crate::process::Process;
use crate::provider;
use crate::reconciles::SERVICE;
use crate::service::Moment;
use crate::turns::CallPermit;
use crate::world::State;

/// The client of a service.
pub struct SimRemote {
    pub permit: CallPermit,
    /// The token of its calls.
    pub token: u64,
    /// Stops the calls while the provider config is not Ready. The last known token has none.
    pub gate: Option<Box<dyn Gate>>,
    /// Whether it calls the service at the other endpoint.
    pub other_endpoint: bool,
    /// Whether it is for a configuration. Then a misrouted call gets an answer that is not in the form of the API.
    pub of_configs: bool,
}

/// The operation of a port.
fn operation(port: Port) -> Operation {
    match port {
        Port::Identity => operation::GET_IDENTITY,
        Port::Identities | Port::ListIdentities => operation::FIND_IDENTITIES,
        Port::ListJobs => operation::LIST_JOBS,
        Port::ListAllJobs => operation::LIST_ALL_JOBS,
        Port::Job => operation::GET_JOB,
        Port::CreateJob => operation::CREATE_JOB,
        Port::RevokeJob => operation::REVOKE_JOB,
        Port::ListConfigs => operation::LIST_CONFIGS,
        Port::Config => operation::GET_CONFIG,
        Port::CreateConfig => operation::CREATE_CONFIG,
        Port::PatchConfig => operation::PATCH_CONFIG,
        Port::DeleteConfig => operation::DELETE_CONFIG,
        other => unreachable!("{other:?} does not call the service for an object"),
    }
}

fn destination(endpoint: &str) -> Destination {
    let realm = RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() };
    Destination { realm, endpoint: endpoint.to_owned() }
}

impl SimRemote {
    /// Calls the service. While calls are misrouted, the answer is `misrouted`, from a service without any identity.
    async fn call<T, F>(
        &self,
        port: Port,
        limit: Duration,
        misrouted: impl FnOnce() -> Result<T, Error> + Send + 'static,
        effect: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, Error> + Send + 'static,
    {
        let Self { permit, token, gate, .. } = self;
        let (process, token) = (&permit.site.0, *token);
        if let Some(gate) = gate {
            gate.begin(operation(port)).map_err(|held| self.held_back(held))?;
            provider::before_a_call(process, token, port);
        }
        if port.is_remote_write() {
            invariants::before_a_remote_write(process, port);
        }
        let answer = move |state: &mut State, now, wall| {
            if state.remote.misrouted {
                return misrouted();
            }
            state.remote.authorize(token)?;
            effect(state, now, wall)
        };
        let begun = Instant::now();
        let answer = permit.call(port, limit, answer).await;
        if let Some(gate) = gate {
            let error = answer.as_ref().err();
            provider::after_a_call(process, &permit.object(), token, port, error);
            gate.end(operation(port), begun, error);
        }
        answer
    }

    /// As the client classifies it.
    fn held_back(&self, held: Held) -> Error {
        let message = match held {
            Held::RateLimited(_) => return InjectedFailure::RateLimited.into(),
            Held::Stopped(why) => why,
        };
        provider::after_held_back(&self.permit.site.0, self.token, &message);
        Error::Retry { cause: NotSent::Stopped, after: None, message }
    }

    /// Creates a job, as the ticket of this record allows once.
    pub async fn post(&self, record: &SendRecord, timeout: Duration) -> Result<Answer<CredentialBindingJob>, Error> {
        let (send, other_endpoint) = (record.clone(), self.other_endpoint);
        let post = move |state: &mut State, now, wall| {
            state.send(other_endpoint, &send, now, wall).map(|item| Answer { item, server_time: None })
        };
        self.call(Port::CreateJob, timeout, not_found, post).await
    }

    /// Checks that the call starts and ends within the time of its record.
    fn check_deadline(&self, record: &impl Record, timeout: Duration) {
        let mut state = self.permit.site.0.world.lock();
        let Some(announcement) = state.record.announced.get(record.id()) else { return };
        let deadline = announcement.started + record.timeout();
        if Instant::now() >= deadline || Instant::now() + timeout > deadline {
            let id = record.id();
            state.violate(format!("a call of the record {id} starts or may end after its deadline"));
        }
    }
}

fn empty_page<T>() -> Result<RealmPage<T>, Error> {
    Ok(RealmPage { items: Vec::new(), total_size: Some(0), next_page_token: None, server_time: None })
}

fn not_found<T>() -> Result<T, Error> {
    Err(Error::NotFound { message: "not found by another service".to_owned() })
}

impl Remote for SimRemote {
    fn destination(&self) -> Destination {
        destination(if self.other_endpoint { "https://other" } else { "https://service" })
    }

    async fn identity(&self, id: &str) -> Result<Identity, Error> {
        let (id, other_endpoint) = (id.to_owned(), self.other_endpoint);
        self.call(Port::Identity, SERVICE, not_found, move |state, _, _| state.remote.at(other_endpoint).identity(&id))
            .await
    }

    async fn jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        let (id, other_endpoint) = (identity_id.to_owned(), self.other_endpoint);
        let lister = budget::lister(&self.permit.site.0.name, &self.permit.key);
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, record, .. } = state;
            record.listed.insert(lister, now);
            let service = remote.at(other_endpoint);
            let mut moment = Moment { now, wall, chance };
            let (list, time) = (service.list_jobs(&id, &mut moment)?, moment.server_time());
            Ok(state.list_through_proxy(&id, list, time))
        };
        let empty = || Ok(Listing { items: Vec::new(), server_time: None });
        self.call(Port::ListJobs, SERVICE, empty, list).await
    }

    async fn page_of_all_jobs(&self, page_token: Option<String>) -> Result<JobsPage, Error> {
        let other_endpoint = self.other_endpoint;
        if page_token.is_none() && self.permit.is_pending {
            let Process { name, world, .. } = &*self.permit.site.0;
            world.lock().record.lists_of_realm.entry(name.clone()).or_default().push(Instant::now());
        }
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            let mut moment = Moment { now, wall, chance };
            let page = remote.at(other_endpoint).page_of_all_jobs(page_token.as_deref(), &mut moment)?;
            let server_time = page.server_time.map(|time| state.time_through_proxy(time));
            Ok(RealmPage { server_time, ..page })
        };
        self.call(Port::ListAllJobs, SERVICE, empty_page, list).await
    }

    async fn page_of_identities(&self, page_token: Option<String>) -> Result<RealmPage<Identity>, Error> {
        let other_endpoint = self.other_endpoint;
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            remote.at(other_endpoint).page_of_identities(page_token.as_deref(), &mut Moment { now, wall, chance })
        };
        self.call(Port::ListIdentities, SERVICE, empty_page, list).await
    }

    async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        let (identity, id, other_endpoint) = (identity_id.to_owned(), job_id.to_owned(), self.other_endpoint);
        let read = move |state: &mut State, now: Instant, wall| {
            let server_time = Moment { now, wall, chance: &mut state.chance }.server_time();
            let server_time = Some(state.time_through_proxy(server_time));
            state.read_job(other_endpoint, &identity, &id).map(|item| Answer { item, server_time })
        };
        self.call(Port::Job, SERVICE, not_found, read).await
    }

    async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let (username, other_endpoint) = (username.to_owned(), self.other_endpoint);
        let find = move |state: &mut State, _, _| state.remote.at(other_endpoint).identities_by_username(&username);
        self.call(Port::Identities, SERVICE, || Ok(Vec::new()), find).await
    }

    async fn revoke_job(&self, identity_id: &str, job_id: &str) -> Result<(), Error> {
        let (identity, id, other_endpoint) = (identity_id.to_owned(), job_id.to_owned(), self.other_endpoint);
        let revoke = move |state: &mut State, now, _| state.revoke(other_endpoint, &identity, &id, now);
        self.call(Port::RevokeJob, SERVICE, not_found, revoke).await
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
        let (other_endpoint, of_configs) = (self.other_endpoint, self.of_configs);
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            remote.at(other_endpoint).list_configs(&mut Moment { now, wall, chance })
        };
        let empty = || Ok(Listing { items: Vec::new(), server_time: None });
        self.call(Port::ListConfigs, SERVICE, move || if of_configs { foreign_answer() } else { empty() }, list).await
    }

    async fn config(&self, id: &str) -> Result<RemoteConfig, Error> {
        let id = id.to_owned();
        self.call(Port::Config, SERVICE, foreign_answer, move |state, _, _| state.remote.service.config(&id)).await
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
        self.call(Port::CreateConfig, timeout, foreign_answer, post).await
    }

    async fn patch_config(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<PatchedConfig, Error> {
        let (id, patch) = (id.to_owned(), patch.clone());
        let change = move |state: &mut State, now, _: Timestamp| state.remote.service.patch_config(&id, &patch, now);
        self.call(Port::PatchConfig, SERVICE, foreign_answer, change).await
    }

    async fn delete_config(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        let delete = move |state: &mut State, now, wall| state.delete_config(&id, now, wall);
        self.call(Port::DeleteConfig, SERVICE, foreign_answer, delete).await
    }
}

/// The answer of another service to calls about configurations, which is not in the form of the API.
fn foreign_answer<T>() -> Result<T, Error> {
    Err(InjectedFailure::Foreign.into())
}
