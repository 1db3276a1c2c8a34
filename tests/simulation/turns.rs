//! Resolution of realms, and the rate limit of calls to the service: a limited object is enqueued again later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef, Reason};
use beyond_identity_operator::beyond_identity::{Error, NotSent};
use beyond_identity_operator::reconcile::{Caller, Failure, FailureKind, KindName, Permissions, Realms, Resolved};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::calls::SimRemote;
use crate::faults::Port;
use crate::kubernetes::Key;
use crate::points::CallSite;
use crate::ports::SimBackend;
use crate::process::Process;
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
        let permit = CallPermit { site: site.clone(), key, of_configs };
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
        let not_allowed = check_token(&site.0, &permit.key, caller.is_removing)?;
        let (other_endpoint, enrollment) = {
            let remote = &site.0.world.lock().remote;
            (!of_configs && remote.other_endpoint, remote.limits.clone())
        };
        Ok(Resolved {
            remote: SimRemote { permit, other_endpoint, of_configs },
            permissions: Permissions { not_allowed, enrollment, ..Permissions::default() },
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
        return Ok(None);
    }
    if state.single_process {
        state.record.resolved_without_secret.insert(key.clone(), Instant::now());
    }
    let deleted = Failure::blocked(Reason::SecretNotFound, "the Secret is deleted");
    if is_removing && process.saw_token.load(Ordering::SeqCst) {
        state.record.with_last_token += 1;
        return Ok(Some(deleted));
    }
    Err(deleted)
}

/// The permit of an object to call the service.
pub struct CallPermit {
    pub site: CallSite,
    pub key: Key,
    of_configs: bool,
}

impl CallPermit {
    /// Enqueues a rate-limited object later. Rarely, that is lost.
    fn enqueue_later(&self, rate_limited: bool) {
        let Self { site: CallSite(process), key, of_configs } = self;
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
