//! Whose turn it is to call the service: who is held back is woken some time later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef, Reason};
use beyond_identity_operator::beyond_identity::{Error, NotSent};
use beyond_identity_operator::reconcile::{Caller, Failure, FailureKind, KindName, Realms, Resolved};
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

/// For how long an object can have been paused before everybody knows it: watches lag, and a process can be suspended
/// between two calls.
const KNOWN: Duration = Duration::from_secs(600);

impl Realms for SimBackend {
    type Remote = SimRemote;

    async fn resolve(&self, caller: Caller, _reference: &ProviderConfigRef) -> Result<Resolved<SimRemote>, Failure> {
        let Self(seat) = self;
        let of_configs = caller.object.kind == KindName::AuthenticatorConfig;
        let key = (caller.object.namespace.clone(), caller.object.name.clone());
        let turn = Turn { seat: seat.clone(), key, of_configs };
        {
            let mut state = seat.0.world.lock();
            let paused_since = if of_configs {
                state.paused_since::<AuthenticatorConfig>(&turn.key)
            } else {
                state.paused_since::<EnrollmentRequest>(&turn.key)
            };
            if let Some(since) = paused_since.filter(|since| since.elapsed() > KNOWN) {
                state.violate(format!("there is work on {:?}, paused for {:?}", turn.key, since.elapsed()));
            }
        }
        let opened: Result<(), Failure> = seat.call(Port::OpenRealm, KUBERNETES, |_, _, _| Ok(())).await;
        opened.inspect_err(|failure| turn.wait_for_another(failure.kind == FailureKind::RateLimited))?;
        let not_allowed = without_a_token(&seat.0, &turn.key, caller.is_removing)?;
        let elsewhere = !of_configs && seat.0.world.lock().remote.elsewhere;
        Ok(Resolved { remote: SimRemote { turn, elsewhere, of_configs }, not_allowed, no_resource_ids: None })
    }
}

/// What may not be done by the token that was seen last, where the Secret is gone: nothing at all, unless something is to
/// be revoked or deleted, and this process has seen one.
fn without_a_token(process: &Process, key: &Key, is_removing: bool) -> Result<Option<Failure>, Failure> {
    let mut state = process.world.lock();
    state.record.opened_without.remove(key);
    if !state.remote.secretless {
        process.saw_token.store(true, Ordering::SeqCst);
        return Ok(None);
    }
    if state.alone {
        state.record.opened_without.insert(key.clone(), Instant::now());
    }
    let gone = Failure::blocked(Reason::SecretNotFound, "the Secret is gone");
    if is_removing && process.saw_token.load(Ordering::SeqCst) {
        state.record.by_the_last_token += 1;
        return Ok(Some(gone));
    }
    Err(gone)
}

/// An object's turn to call the service.
pub struct Turn {
    pub seat: CallSite,
    key: Key,
    of_configs: bool,
}

impl Turn {
    /// Wakes the object some time later, where it is held back; nearly always, since a wake can be lost.
    fn wait_for_another(&self, held_back: bool) {
        let Self { seat: CallSite(process), key, of_configs } = self;
        let (pause, lost) = {
            let State { chance, faults, .. } = &mut *process.world.lock();
            let most = chance.pick(&[0, 0, 60]);
            (chance.within(Duration::from_secs(most)), !faults.over && chance.happens(0.02))
        };
        if held_back && !lost {
            let (waking, key, of_configs) = (process.clone(), key.clone(), *of_configs);
            process.spawn(async move {
                sleep(pause).await;
                if of_configs { waking.wake_config(&key) } else { waking.wake_request(&key) }
            });
        }
    }

    /// Makes a call to the service.
    pub async fn call<T, F>(&self, port: Port, limit: Duration, effect: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Instant, Timestamp) -> Result<T, Error> + Send + 'static,
    {
        let answer = self.seat.call(port, limit, effect).await;
        let held_back = matches!(answer, Err(Error::Retry { cause: NotSent::TooManyCalls, .. }));
        self.wait_for_another(held_back);
        answer
    }
}
