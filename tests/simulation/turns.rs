//! Whose turn it is to call the service: who is held back is woken some time later.

use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::api::phase::why;
use beyond_identity_operator::api::{Phase, ProviderConfigRef, Reason};
use beyond_identity_operator::beyond_identity::{Error, Unsent};
use beyond_identity_operator::reconcile::{Caller, Opened, Realms, Trouble};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::faults::Port;
use crate::kubernetes::Key;
use crate::looks::KUBERNETES;
use crate::points::Seat;
use crate::ports::SimRemote;
use crate::process::Process;
use crate::world::State;

/// The realm, for the objects that `wake` wakes when it is their turn.
pub struct SimRealms {
    pub seat: Seat,
    pub wake: Wake,
    pub paused_since: PausedSince,
}

/// Since when an object is paused.
pub type PausedSince = fn(&mut State, &Key) -> Option<Instant>;

/// For how long an object can have been paused before everybody knows it: watches lag, and a process can be suspended
/// between two calls.
const KNOWN: Duration = Duration::from_secs(600);

/// Wakes an object.
pub type Wake = fn(&Process, &Key);

impl Realms for SimRealms {
    type Remote = SimRemote;

    async fn open(&self, caller: Caller<'_>, _reference: &ProviderConfigRef) -> Result<Opened<SimRemote>, Trouble> {
        let Self { seat, wake, paused_since } = self;
        let turn = Turn { seat: seat.clone(), key: (caller.namespace.to_owned(), caller.name.to_owned()), wake: *wake };
        {
            let mut state = seat.0.world.lock();
            if let Some(since) = paused_since(&mut state, &turn.key).filter(|since| since.elapsed() > KNOWN) {
                state.violate(format!("there is work on {:?}, paused for {:?}", turn.key, since.elapsed()));
            }
        }
        let opened: Result<(), Trouble> = seat.call(Port::OpenRealm, KUBERNETES, |_, _, _| Ok(())).await;
        opened.inspect_err(|trouble| turn.wait_for_another(trouble.is_held_back()))?;
        let not_allowed = without_a_token(&seat.0, &turn.key, caller.is_leaving)?;
        let elsewhere = seat.0.world.lock().remote.elsewhere;
        Ok(Opened { remote: SimRemote { turn, elsewhere }, not_allowed, no_resource_ids: None })
    }
}

/// What may not be done by the token that was seen last, where the Secret is gone: nothing at all, unless something is to
/// be revoked or deleted, and this process has seen one.
fn without_a_token(process: &Process, key: &Key, is_leaving: bool) -> Result<Option<Phase>, Trouble> {
    let mut state = process.world.lock();
    state.record.opened_without.remove(key);
    if !state.remote.secretless {
        process.saw_token.store(true, Ordering::SeqCst);
        return Ok(None);
    }
    if state.alone {
        state.record.opened_without.insert(key.clone(), Instant::now());
    }
    let gone = Phase::Blocked(why(Reason::SecretNotFound, "the Secret is gone"));
    if is_leaving && process.saw_token.load(Ordering::SeqCst) {
        state.record.by_the_last_token += 1;
        return Ok(Some(gone));
    }
    Err(gone.into())
}

/// An object's turn to call the service.
pub struct Turn {
    pub seat: Seat,
    key: Key,
    wake: Wake,
}

impl Turn {
    /// Wakes the object some time later, where it is held back; nearly always, since a wake can be lost.
    fn wait_for_another(&self, held_back: bool) {
        let Self { seat: Seat(process), key, wake } = self;
        let (pause, lost) = {
            let State { chance, faults, .. } = &mut *process.world.lock();
            let most = chance.pick(&[0, 0, 60]);
            (chance.within(Duration::from_secs(most)), !faults.over && chance.happens(0.02))
        };
        if held_back && !lost {
            let (waking, key, wake) = (process.clone(), key.clone(), *wake);
            process.spawn(async move {
                sleep(pause).await;
                wake(&waking, &key);
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
        let held_back = matches!(answer, Err(Error::Retry { cause: Unsent::TooManyCalls, .. }));
        self.wait_for_another(held_back);
        answer
    }
}
