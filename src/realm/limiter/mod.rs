//! One limiter for each tenant of an API host, shared by all provider configs, realms and objects. It slows down when
//! the service asks for that, and grants turns fairly. A waiting object is enqueued when its turn comes; no task sleeps
//! for it.

mod adaptive_rate;
mod turns;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use turns::Turns;

use crate::beyond_identity::{Error, Gate, Held, NotSent, Operation, Refusal};
use crate::reconcile::ObjectKey;

/// Enqueues an object with the controller of its kind.
pub type EnqueueFn = Arc<dyn Fn(&ObjectKey) + Send + Sync>;

/// The limiters of a process. They live as long as the process.
#[derive(Default)]
pub struct Limiters {
    /// By API host and tenant id.
    limiters: Mutex<HashMap<(String, String), Arc<Limiter>>>,
    changed: Arc<Notify>,
}

/// The limiter of one tenant.
struct Limiter {
    endpoint: String,
    tenant_id: String,
    turns: Mutex<Turns<EnqueueFn>>,
    /// Notified when an object waits, or when the next turn may have changed.
    changed: Arc<Notify>,
}

/// The permit of an admitted reconcile. Its requests pass through this gate.
pub struct Permit {
    limiter: Arc<Limiter>,
    waiter: ObjectKey,
    is_pending: bool,
    enqueue: EnqueueFn,
    /// Whether the request that was charged with the permit is still unused.
    prepaid: AtomicBool,
}

impl Limiters {
    /// Admits a reconcile of `waiter` for this tenant, with pending work (`is_pending`) or only to poll. Otherwise, the
    /// object is enqueued when its turn comes. The error is how long the service asked not to be called.
    pub fn admit(
        &self,
        endpoint: &str,
        tenant_id: &str,
        waiter: ObjectKey,
        is_pending: bool,
        enqueue: EnqueueFn,
    ) -> Result<Permit, Duration> {
        let limiter = self.of(endpoint, tenant_id);
        let admitted = {
            let mut turns = limiter.turns();
            let admitted = turns.admit(&waiter, is_pending, enqueue.clone(), Instant::now());
            limiter.changed(&turns);
            admitted
        };
        admitted.map(|()| Permit { limiter, waiter, is_pending, enqueue, prepaid: AtomicBool::new(true) })
    }

    /// The number of objects that wait for their turns.
    pub fn waiting(&self) -> usize {
        self.limiters.lock().values().map(|limiter| limiter.turns().waiting()).sum()
    }

    /// Enqueues waiting objects as their turns come, forever.
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

    /// Enqueues the objects whose turns have come. Returns when to check again.
    fn pass(&self, now: Instant) -> Option<Instant> {
        let limiters: Vec<_> = self.limiters.lock().values().cloned().collect();
        let passed = limiters.iter().map(|limiter| limiter.turns().pass(now)).map(|next| {
            next.granted.iter().for_each(|(waiter, enqueue)| enqueue(waiter));
            next.next_at
        });
        passed.flatten().min()
    }

    fn of(&self, endpoint: &str, tenant_id: &str) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock();
        let limiter = limiters.entry((endpoint.to_owned(), tenant_id.to_owned())).or_insert_with(|| {
            Arc::new(Limiter {
                endpoint: endpoint.to_owned(),
                tenant_id: tenant_id.to_owned(),
                turns: Mutex::default(),
                changed: self.changed.clone(),
            })
        });
        limiter.clone()
    }
}

impl Limiter {
    fn turns(&self) -> MutexGuard<'_, Turns<EnqueueFn>> {
        self.turns.lock()
    }

    /// A request that was started at `begun` got no response that says whether the service works.
    fn unanswered(&self, turns: &mut Turns<EnqueueFn>, begun: Instant) {
        turns.rate.unanswered(begun);
        self.changed(turns);
    }

    /// While objects wait, a change may make another turn the next one, or make it due.
    fn changed(&self, turns: &Turns<EnqueueFn>) {
        if turns.has_waiting() {
            self.changed.notify_one();
        }
    }
}

impl Gate for Permit {
    fn begin(&self, _: Operation) -> Result<(), Held> {
        let mut turns = self.limiter.turns();
        let now = Instant::now();
        let is_prepaid = self.prepaid.swap(false, Ordering::Relaxed);
        // The charge of a permit may be that of the probe.
        let held_for = if is_prepaid { turns.rate.quiet_for(now) } else { turns.rate.paused_for(now) };
        if !held_for.is_zero() {
            if is_prepaid {
                turns.refund(&self.waiter.namespace);
            }
            turns.wait(&self.waiter, self.is_pending, self.enqueue.clone());
            self.limiter.changed(&turns);
            return Err(Held::RateLimited(held_for));
        }
        if !is_prepaid {
            turns.charge(&self.waiter.namespace, now);
        }
        Ok(())
    }

    fn end(&self, _: Operation, begun: Instant, error: Option<&Error>) {
        let mut turns = self.limiter.turns();
        let now = Instant::now();
        match error {
            Some(Error::Retry { cause: NotSent::TooManyCalls, after, .. }) => {
                let cut = turns.rate.too_many(begun, *after, now);
                turns.wait(&self.waiter, self.is_pending, self.enqueue.clone());
                self.limiter.changed(&turns);
                if cut {
                    let Limiter { endpoint, tenant_id, .. } = &*self.limiter;
                    tracing::warn!(
                        endpoint,
                        tenant_id,
                        calls_per_second = turns.rate.calls_per_second().map(|rate| (rate * 100.0).round() / 100.0),
                        pause_seconds = turns.rate.quiet_for(now).as_secs_f64(),
                        "Rate limited by the Beyond Identity API (429); slowing down"
                    );
                }
            }
            Some(
                Error::Retry { cause: NotSent::NoConnection | NotSent::Stopped, .. }
                | Error::Refused { cause: Refusal::Local, .. },
            ) => self.limiter.unanswered(&mut turns, begun),
            Some(Error::InDoubt { after: Some(after), .. }) => turns.rate.pause_for(*after, now),
            Some(Error::InDoubt { status, .. }) if status.is_none_or(|status| status >= 500) => {
                self.limiter.unanswered(&mut turns, begun);
            }
            None | Some(Error::InDoubt { .. } | Error::Refused { .. } | Error::NotFound { .. }) => {
                if turns.rate.answered(begun, now) {
                    self.limiter.changed(&turns);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if *self.prepaid.get_mut() {
            let mut turns = self.limiter.turns();
            turns.refund(&self.waiter.namespace);
            self.limiter.changed(&turns);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
