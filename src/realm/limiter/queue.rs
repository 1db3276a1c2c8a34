//! The queue of waiting objects. Within a namespace, pending work comes before polls, and then first come, first
//! served. Among namespaces, the one with the fewest requests while others waited is next. So one namespace gets at
//! most half of the requests while another one waits. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::reconcile::KindName;

/// A waiting object. It is queued once, however often it is added.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Waiter {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: KindName,
    /// Its name.
    pub name: String,
}

/// The waiting objects, each with a `W`.
#[derive(Debug)]
pub(super) struct Queue<W> {
    lanes: BTreeMap<String, Lane<W>>,
    /// The waiting objects, and whether each has pending work.
    waiting: BTreeMap<Waiter, bool>,
    turn: u64,
}

/// The waiting objects of one namespace.
#[derive(Debug)]
struct Lane<W> {
    owing: VecDeque<(Waiter, W)>,
    settled: VecDeque<(Waiter, W)>,
    /// The requests made since others waited, counted from the value of the least served namespace.
    calls: u64,
    /// Its last turn. Of two equally served namespaces, the one with the older turn is next.
    turn: u64,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), waiting: BTreeMap::new(), turn: 0 }
    }
}

impl<W> Queue<W> {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds `waiter`, with pending work (`owes`) or only to poll, to its namespace: at the back, or at the front if
    /// `before`. Does nothing if it waits already, unless it has pending work now and had none before.
    pub fn join(&mut self, waiter: Waiter, with: W, owes: bool, before: bool) {
        match self.waiting.get(&waiter) {
            Some(owed) if *owed || !owes => return,
            Some(_) => self.leave(&waiter),
            None => {}
        }
        self.waiting.insert(waiter.clone(), owes);
        // A namespace saves up no turns while it does not wait.
        let least = self.lanes.values().filter(|lane| !lane.is_empty()).map(|lane| lane.calls).min();
        let new = || Lane { owing: VecDeque::new(), settled: VecDeque::new(), calls: 0, turn: 0 };
        let lane = self.lanes.entry(waiter.namespace.clone()).or_insert_with(new);
        if lane.is_empty() {
            lane.calls = lane.calls.max(least.unwrap_or_default());
        }
        let waiting = if owes { &mut lane.owing } else { &mut lane.settled };
        if before {
            waiting.push_front((waiter, with));
        } else {
            waiting.push_back((waiter, with));
        }
    }

    /// Removes and returns the next object.
    pub fn next(&mut self) -> Option<(Waiter, W)> {
        let waiting = self.lanes.values_mut().filter(|lane| !lane.is_empty());
        let lane = waiting.min_by_key(|lane| (lane.calls, lane.turn))?;
        self.turn += 1;
        lane.turn = self.turn;
        let next = lane.owing.pop_front().or_else(|| lane.settled.pop_front())?;
        self.waiting.remove(&next.0);
        Some(next)
    }

    /// Removes `waiter` if it waits.
    pub fn leave(&mut self, waiter: &Waiter) {
        if let Some(owes) = self.waiting.remove(waiter)
            && let Some(lane) = self.lanes.get_mut(&waiter.namespace)
        {
            let waiting = if owes { &mut lane.owing } else { &mut lane.settled };
            waiting.retain(|(waiting, _)| waiting != waiter);
        }
        self.tidy();
    }

    /// Counts a request of `namespace`.
    pub fn charge(&mut self, namespace: &str) {
        if let Some(lane) = self.lanes.get_mut(namespace) {
            lane.calls = lane.calls.saturating_add(1);
        }
    }

    /// Refunds a charged request that was not made.
    pub fn refund(&mut self, namespace: &str) {
        if let Some(lane) = self.lanes.get_mut(namespace) {
            lane.calls = lane.calls.saturating_sub(1);
        }
    }

    /// Resets the counts when no object waits.
    pub fn tidy(&mut self) {
        if self.waiting.is_empty() {
            self.lanes.clear();
        }
    }
}

impl<W> Lane<W> {
    fn is_empty(&self) -> bool {
        self.owing.is_empty() && self.settled.is_empty()
    }
}

#[cfg(test)]
mod tests;
