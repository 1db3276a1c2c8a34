//! Who may begin a look now, who waits, and whose turn is next. Pure; time comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::queue::{Queue, Waiter};

/// How long a turn is kept for an object that was woken for it.
const KEPT: Duration = Duration::from_secs(10);
/// As many objects are woken at a time, so that what waits keeps its order when a pause is over.
const WOKEN: usize = 32;

/// The turns of one tenant. Who waits leaves a `W` to be woken by.
#[derive(Debug)]
pub(super) struct Turns<W> {
    pub pace: Pace,
    queue: Queue<W>,
    /// Those who were woken, and until when their turn is kept.
    woken: BTreeMap<Waiter, Instant>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self { pace: Pace::default(), queue: Queue::default(), woken: BTreeMap::new() }
    }
}

/// Who is to be woken, and when there may be more.
pub(super) struct Next<W> {
    pub woken: Vec<(Waiter, W)>,
    pub look_again: Option<Instant>,
}

impl<W> Turns<W> {
    /// Whether `waiter`, which `owes` something or only wants to know, may begin a look, whose first call is charged
    /// with that. Otherwise it waits for its turn, and the answer is for how long at least.
    pub fn admit(&mut self, waiter: &Waiter, owes: bool, with: W, now: Instant) -> Result<(), Duration> {
        self.lapse(now);
        let its_turn = self.woken.remove(waiter).is_some();
        let quiet_for = self.pace.quiet_for(now);
        if its_turn && quiet_for.is_zero() {
            self.queue.leave(waiter);
            return Ok(());
        }
        let is_free = self.queue.is_empty() && self.pace.wait(now).is_zero();
        if self.pace.is_unlimited(now) || is_free {
            self.queue.leave(waiter);
            self.pace.charge(now);
            return Ok(());
        }
        self.queue.join(waiter.clone(), with, owes, its_turn);
        Err(quiet_for)
    }

    /// Whether somebody waits.
    pub fn somebody_waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// `waiter` was held up in the middle of its look, and waits for another turn.
    pub fn wait(&mut self, waiter: &Waiter, owes: bool, with: W) {
        self.queue.join(waiter.clone(), with, owes, false);
    }

    /// A call of `namespace` is about to be made, beyond the one that came with its turn.
    pub fn charge(&mut self, namespace: &str, now: Instant) {
        self.pace.charge(now);
        self.queue.charge(namespace);
    }

    /// A look of `namespace` that was admitted made no call.
    pub fn refund(&mut self, namespace: &str) {
        self.pace.refund();
        self.queue.refund(namespace);
    }

    /// Gives out the turns that are due.
    pub fn pass(&mut self, now: Instant) -> Next<W> {
        self.lapse(now);
        let mut woken = Vec::new();
        while self.woken.len() < WOKEN
            && self.pace.wait(now).is_zero()
            && let Some((waiter, with)) = self.queue.next()
        {
            self.charge(&waiter.namespace, now);
            self.woken.insert(waiter.clone(), now + KEPT);
            woken.push((waiter, with));
        }
        self.queue.tidy();
        let look_again = match self.woken.values().min() {
            _ if self.queue.is_empty() => None,
            Some(first) if self.woken.len() >= WOKEN => Some(*first),
            _ => Some(now + self.pace.wait(now)),
        };
        Next { woken, look_again }
    }

    /// Turns that nobody took are taken back, as of an object that was deleted meanwhile.
    fn lapse(&mut self, now: Instant) {
        let lapsed: Vec<Waiter> =
            self.woken.extract_if(.., |_, kept_until| *kept_until <= now).map(|(one, _)| one).collect();
        for waiter in lapsed {
            self.refund(&waiter.namespace);
        }
    }
}

#[cfg(test)]
mod tests;
