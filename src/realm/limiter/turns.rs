//! Decides which objects may reconcile now, which wait, and which is next. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::adaptive_rate::AdaptiveRate;
use crate::reconcile::ObjectKey;
use crate::reconcile::turn_queue::TurnQueue;

/// How long a turn is reserved for an object that was enqueued for it.
const RESERVED_FOR: Duration = Duration::from_secs(10);
/// The most objects with reserved turns, so that waiting objects keep their order after a pause.
const MOST_GRANTED: usize = 32;

/// The turns of one tenant. Each waiting object has a `W` to enqueue it with.
#[derive(Debug)]
pub(super) struct Turns<W> {
    pub rate: AdaptiveRate,
    queue: TurnQueue<W>,
    /// The enqueued objects, and until when their turns are reserved.
    granted: BTreeMap<ObjectKey, Instant>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self { rate: AdaptiveRate::default(), queue: TurnQueue::default(), granted: BTreeMap::new() }
    }
}

/// The objects to enqueue, and when to check again.
pub(super) struct Next<W> {
    pub granted: Vec<(ObjectKey, W)>,
    pub next_at: Option<Instant>,
}

impl<W> Turns<W> {
    /// Admits a reconcile of `waiter`, with pending work (`is_pending`) or only to poll, and charges its first request.
    /// Otherwise it waits for its turn, and the error is for how long at least.
    pub fn admit(&mut self, waiter: &ObjectKey, is_pending: bool, with: W, now: Instant) -> Result<(), Duration> {
        self.lapse(now);
        let its_turn = self.granted.remove(waiter).is_some();
        let quiet_for = self.rate.quiet_for(now);
        if its_turn && quiet_for.is_zero() {
            self.queue.remove(waiter);
            return Ok(());
        }
        let is_free = self.queue.is_empty() && self.rate.wait(now).is_zero();
        if self.rate.is_unlimited(now) || is_free {
            self.queue.remove(waiter);
            self.rate.charge(now);
            return Ok(());
        }
        self.queue.join(waiter.clone(), with, is_pending, its_turn);
        Err(quiet_for)
    }

    /// Whether an object waits.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The number of objects that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Queues `waiter` again after the limiter interrupted its reconcile.
    pub fn wait(&mut self, waiter: &ObjectKey, is_pending: bool, with: W) {
        self.queue.join(waiter.clone(), with, is_pending, false);
    }

    /// Charges a request of `namespace`, beyond the one that its turn includes.
    pub fn charge(&mut self, namespace: &str, now: Instant) {
        self.rate.charge(now);
        self.queue.charge(namespace);
    }

    /// Refunds an admitted reconcile of `namespace` that made no request.
    pub fn refund(&mut self, namespace: &str) {
        self.rate.refund();
        self.queue.refund(namespace);
    }

    /// Grants the turns that are due.
    pub fn pass(&mut self, now: Instant) -> Next<W> {
        self.lapse(now);
        let mut granted = Vec::new();
        while self.granted.len() < MOST_GRANTED
            && self.rate.wait(now).is_zero()
            && let Some((waiter, with)) = self.queue.pop()
        {
            self.charge(&waiter.namespace, now);
            self.granted.insert(waiter.clone(), now + RESERVED_FOR);
            granted.push((waiter, with));
        }
        self.queue.tidy();
        let next_at = match self.granted.values().min() {
            _ if self.queue.is_empty() => None,
            Some(first) if self.granted.len() >= MOST_GRANTED => Some(*first),
            _ => Some(now + self.rate.wait(now)),
        };
        Next { granted, next_at }
    }

    /// Refunds turns that were not used in time, for example of an object that was deleted meanwhile.
    fn lapse(&mut self, now: Instant) {
        let lapsed: Vec<ObjectKey> =
            self.granted.extract_if(.., |_, reserved_until| *reserved_until <= now).map(|(one, _)| one).collect();
        for waiter in lapsed {
            self.refund(&waiter.namespace);
        }
    }
}

#[cfg(test)]
mod tests;
