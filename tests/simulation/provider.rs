//! The provider config of a process: its controller, which checks the credentials, and the invariants about refused tokens
//! and about pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beyond_identity_operator::api::{ProviderConfigKey, ProviderConfigRef, Reason};
use beyond_identity_operator::beyond_identity::operation::{FIND_IDENTITIES, LIST_CONFIGS, LIST_JOBS};
use beyond_identity_operator::beyond_identity::{Error, NotSent, RealmCheck, Refusal};
use beyond_identity_operator::health::{Healths, Restrictions, TokenClaims};
use beyond_identity_operator::reconcile::Failure;
use beyond_identity_operator::triggers;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::actors::{Action, Object};
use crate::chance::Chance;
use crate::faults::Port;
use crate::mutants::Mutation;
use crate::points::CallSite;
use crate::process::Process;
use crate::reconciles::{CLUSTER, SERVICE};
use crate::world::State;

/// The pause between two checks of accepted credentials.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How often a provider config without credentials is looked at.
const UNUSABLE: Duration = Duration::from_secs(60);
/// The maximum time until a process acts on a pause, or on a refusal that it received: watches lag, checks fail, and a
/// process can be suspended between two calls.
const PROPAGATION: Duration = Duration::from_secs(600);
/// The maximum time until all objects continue after the credentials are accepted again and no pause is left. Objects that
/// are not enqueued retry later.
const TO_RESUME: Duration = Duration::from_secs(450);

/// The only provider config.
pub fn key() -> ProviderConfigKey {
    ProviderConfigRef::default().resolve("")
}

/// The failure of objects while the Secret is deleted.
pub fn secret_deleted() -> Failure {
    Failure::blocked(Reason::SecretNotFound, "the Secret is deleted")
}

/// The provider config as one process knows it.
pub struct Provider {
    pub healths: Arc<Healths>,
    /// Notified when a reconcile is requested.
    requested: Arc<Notify>,
    /// Whether the watch shows a pause.
    is_paused: AtomicBool,
    /// What the invariants need to know.
    known: Mutex<Known>,
}

/// What a process has learned about the provider config.
#[derive(Debug, Default)]
struct Known {
    /// Whether the last reconcile saw a pause.
    is_paused: bool,
    /// The token that the last check found refused.
    checked: Option<u64>,
    /// A refused token, and when its first refusal was received.
    refused: Option<(u64, Instant)>,
}

impl Provider {
    pub fn new(is_paused: bool) -> Self {
        let requested = Arc::new(Notify::new());
        let notify = requested.clone();
        let healths = Healths::new(CLUSTER, move |_| notify.notify_one());
        Self { healths, requested, is_paused: AtomicBool::new(is_paused), known: Mutex::default() }
    }

    /// The watch shows a change of the provider config or its Secret.
    pub fn observe(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::SeqCst);
        self.requested.notify_one();
    }

    /// Whether the watch shows a pause.
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::SeqCst)
    }
}

/// The actions on the provider config in a run. They are drawn separately, so that they change no other part of its schedule.
pub fn actions(seed: u64) -> Vec<Action> {
    use Action::{AcceptToken, PauseProvider, RefuseToken, ReplaceToken, ResumeProvider};
    let mut chance = Chance::of(!seed ^ (1 << 40));
    let mut actions = Vec::new();
    if chance.happens(0.15) {
        actions.extend([RefuseToken, RefuseToken]);
        actions.extend(if chance.happens(0.7) { vec![AcceptToken, AcceptToken] } else { Vec::new() });
    }
    if chance.happens(0.1) {
        actions.extend([ReplaceToken, ReplaceToken]);
    }
    if chance.happens(0.15) {
        actions.push(PauseProvider);
        actions.extend(chance.happens(0.5).then_some(ResumeProvider));
    }
    actions
}

/// The controller of the provider config.
pub async fn control(process: Arc<Process>) {
    process.wait_until_seeded().await;
    loop {
        process.wait_while_suspended().await;
        let due = reconcile(&process).await;
        tokio::select! {
            biased;
            () = process.provider.requested.notified() => {}
            () = sleep_until(due) => {}
        }
    }
}

/// Checks the credentials if that is due, and lets waiting objects continue. Returns when the next reconcile is due.
async fn reconcile(process: &Arc<Process>) -> Instant {
    let mutation = Mutation::of(process);
    let (key, Provider { healths, known, .. }) = (key(), &process.provider);
    let is_paused = process.provider.is_paused();
    known.lock().is_paused = is_paused;
    let is_paused = mutation.sees_pause(is_paused);
    let (token, version, is_deleted) = {
        let remote = &process.world.lock().remote;
        (remote.token, remote.version(), remote.secret_deleted)
    };
    if is_deleted {
        known.lock().checked = None;
        healths.unusable(&key, &secret_deleted(), is_paused);
        return Instant::now() + UNUSABLE;
    }
    let restrictions = Restrictions { is_paused, ..Restrictions::default() };
    let mut health = healths.begin(&key, version, "tenant", &TokenClaims::default(), restrictions);
    if !health.is_known() {
        known.lock().checked = None;
    }
    let begun = Instant::now();
    if health.due_at(begun) <= begun {
        let authorize = move |state: &mut State, _, _| state.remote.authorize(token);
        let answer = CallSite(process.clone()).call(Port::CheckCredentials, SERVICE, authorize).await;
        after_a_check(process, token, &answer);
        let reads = vec![LIST_CONFIGS, FIND_IDENTITIES, LIST_JOBS];
        let check = match answer {
            Ok(()) => RealmCheck { granted: reads, ..RealmCheck::default() },
            Err(error) => RealmCheck { failure: Some(error), ..RealmCheck::default() },
        };
        if let Some(checked) = healths.checked(&key, version, &check, begun, INTERVAL) {
            let is_refused = checked.refusal().is_some_and(|why| why.why.reason == Reason::Unauthorized);
            known.lock().checked = is_refused.then_some(token);
            health = checked;
        }
    }
    if mutation.wakes() && healths.release_waiting(&key) {
        process.world.log(format_args!("{}: objects continue", process.name));
        process.enqueue(triggers::provider_config_ready(&key, &**process));
    }
    let now = Instant::now();
    health.due_at(now).min(health.next_trial(now).unwrap_or(now + INTERVAL))
}

