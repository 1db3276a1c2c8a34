//! The queue of objects that wait for a turn: to call a tenant, or to send an email. Within a namespace, pending work
//! comes before polls, and then first come, first served. Among namespaces, the one with the fewest requests while others
//! waited is next. So one namespace gets at most half of the requests while another one waits. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::kind::ObjectKey;

/// The waiting objects, each with a `W`.
#[derive(Debug)]
pub struct TurnQueue<W> {
    lanes: BTreeMap<String, Lane<W>>,
    /// The waiting objects, and whether each has pending work.
    waiting: BTreeMap<ObjectKey, bool>,
    turn: u64,
}

/// The waiting objects of one namespace.
#[derive(Debug)]
struct Lane<W> {
    pending: VecDeque<(ObjectKey, W)>,
    polls: VecDeque<(ObjectKey, W)>,
    /// The requests made since others waited, counted from the value of the least served namespace.
    calls: u64,
    /// Its last turn. Of two equally served namespaces, the one with the older turn is next.
    turn: u64,
}

impl<W> Default for TurnQueue<W> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), waiting: BTreeMap::new(), turn: 0 }
    }
}

impl<W> TurnQueue<W> {
    /// Whether no object waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of objects that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// About how many objects come before `waiter`, which has pending work. Of each other namespace, these are at most as
    /// many as of its own.
    pub fn ahead_of(&self, waiter: &ObjectKey) -> usize {
        let Some(own) = self.lanes.get(&waiter.namespace) else { return 0 };
        let before = own.pending.iter().take_while(|(other, _)| other != waiter).count();
        let of_others = self.lanes.iter().filter(|(namespace, _)| **namespace != waiter.namespace);
        before + of_others.map(|(_, lane)| lane.pending.len().min(before + 1)).sum::<usize>()
    }

    /// Adds `waiter`, with pending work (`is_pending`) or only to poll, to its namespace: at the back, or at the front if
    /// `before`. Does nothing if it waits already, unless it has pending work now and had none before.
    pub fn join(&mut self, waiter: ObjectKey, with: W, is_pending: bool, before: bool) {
        match self.waiting.get(&waiter) {
            Some(was_pending) if *was_pending || !is_pending => return,
            Some(_) => self.remove(&waiter),
            None => {}
        }
        self.waiting.insert(waiter.clone(), is_pending);
        // A namespace saves up no turns while it does not wait.
        let least = self.lanes.values().filter(|lane| !lane.is_empty()).map(|lane| lane.calls).min();
        let new = || Lane { pending: VecDeque::new(), polls: VecDeque::new(), calls: 0, turn: 0 };
        let lane = self.lanes.entry(waiter.namespace.clone()).or_insert_with(new);
        if lane.is_empty() {
            lane.calls = lane.calls.max(least.unwrap_or_default());
        }
        let waiting = if is_pending { &mut lane.pending } else { &mut lane.polls };
        if before {
            waiting.push_front((waiter, with));
        } else {
            waiting.push_back((waiter, with));
        }
    }

    /// Removes and returns the next object.
    pub fn pop(&mut self) -> Option<(ObjectKey, W)> {
        let waiting = self.lanes.values_mut().filter(|lane| !lane.is_empty());
        let lane = waiting.min_by_key(|lane| (lane.calls, lane.turn))?;
        self.turn += 1;
        lane.turn = self.turn;
        let next = lane.pending.pop_front().or_else(|| lane.polls.pop_front())?;
        self.waiting.remove(&next.0);
        Some(next)
    }

    /// Removes `waiter` if it waits.
    pub fn remove(&mut self, waiter: &ObjectKey) {
        if let Some(is_pending) = self.waiting.remove(waiter)
            && let Some(lane) = self.lanes.get_mut(&waiter.namespace)
        {
            let waiting = if is_pending { &mut lane.pending } else { &mut lane.polls };
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
        self.pending.is_empty() && self.polls.is_empty()
    }
}

#[cfg(test)]
mod tests;
