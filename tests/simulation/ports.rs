//! The simulated ports of the operator.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, Reason};
use beyond_identity_operator::reconcile::{Environment, EventToEmit, Objects, Referrers, WriteError};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use crate::actors::{self, Action};
use crate::faults::Port;
use crate::invariants;
use crate::kubernetes::{Kind, Objects as Known, key};
use crate::points::CallSite;
use crate::process::Process;
use crate::reconciles::KUBERNETES;
use crate::specs;
use crate::world::State;

/// How long a process that deletes an object remembers a refused status. It can be suspended meanwhile.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The answer where the operator has no Role.
const FORBIDDEN: &str = "the operator has no Role in the namespace";

/// The backend of a process.
pub struct SimBackend(pub CallSite);

impl<K: Kind> Objects<K> for SimBackend {
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        K::cache(&self.0.0).lock().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        let key = (namespace.to_owned(), name.to_owned());
        let read = move |state: &mut State, _, _| {
            if state.denies(&key.0) {
                return Err(FORBIDDEN.to_owned());
            }
            Ok(K::table(state).objects.get(&key).map(|it| (**it).clone()))
        };
        self.0.call(K::READ, KUBERNETES, read).await
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        self.0.0.world.lock().record.announce(&self.0.0.name, object);
        let (object, name) = (object.clone(), self.0.0.name.clone());
        let write = move |state: &mut State, _, wall: Timestamp| {
            let written = if state.denies(&key(&object).0) {
                state.record.refused_at = Some(Instant::now());
                Err(WriteError::Refused(FORBIDDEN.to_owned()))
            } else if state.cluster.policy_since.is_some() {
                state.record.refused_at = Some(Instant::now());
                Err(WriteError::Refused("an admission policy refuses it".to_owned()))
            } else {
                state.write_status(&object, false)
            };
            if let Ok(written) = &written {
                written.check(state);
                actors::replace(state, written, wall);
                state.log_detail(|| format!("{name}: status of {:?} is {}", key(written), written.summary()));
            }
            written
        };
        self.0.call(K::WRITE, KUBERNETES, write).await
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        let object = object.clone();
        let saw_token = self.0.0.saw_token.load(Ordering::SeqCst);
        let patch = move |state: &mut State, _, wall: Timestamp| {
            if state.denies(&key(&object).0) {
                return Err(WriteError::Refused(FORBIDDEN.to_owned()));
            }
            let patched = state.set_finalizer(&object, present)?;
            let key = key(&patched);
            let is_deleted = K::READ == Port::ReadRequest && !state.cluster.requests.objects.contains_key(&key);
            if let Some(selector) = state.plans.recreate.remove(&key).filter(|_| is_deleted) {
                state
                    .plans
                    .actions
                    .retain(|action| !matches!(action, Action::CreateRequest { key: other, .. } if *other == key));
                let recreated = specs::request(&key, &specs::identity(state, &selector));
                state.create(recreated, wall);
            }
            // Without a token, a process cannot search for the result of a call in doubt, so the grace period ends it.
            // An event reports a result that only another endpoint has. With refused statuses, the result may be known
            // but not stored.
            let blind = state.remote.secret_deleted && !saw_token;
            let reported = patched.uid().is_some_and(|uid| state.record.tampered.contains(&uid));
            let unwritable = state.record.refused_at.is_some_and(|at| at.elapsed() < REMEMBERED);
            if !present && patched.announced().is_some() && !blind && !reported && !unwritable {
                state.violate(format!("the finalizer of {key:?} was removed with a call in doubt"));
            }
            Ok(patched)
        };
        self.0.call(K::FINALIZE, KUBERNETES, patch).await
    }

    fn emit_event(&self, object: &K, event: EventToEmit) {
        let EventToEmit { type_, reason, note } = event;
        if reason == Reason::InternalError {
            self.0.0.world.lock().violate(format!("{:?}: {note}", key(object)));
        }
        if reason == Reason::RemoteResourceRetained {
            invariants::after_retained_event(&mut self.0.0.world.lock(), object, &note);
            if type_ == EventType::Warning {
                invariants::after_retained_warning(&self.0.0.world, object, &note);
            }
        }
        self.0.0.world.log(format_args!("{}: event for {:?}: {reason}: {note}", self.0.0.name, key(object)));
    }
}

/// The referrers of a configuration: from the cache, or from the API server if the cache has none.
impl Referrers for SimBackend {
    async fn referrers_of(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let cached = referrers(&self.0.0.requests.lock(), namespace, name);
        if !cached.is_empty() {
            return Ok(cached);
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let list = move |state: &mut State, _, _| {
            if state.denies(&namespace) {
                return Err(FORBIDDEN.to_owned());
            }
            Ok(referrers(&state.cluster.requests.objects, &namespace, &name))
        };
        self.0.call(Port::ListReferrers, KUBERNETES, list).await
    }
}

fn referrers(requests: &Known<EnrollmentRequest>, namespace: &str, name: &str) -> Vec<String> {
    let refers = |request: &&Arc<EnrollmentRequest>| {
        request.metadata.deletion_timestamp.is_none()
            && request.namespace().as_deref() == Some(namespace)
            && request.spec.authenticator_config_ref.name == name
    };
    requests.values().filter(refers).map(|request| request.name_any()).collect()
}

pub struct SimEnvironment(pub Arc<Process>);

impl Environment for SimEnvironment {
    fn now(&self) -> Timestamp {
        let jumped = self.0.world.lock().clock_jumps - self.0.clock_jumps;
        self.0.world.wall().checked_add(self.0.skew + jumped).expect("within the calendar")
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    fn monotonic_time(&self) -> Timestamp {
        let (wall, started_at) = self.0.started_at;
        wall.checked_add(started_at.elapsed()).expect("within the calendar")
    }

    fn nonce(&self) -> String {
        format!("nonce-{}", self.0.world.lock().number())
    }

    fn random(&self) -> f64 {
        self.0.world.lock().chance.part()
    }

    fn may_call_service(&self) -> bool {
        !self.0.ending.load(Ordering::SeqCst) && self.0.is_leader()
    }
}
