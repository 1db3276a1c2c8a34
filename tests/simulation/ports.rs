//! The operator's ports, over the world.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::api::{EnrollmentRequest, Reason};
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity,
    NewAuthenticatorConfig,
};
use beyond_identity_operator::beyond_identity::{Answer, Error, Listing};
use beyond_identity_operator::reconcile::write_ahead::Record;
use beyond_identity_operator::reconcile::{
    Announcement, Destination, Environment, Objects, RealmIds, Ticket, Users, WriteError,
};
use beyond_identity_operator::{authenticator_config, enrollment_request};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use crate::actors::{self, Act};
use crate::faults::Port;
use crate::invariants;
use crate::kubernetes::{Kind, Objects as Known, key};
use crate::looks::{KUBERNETES, SERVICE};
use crate::mishap::Mishap;
use crate::points::Seat;
use crate::process::Process;
use crate::service::Moment;
use crate::specs;
use crate::turns::Turn;
use crate::world::State;

/// For how long a process that deletes an object goes by it that a status was refused; it can be suspended meanwhile.
const REMEMBERED: Duration = Duration::from_secs(300);

pub struct SimObjects<K> {
    seat: Seat,
    kind: PhantomData<fn() -> K>,
}

impl<K> SimObjects<K> {
    pub fn of(process: &Arc<Process>) -> Self {
        Self { seat: Seat(process.clone()), kind: PhantomData }
    }
}

impl<K: Kind> Objects<K> for SimObjects<K> {
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        K::cache(&self.seat.0).lock().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        let key = (namespace.to_owned(), name.to_owned());
        let read = move |state: &mut State, _, _| Ok(K::table(state).objects.get(&key).map(|it| (**it).clone()));
        self.seat.call(K::READ, KUBERNETES, read).await
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        self.seat.0.world.lock().record.announce(object);
        let (object, name) = (object.clone(), self.seat.0.name.clone());
        let write = move |state: &mut State, _, wall: Timestamp| {
            let written = if state.cluster.policy_since.is_some() {
                state.record.refused_at = Some(Instant::now());
                Err(WriteError::Refused("an admission policy refuses it".to_owned()))
            } else {
                state.write_status(&object, false)
            };
            if let Ok(written) = &written {
                written.check(state);
                actors::replace(state, written, wall);
                state.add(|| format!("{name}: status of {:?} is {}", key(written), written.brief()));
            }
            written
        };
        self.seat.call(K::WRITE, KUBERNETES, write).await
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        let object = object.clone();
        let saw_token = self.seat.0.saw_token.load(Ordering::SeqCst);
        let patch = move |state: &mut State, _, wall: Timestamp| {
            let patched = state.set_finalizer(&object, present)?;
            let key = key(&patched);
            let is_gone = K::READ == Port::ReadRequest && !state.cluster.requests.objects.contains_key(&key);
            if let Some(who) = state.plans.again.remove(&key).filter(|_| is_gone) {
                state.plans.acts.retain(|act| !matches!(act, Act::CreateRequest { key: other, .. } if *other == key));
                let again = specs::request(&key, &specs::identity(state, &who));
                state.create(again, wall);
            }
            // Who has never seen a token cannot look for what may have come of it, and lets it go after the grace period. What
            // only another one can tell is told first; and what came of it may be known, and not written down.
            let blind = state.remote.secretless && !saw_token;
            let told = patched.uid().is_some_and(|uid| state.record.touched.contains(&uid));
            let unwritable = state.record.refused_at.is_some_and(|at| at.elapsed() < REMEMBERED);
            if !present && patched.announced().is_some() && !blind && !told && !unwritable {
                state.violate(format!("{key:?} was let go in doubt"));
            }
            Ok(patched)
        };
        self.seat.call(K::FINALIZE, KUBERNETES, patch).await
    }

    fn announce(&self, object: &K, announcement: Announcement) {
        let Announcement { type_, reason, note } = announcement;
        if reason == Reason::InternalError {
            self.seat.0.world.lock().violate(format!("{:?}: {note}", key(object)));
        }
        if reason == Reason::LeftBehind {
            invariants::told(&mut self.seat.0.world.lock(), object, &note);
            if type_ == EventType::Warning {
                invariants::left_behind(&self.seat.0.world, object, &note);
            }
        }
        self.seat.0.world.say(format_args!("{}: event for {:?}: {reason}: {note}", self.seat.0.name, key(object)));
    }
}

