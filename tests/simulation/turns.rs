//! Resolution of realms, and the rate limit of calls to the service: a limited object is enqueued again later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef};
use beyond_identity_operator::beyond_identity::{Error, Gate, Held, NotSent, Operation};
use beyond_identity_operator::health::{self, HealthGate, Purpose};
use beyond_identity_operator::reconcile::{Caller, Failure, FailureKind, KindName, Permissions, Realms, Resolved};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::actors::Object;
use crate::calls::SimRemote;
use crate::faults::Port;
use crate::kubernetes::Key;
use crate::mutants::Mutation;
use crate::observed;
use crate::points::CallSite;
use crate::ports::SimBackend;
use crate::process::Process;
use crate::provider;
use crate::reconciles::KUBERNETES;
use crate::world::State;

/// The maximum time until all processes observe a pause: watches lag, and a process can be suspended between two calls.
const PROPAGATION: Duration = Duration::from_secs(600);

impl Realms for SimBackend {
    type Remote = SimRemote;

    async fn resolve(&self, caller: Caller, _reference: &ProviderConfigRef) -> Result<Resolved<SimRemote>, Failure> {
        let Self(site) = self;
        let of_configs = caller.object.kind == KindName::AuthenticatorConfig;
        let key = (caller.object.namespace.clone(), caller.object.name.clone());
        let permit = CallPermit { site: site.clone(), key, of_configs, is_pending: caller.is_pending };
        {
            let mut state = site.0.world.lock();
            let paused_since = if of_configs {
                state.paused_since::<AuthenticatorConfig>(&permit.key)
            } else {
                state.paused_since::<EnrollmentRequest>(&permit.key)
            };
            if let Some(since) = paused_since.filter(|since| since.elapsed() > PROPAGATION) {
                state.violate(format!(
                    "{:?} is reconciled, although it has been paused for {:?}",
                    permit.key,
                    since.elapsed()
                ));
            }
        }
        let resolved: Result<(), Failure> = site.call(Port::ResolveRealm, KUBERNETES, |_, _, _| Ok(())).await;
        resolved.inspect_err(|failure| permit.enqueue_later(failure.kind == FailureKind::RateLimited))?;
        let process = &site.0;
        let is_deleted = check_token(process, &permit.key, caller.is_removing)?;
        let (other_endpoint, enrollment, no_revoking_adopted, token, version) = {
            let state = process.world.lock();
            let (remote, no_revoking_adopted) = (&state.remote, observed::no_revoking_adopted(&state));
            let other_endpoint = !of_configs && remote.other_endpoint;
            (other_endpoint, remote.limits.clone(), no_revoking_adopted, remote.token, remote.version())
        };
        let (provider, healths) = (provider::key(), &process.provider.healths);
        let mut not_allowed = is_deleted.clone();
        let (token, gate) = if is_deleted.is_some() {
            // The last known token is not the one that the health is about.
            (process.last_token.load(Ordering::SeqCst), None)
        } else {
            let purpose = Purpose { kind: caller.object.kind, is_new: caller.is_new };
            let admitted = healths.admit(&provider, version, purpose, true).await;
            process.wait_while_suspended().await;
            admitted
                .inspect_err(|failure| provider::after_held_back(process, token, &failure.why.reason.to_string()))?;
            if Mutation::of(process).sees_pause(process.provider.is_paused()) {
                healths.holds_back(&provider);
                process.world.lock().record.held_back += 1;
                not_allowed = Some(health::paused(&provider));
            }
            let gate = HealthGate { gate: Open, healths: healths.clone(), key: provider, version };
            (token, Some(Mutation::of(process).gate(gate)))
        };
        Ok(Resolved {
            remote: SimRemote { permit, token, gate, other_endpoint, of_configs },
            permissions: Permissions { not_allowed, no_revoking_adopted, enrollment, ..Permissions::default() },
        })
    }
}

/// Whether calls are allowed without the Secret: with the last known token, only revocations and deletions are. A
/// process that never read a token may do nothing.
fn check_token(process: &Process, key: &Key, is_removing: bool) -> Result<Option<Failure>, Failure> {
    let mut state = process.world.lock();
    state.record.resolved_without_secret.remove(key);
    if !state.remote.secret_deleted {
        process.saw_token.store(true, Ordering::SeqCst);
        process.last_token.store(state.remote.token, Ordering::SeqCst);
        return Ok(None);
    }
    if state.single_process {
        state.record.resolved_without_secret.insert(key.clone(), Instant::now());
    }
    let deleted = provider::secret_deleted();
    if is_removing && process.saw_token.load(Ordering::SeqCst) {
        state.record.with_last_token += 1;
        return Ok(Some(deleted));
    }
    Err(deleted)
}

/// A gate that admits every call.
#[derive(Debug)]
pub struct Open;

impl Gate for Open {
    fn begin(&self, _: Operation) -> Result<(), Held> {
        Ok(())
    }

    fn end(&self, _: Operation, _: Instant, _: Option<&Error>) {}
}

/// The permit of an object to call the service.
pub struct CallPermit {
    pub site: CallSite,
    pub key: Key,
    of_configs: bool,
    /// Whether the calls are for pending work, rather than to follow a link.
    pub is_pending: bool,
}

impl CallPermit {
    /// Enqueues a rate-limited object later. Rarely, that is lost.
    fn enqueue_later(&self, rate_limited: bool) {
        let Self { site: CallSite(process), key, of_configs, .. } = self;
        let (pause, lost) = {
            let State { chance, faults, .. } = &mut *process.world.lock();
            let most = chance.pick(&[0, 0, 60]);
            (chance.within(Duration::from_secs(most)), !faults.ended && chance.happens(0.02))
        };
        if rate_limited && !lost {
            let (target, key, of_configs) = (process.clone(), key.clone(), *of_configs);
            process.spawn(async move {
                sleep(pause).await;
                if of_configs { target.enqueue_config(&key) } else { target.enqueue_request(&key) }
            });
        }
    }

    /// The object.
    pub fn object(&self) -> Object {
        let key = self.key.clone();
        if self.of_configs { Object::Config(key) } else { Object::Request(key) }
    }

    /// Makes a call to the service.
    pub async fn call<T, F>(&self, port: Port, limit: Duration, effect: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, Error> + Send + 'static,
    {
        let answer = self.site.call(port, limit, effect).await;
        let rate_limited = matches!(answer, Err(Error::Retry { cause: NotSent::TooManyCalls, .. }));
        self.enqueue_later(rate_limited);
        answer
    }
}