/// Whether an error is a refusal of the token.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Refused { cause: Refusal::Unauthorized, .. })
}

fn after_a_check(process: &Process, token: u64, answer: &Result<(), Error>) {
    match answer {
        Err(Error::Retry { cause: NotSent::TooManyCalls, .. }) => process.provider.known.lock().refused = None,
        Err(error) if is_refused(error) => {
            process.world.lock().record.refused_tokens.insert(token);
            process.provider.received_refusal(token);
        }
        _ => {}
    }
}

/// After a call of an object.
pub fn after_a_call(process: &Process, object: &Object, token: u64, port: Port, error: Option<&Error>) {
    {
        // The service refuses this call only, so the object retries by itself.
        let State { record, remote, .. } = &mut *process.world.lock();
        record.single_refusals.retain(|other| other != object);
        if error.is_some_and(is_refused) && !remote.refused.contains_key(&token) {
            record.single_refusals.push(object.clone());
        }
    }
    let Some(error) = error else { return };
    let removes = matches!(port, Port::RevokeJob | Port::DeleteConfig);
    let mut state = process.world.lock();
    if is_refused(error) && !removes {
        state.record.refused_tokens.insert(token);
        drop(state);
        process.provider.received_refusal(token);
    } else if matches!(error, Error::Refused { cause: Refusal::Forbidden, .. }) && !removes {
        state.record.refused_scope = true;
    }
}

impl Provider {
    fn received_refusal(&self, token: u64) {
        let mut known = self.known.lock();
        if known.refused.is_none_or(|(other, _)| other != token) {
            known.refused = Some((token, Instant::now()));
        }
    }
}

/// Before a call of an object: the process does not know that the token is refused, and nothing is created during a pause.
pub fn before_a_call(process: &Process, token: u64, port: Port) {
    let mut state = process.world.lock();
    let mut known = process.provider.known.lock();
    let name = &process.name;
    if matches!(port, Port::CreateJob | Port::CreateConfig) {
        let since = state.remote.paused_since.filter(|since| since.elapsed() > PROPAGATION);
        if known.is_paused || since.is_some() {
            state.violate(format!("{name} starts {port:?}, although the provider config is paused"));
        }
    }
    let Some(since) = state.remote.refused.get(&token).copied() else {
        // A refusal before the service accepted the token again.
        known.refused = None;
        return;
    };
    if known.checked == Some(token) {
        state.violate(format!("{name} starts {port:?}, although a check has found that the token is refused"));
    }
    match known.refused {
        Some((refused, at)) if refused == token && since <= at && at.elapsed() > PROPAGATION => {
            let elapsed = at.elapsed();
            state.violate(format!("{name} starts {port:?}, although the token was refused {elapsed:?} ago"));
        }
        Some((refused, at)) if refused == token && since > at => known.refused = None,
        _ => {}
    }
}

/// After an object or a call was held back for `reason`: the service has refused the token or a scope, and not only for a
/// removal.
pub fn after_held_back(process: &Process, token: u64, reason: &str) {
    let mut state = process.world.lock();
    state.record.held_back += 1;
    let is_refused = state.record.refused_tokens.contains(&token);
    if (reason.contains("Unauthorized") && !is_refused)
        || (reason.contains("MissingScopes") && !state.record.refused_scope)
    {
        state.violate(format!(
            "{}: an object was held back, but the service never refused that: {reason}",
            process.name
        ));
    }
}

/// Some time after the end of all disturbances, no object still shows them.
pub fn check_resumed(state: &mut State) {
    if state.restored.is_none_or(|since| since.elapsed() <= TO_RESUME) {
        return;
    }
    let waits = |conditions: &[Condition]| {
        let reasons = [Reason::Unauthorized, Reason::ProviderConfigPaused].map(|reason| reason.to_string());
        conditions.iter().any(|condition| reasons.contains(&condition.reason))
    };
    let requests = state.cluster.requests.objects.iter();
    let requests =
        requests.map(|(key, it)| (Object::Request(key.clone()), it.status.as_ref().map(|it| &it.conditions)));
    let configs = state.cluster.configs.objects.iter();
    let configs = configs.map(|(key, it)| (Object::Config(key.clone()), it.status.as_ref().map(|it| &it.conditions)));
    let waiting = requests.chain(configs).find(|(object, conditions)| {
        conditions.is_some_and(|it| waits(it)) && !state.record.single_refusals.contains(object)
    });
    if let Some((object, _)) = waiting {
        let what = format!("{object:?} still waits {TO_RESUME:?} after its provider config is Ready again");
        state.violate(what);
    }
}