/// Who refers to a configuration: as the cache has it, and where it has nobody, as the API server does.
pub struct SimUsers(pub Seat);

impl Users for SimUsers {
    async fn of(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let cached = users(&self.0.0.requests.lock(), namespace, name);
        if !cached.is_empty() {
            return Ok(cached);
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let list = move |state: &mut State, _, _| Ok(users(&state.cluster.requests.objects, &namespace, &name));
        self.0.call(Port::ListUsers, KUBERNETES, list).await
    }
}

fn users(requests: &Known<EnrollmentRequest>, namespace: &str, name: &str) -> Vec<String> {
    let refers = |request: &&Arc<EnrollmentRequest>| {
        request.metadata.deletion_timestamp.is_none()
            && request.namespace().as_deref() == Some(namespace)
            && request.spec.authenticator_config_ref.name == name
    };
    requests.values().filter(refers).map(|request| request.name_any()).collect()
}

/// The way to a service.
pub struct SimRemote {
    pub turn: Turn,
    /// Whether it is the other one.
    pub elsewhere: bool,
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
    Err(Error::Gone { message: "another service knows nothing of this".to_owned() })
}

impl enrollment_request::Remote for SimRemote {
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

    async fn config_ids(&self) -> Result<BTreeSet<String>, Error> {
        let elsewhere = self.elsewhere;
        let list = move |state: &mut State, now, wall| {
            let State { remote, chance, .. } = state;
            let service = remote.at(elsewhere);
            let listing = service.list_configs(&mut Moment { now, wall, chance })?;
            Ok(listing.items.into_iter().map(|config| config.id).collect())
        };
        self.call(Port::ListConfigs, SERVICE, || Ok(BTreeSet::new()), list).await
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
}

/// What another service says to calls about configurations: not in the form of the API.
fn foreign<T>() -> Result<T, Error> {
    Err(Mishap::Foreign.into())
}

impl authenticator_config::Remote for SimRemote {
    fn destination(&self) -> Destination {
        destination("https://service")
    }

    async fn configs(&self) -> Result<Listing<RemoteConfig>, Error> {
        let list = |state: &mut State, now, wall| {
            state.remote.service.list_configs(&mut Moment { now, wall, chance: &mut state.chance })
        };
        self.call(Port::ListConfigs, SERVICE, foreign, list).await
    }

    async fn config(&self, id: &str) -> Result<RemoteConfig, Error> {
        let id = id.to_owned();
        self.call(Port::Config, SERVICE, foreign, move |state, _, _| state.remote.service.config(&id)).await
    }

    async fn create(
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

    async fn patch(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<(), Error> {
        let (id, patch) = (id.to_owned(), patch.clone());
        let change = move |state: &mut State, now, _: Timestamp| state.remote.service.patch_config(&id, &patch, now);
        self.call(Port::PatchConfig, SERVICE, foreign, change).await
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        let delete = move |state: &mut State, now, wall| state.delete_config(&id, now, wall);
        self.call(Port::DeleteConfig, SERVICE, foreign, delete).await
    }
}

pub struct SimEnvironment(pub Arc<Process>);

impl Environment for SimEnvironment {
    fn now(&self) -> Timestamp {
        let jumped = self.0.world.lock().clocks - self.0.clocks;
        self.0.world.wall().checked_add(self.0.skew + jumped).expect("within the calendar")
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn steady(&self) -> Timestamp {
        let (wall, began) = self.0.began;
        wall.checked_add(began.elapsed()).expect("within the calendar")
    }

    fn nonce(&self) -> String {
        format!("nonce-{}", self.0.world.lock().number())
    }

    fn chance(&self) -> f64 {
        self.0.world.lock().chance.part()
    }

    fn may_write(&self) -> bool {
        !self.0.ending.load(Ordering::SeqCst) && self.0.leads()
    }
}
