//! Who waits for a turn: in each namespace the first who came, who owes something before who only wants to know, and of
//! the namespaces the one that was served least while others waited. So one namespace takes at most half of the calls
//! while another one waits. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::reconcile::KindName;

/// An object that waits. It waits once, however often it asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Waiter {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: KindName,
    /// Its name.
    pub name: String,
}

/// Those who wait, each with a `W`.
#[derive(Debug)]
pub(super) struct Queue<W> {
    lanes: BTreeMap<String, Lane<W>>,
    /// And whether each of them owes something.
    waiting: BTreeMap<Waiter, bool>,
    turn: u64,
}

/// Those of one namespace.
#[derive(Debug)]
struct Lane<W> {
    owing: VecDeque<(Waiter, W)>,
    settled: VecDeque<(Waiter, W)>,
    /// The calls made since others waited, counted from where the least served namespace was.
    calls: u64,
    /// Its last turn: of two that were served alike, the one whose turn is longer ago is next.
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

    /// Puts `waiter`, which `owes` something or only wants to know, behind those like it in its namespace, or `before`
    /// them; unless it waits already.
    pub fn join(&mut self, waiter: Waiter, with: W, owes: bool, before: bool) {
        match self.waiting.get(&waiter) {
            Some(owed) if *owed || !owes => return,
            Some(_) => self.leave(&waiter),
            None => {}
        }
        self.waiting.insert(waiter.clone(), owes);
        // Who was away has not saved up turns.
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

    /// Whose turn it is.
    pub fn next(&mut self) -> Option<(Waiter, W)> {
        let waiting = self.lanes.values_mut().filter(|lane| !lane.is_empty());
        let lane = waiting.min_by_key(|lane| (lane.calls, lane.turn))?;
        self.turn += 1;
        lane.turn = self.turn;
        let next = lane.owing.pop_front().or_else(|| lane.settled.pop_front())?;
        self.waiting.remove(&next.0);
        Some(next)
    }

    /// Takes `waiter` out, where it waits.
    pub fn leave(&mut self, waiter: &Waiter) {
        if let Some(owes) = self.waiting.remove(waiter)
            && let Some(lane) = self.lanes.get_mut(&waiter.namespace)
        {
            let waiting = if owes { &mut lane.owing } else { &mut lane.settled };
            waiting.retain(|(waiting, _)| waiting != waiter);
        }
        self.tidy();
    }

    /// A call was made for `namespace`.
    pub fn charge(&mut self, namespace: &str) {
        if let Some(lane) = self.lanes.get_mut(namespace) {
            lane.calls = lane.calls.saturating_add(1);
        }
    }

    /// A call that was charged was not made.
    pub fn refund(&mut self, namespace: &str) {
        if let Some(lane) = self.lanes.get_mut(namespace) {
            lane.calls = lane.calls.saturating_sub(1);
        }
    }

    /// Once nobody waits any more, nobody is owed a turn.
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
