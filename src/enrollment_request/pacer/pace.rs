//! The send turns of one provider config. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::SendWait;
use crate::reconcile::ObjectKey;
use crate::reconcile::turn_queue::TurnQueue;

/// How long a turn is reserved for a request that was enqueued for it, or that retries after an outage.
const RESERVED_FOR: Duration = Duration::from_secs(60);

/// The turns of one provider config.
#[derive(Debug)]
pub(super) struct Pace {
    /// The least time between two sends.
    interval: Duration,
    /// The last send, or the start of this process.
    last: Instant,
    /// The request whose turn it is.
    holder: Option<Holder>,
    queue: TurnQueue<()>,
    /// Why each request waits, as its conditions say it.
    waits: BTreeMap<ObjectKey, SendWait>,
}

#[derive(Debug)]
struct Holder {
    waiter: ObjectKey,
    /// Until when the turn is reserved; `None` while the request is reconciled.
    until: Option<Instant>,
}

/// The request to enqueue, and when to check again.
pub(super) struct Next {
    pub granted: Option<ObjectKey>,
    pub next_at: Option<Instant>,
}

impl Pace {
    /// The turns of a process that is the leader since `started`.
    pub(super) fn new(started: Instant) -> Self {
        Self {
            interval: Duration::ZERO,
            last: started,
            holder: None,
            queue: TurnQueue::default(),
            waits: BTreeMap::new(),
        }
    }

    /// Takes the turn for `waiter`, or queues it.
    pub(super) fn take(
        &mut self,
        waiter: &ObjectKey,
        per_hour: i32,
        now: Instant,
        time: Timestamp,
    ) -> Result<(), SendWait> {
        self.interval = interval(per_hour);
        self.lapse(now);
        let its_turn = self.is_held_by(waiter);
        let is_free = its_turn || (self.holder.is_none() && self.queue.is_empty());
        // The limit may have been lowered since the turn was granted.
        if is_free && self.due() <= now {
            self.holder = Some(Holder { waiter: waiter.clone(), until: None });
            self.waits.remove(waiter);
            return Ok(());
        }
        if its_turn {
            self.release();
        }
        self.queue.join(waiter.clone(), (), true, its_turn);
        let known = self.waits.get(waiter).filter(|wait| wait.per_hour == per_hour && wait.likely_at > time);
        let wait =
            known.copied().unwrap_or_else(|| SendWait { per_hour, likely_at: self.likely_at(waiter, now, time) });
        self.waits.insert(waiter.clone(), wait);
        Err(wait)
    }

    /// Records a send.
    pub(super) fn spend(&mut self, waiter: &ObjectKey, now: Instant) {
        self.last = now;
        if self.is_held_by(waiter) {
            // Not refunded: the namespace has used its turn.
            self.holder = None;
        }
    }

    /// Reserves the turn that `waiter` holds.
    pub(super) fn keep(&mut self, waiter: &ObjectKey, now: Instant) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.waiter == *waiter) {
            holder.until = Some(now + RESERVED_FOR);
        }
    }

    /// Releases the turn that `waiter` holds or waits for. Returns whether it did.
    pub(super) fn leave(&mut self, waiter: &ObjectKey) -> bool {
        let held = self.is_held_by(waiter);
        if held {
            self.release();
        }
        let waited = self.waits.remove(waiter).is_some();
        if waited {
            self.queue.remove(waiter);
        }
        held || waited
    }

    /// Grants the next turn, if it is due.
    pub(super) fn pass(&mut self, now: Instant) -> Next {
        self.lapse(now);
        let mut granted = None;
        if self.holder.is_none() && self.due() <= now {
            granted = self.queue.pop().map(|(waiter, ())| waiter);
        }
        if let Some(waiter) = &granted {
            self.queue.charge(&waiter.namespace);
            self.holder = Some(Holder { waiter: waiter.clone(), until: Some(now + RESERVED_FOR) });
        }
        self.queue.tidy();
        let next_at = match &self.holder {
            _ if self.queue.is_empty() => None,
            Some(holder) => holder.until,
            None => Some(self.due()),
        };
        Next { granted, next_at }
    }

    /// Whether a request waits.
    #[cfg(test)]
    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When the next send may start.
    fn due(&self) -> Instant {
        self.last + self.interval
    }

    /// When the turn of `waiter`, which waits, is likely to come.
    fn likely_at(&self, waiter: &ObjectKey, now: Instant, time: Timestamp) -> Timestamp {
        let ahead = self.queue.ahead_of(waiter) + usize::from(self.holder.is_some());
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let wait = self.due().saturating_duration_since(now).saturating_add(self.interval.saturating_mul(ahead));
        time.checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    fn is_held_by(&self, waiter: &ObjectKey) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.waiter == *waiter)
    }

    /// Ends a turn that was not used.
    fn release(&mut self) {
        if let Some(Holder { waiter, .. }) = self.holder.take() {
            self.queue.refund(&waiter.namespace);
        }
    }

    /// Ends a turn that was not used in time, for example of a request that was deleted meanwhile.
    fn lapse(&mut self, now: Instant) {
        if self.holder.as_ref().and_then(|holder| holder.until).is_some_and(|until| until <= now) {
            self.release();
        }
    }
}

/// The least time between two sends. Rounded up, so that no hour has one more.
fn interval(per_hour: i32) -> Duration {
    const HOUR: Duration = Duration::from_secs(3600);
    let per_hour = u32::try_from(per_hour).unwrap_or(1).max(1);
    HOUR / per_hour + Duration::from_nanos(1)
}
