//! The pacer: spaces the emails through each provider config that limits them (`spec.enrollment.maxSendsPerHour`).
//!
//! Two write-ahead records through one provider config are at least an hour divided by the limit apart, and so is the
//! first one from the start of the process as the leader. So no hour has more records than the limit, whatever is deleted,
//! restarted or elected, and nothing is stored. Requests that wait are enqueued at their send turn, fairly among
//! namespaces. No task sleeps for them, and they make no calls.

mod pace;

use std::collections::BTreeMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::api::ProviderConfigKey;
use crate::reconcile::ObjectKey;
use pace::Pace;

type EnqueueFn = Box<dyn Fn(&ObjectKey) + Send + Sync>;

/// The send turns of all provider configs. They live in the memory of the active process.
pub struct SendPacer {
    state: Mutex<State>,
    enqueue: EnqueueFn,
    /// Notified when the next turn may have changed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    started: Option<Instant>,
    paces: BTreeMap<ProviderConfigKey, Pace>,
}

/// Why a request waits for its send turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWait {
    /// The limit.
    pub per_hour: i32,
    /// When its turn is likely to come. It stays as long as the limit and until it is over, so that the conditions are
    /// written once.
    pub likely_at: Timestamp,
}

impl SendPacer {
    /// A pacer that enqueues requests with `enqueue` at their turns.
    pub fn new(enqueue: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), enqueue: Box::new(enqueue), changed: Notify::new() }
    }

    /// This process is the leader from `now` on. An earlier one may have sent until then.
    pub fn start(&self, now: Instant) {
        self.state.lock().started = Some(now);
    }

    /// Takes the send turn of `provider` for `waiter`, until it is [spent](Self::spend), [kept](Self::keep) or
    /// [left](Self::leave). Otherwise, `waiter` is enqueued at its turn. `time` is the wall clock.
    pub fn take(
        &self,
        provider: &ProviderConfigKey,
        waiter: &ObjectKey,
        per_hour: i32,
        (now, time): (Instant, Timestamp),
    ) -> Result<(), SendWait> {
        let taken = {
            let mut state = self.state.lock();
            state.leave(waiter, Some(provider));
            state.pace(provider, now).take(waiter, per_hour, now, time)
        };
        self.changed.notify_one();
        taken
    }

    /// Records that an email through `provider` may be sent from `now` on, with or without a limit.
    pub fn spend(&self, provider: &ProviderConfigKey, waiter: &ObjectKey, now: Instant) {
        {
            let mut state = self.state.lock();
            state.pace(provider, now).spend(waiter, now);
            state.leave(waiter, None);
        }
        self.changed.notify_one();
    }

    /// Reserves the turn that `waiter` holds for a retry, for a short time.
    pub fn keep(&self, waiter: &ObjectKey, now: Instant) {
        self.state.lock().paces.values_mut().for_each(|pace| pace.keep(waiter, now));
        self.changed.notify_one();
    }

    /// Releases the turn that `waiter` holds or waits for: it sends nothing now.
    pub fn leave(&self, waiter: &ObjectKey) {
        let left = self.state.lock().leave(waiter, None);
        if left {
            self.changed.notify_one();
        }
    }

    /// Enqueues waiting requests as their turns come, forever.
    pub async fn grant_turns(&self) {
        loop {
            match self.pass(Instant::now()) {
                None => self.changed.notified().await,
                Some(next) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(next) => {}
                },
            }
        }
    }

    /// Enqueues the requests whose turns have come. Returns when to check again.
    fn pass(&self, now: Instant) -> Option<Instant> {
        let passed: Vec<_> = self.state.lock().paces.values_mut().map(|pace| pace.pass(now)).collect();
        passed.iter().filter_map(|next| next.granted.as_ref()).for_each(|waiter| (self.enqueue)(waiter));
        passed.iter().filter_map(|next| next.next_at).min()
    }
}

impl State {
    fn pace(&mut self, provider: &ProviderConfigKey, now: Instant) -> &mut Pace {
        let started = *self.started.get_or_insert(now);
        self.paces.entry(provider.clone()).or_insert_with(|| Pace::new(started))
    }

    /// Removes `waiter` from all paces, except that of `keep`. Returns whether it was in one.
    fn leave(&mut self, waiter: &ObjectKey, keep: Option<&ProviderConfigKey>) -> bool {
        let others = self.paces.iter_mut().filter(|(provider, _)| Some(*provider) != keep);
        others.fold(false, |left, (_, pace)| pace.leave(waiter) || left)
    }
}

#[cfg(test)]
mod tests;
