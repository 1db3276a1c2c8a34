//! The order of reconciles of one kind: by priority, and fair between provider configs and namespaces. Pure: no locks,
//! no tasks, and time is a parameter.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

use super::class::{Class, Priority};
use crate::api::ProviderConfigKey;

/// Every eighth pick, both in total and of each provider config, takes the longest waiting ready key of any priority.
/// Otherwise a steady stream of urgent work would starve polls, and a bound passkey would never be observed. With an
/// eighth, a burst of urgent work takes a seventh longer than necessary.
const LONGEST_WAIT_EVERY: u64 = 8;

/// How much room is kept without need: this many times the number of keys, and for as many keys at least.
const SPARE: usize = 16;

/// Maximum number of keys that run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In total.
    pub total: usize,
    /// For each provider config. A slow one fills its own share only.
    pub per_provider_config: usize,
}

/// Keys that are ready, delayed or running. Each key is in the queue once.
#[derive(Debug)]
pub struct FairQueue<K> {
    bounds: Bounds,
    entries: HashMap<K, Entry>,
    lanes: BTreeMap<Lane, Keys<K>>,
    /// When each delayed key is due. The number distinguishes keys of the same instant and keeps their order.
    delayed: BTreeMap<(Instant, u64), K>,
    /// Number of ready keys, by priority.
    depth: [usize; Priority::ALL.len()],
    running: usize,
    /// The number of the next arrival, and of the next pick.
    arrivals: u64,
    picks: u64,
}

/// The keys of a provider config share its bound. Keys with an unknown provider config share one lane.
type Lane = Option<ProviderConfigKey>;

#[derive(Debug)]
enum Entry {
    Ready {
        class: Class,
        arrival: u64,
    },
    Delayed(Instant, u64),
    Running {
        lane: Lane,
        /// The class of an enqueue during the run.
        again: Option<Class>,
        /// The time of a delayed enqueue during the run.
        at: Option<Instant>,
        /// It was removed during the run, so the requeue time of the run is ignored.
        gone: bool,
    },
}

/// The keys of one lane.
#[derive(Debug)]
struct Keys<K> {
    /// The ready keys, by priority, namespace and arrival.
    ready: [BTreeMap<String, BTreeMap<u64, K>>; Priority::ALL.len()],
    running: usize,
    /// The number of picks from this lane.
    picks: u64,
    /// The last pick of the lane, and of each namespace.
    served: u64,
    namespaces: HashMap<String, u64>,
}

/// The position of the next key.
struct Position {
    lane: Lane,
    priority: Priority,
    namespace: String,
    arrival: u64,
}

impl<K: Clone + Eq + Hash> FairQueue<K> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            lanes: BTreeMap::new(),
            delayed: BTreeMap::new(),
            depth: [0; Priority::ALL.len()],
            running: 0,
            arrivals: 0,
            picks: 0,
        }
    }

    /// Makes `key` ready now, and drops its delay. A ready key keeps its first arrival, its latest class and its
    /// highest priority. A running key becomes ready again at the end of its run.
    pub fn enqueue(&mut self, key: K, class: Class) {
        match self.entries.get_mut(&key) {
            Some(Entry::Running { again, .. }) => *again = Some(merged(again.take(), class)),
            _ => {
                let (before, arrival) = match self.take_out(&key) {
                    Some((class, arrival)) => (Some(class), arrival),
                    None => (None, self.arrival()),
                };
                self.make_ready(key, merged(before, class), arrival);
            }
        }
    }

    /// Makes `key` due at `at`, unless it is ready or due earlier.
    pub fn enqueue_at(&mut self, key: K, at: Instant) {
        match self.entries.get_mut(&key) {
            Some(Entry::Ready { .. }) => {}
            Some(Entry::Running { at: due, .. }) => *due = Some(due.map_or(at, |due| due.min(at))),
            Some(Entry::Delayed(due, _)) if *due <= at => {}
            Some(Entry::Delayed(..)) | None => {
                self.take_out(&key);
                let arrival = self.arrival();
                self.delayed.insert((at, arrival), key.clone());
                self.entries.insert(key, Entry::Delayed(at, arrival));
            }
        }
    }

    /// Makes the due keys ready. `classify` returns the class of a key, which is unknown until then; a key without a
    /// class is dropped.
    pub fn promote(&mut self, now: Instant, mut classify: impl FnMut(&K) -> Option<Class>) {
        while let Some(due) = self.delayed.first_entry().filter(|due| due.key().0 <= now) {
            let key = due.remove();
            self.entries.remove(&key);
            if let Some(class) = classify(&key) {
                self.enqueue(key, class);
            }
        }
    }

    /// Classifies all ready keys again, since another process may already have done the urgent work.
    pub fn reclassify(&mut self, mut classify: impl FnMut(&K) -> Option<Class>) {
        let is_ready = |(key, entry): (&K, &Entry)| matches!(entry, Entry::Ready { .. }).then(|| key.clone());
        let ready: Vec<K> = self.entries.iter().filter_map(is_ready).collect();
        for key in ready {
            if let Some((_, arrival)) = self.take_out(&key)
                && let Some(class) = classify(&key)
            {
                self.make_ready(key, class, arrival);
            }
        }
        self.tidy();
    }

    /// Picks the next key, which then runs until [`Self::done`].
    pub fn start_next(&mut self) -> Option<K> {
        if self.running >= self.bounds.total {
            return None;
        }
        let Position { lane, priority, namespace, arrival } = self.next_spot()?;
        self.picks += 1;
        let keys = self.lanes.get_mut(&lane)?;
        let key = keys.take(priority, &namespace, arrival)?;
        keys.running += 1;
        keys.picks += 1;
        keys.served = self.picks;
        keys.namespaces.insert(namespace, self.picks);
        self.running += 1;
        self.depth[priority as usize] -= 1;
        self.entries.insert(key.clone(), Entry::Running { lane, again: None, at: None, gone: false });
        self.tidy();
        Some(key)
    }

    /// Ends the run of `key`. It is ready at once if it was enqueued during the run. Otherwise it is due at `at`, or at
    /// the time of a delayed enqueue during the run, whichever is earlier.
    pub fn done(&mut self, key: &K, at: Option<Instant>) {
        let Some(Entry::Running { .. }) = self.entries.get(key) else { return };
        let Some((key, Entry::Running { lane, again, at: meanwhile, gone })) = self.entries.remove_entry(key) else {
            return;
        };
        let at = at.filter(|_| !gone);
        self.running -= 1;
        self.lanes.entry(lane).and_modify(|keys| keys.running -= 1);
        match (again, at.into_iter().chain(meanwhile).min()) {
            (Some(class), _) => self.enqueue(key, class),
            (None, Some(at)) => self.enqueue_at(key, at),
            (None, None) => {}
        }
        self.tidy();
    }

    /// Removes `key`. A running key does not run again, unless a new object of that name is enqueued.
    pub fn remove(&mut self, key: &K) {
        if let Some(Entry::Running { again, at, gone, .. }) = self.entries.get_mut(key) {
            (*again, *at, *gone) = (None, None, true);
        } else {
            self.take_out(key);
            self.tidy();
        }
    }

    /// The number of ready keys, by priority.
    pub fn depth(&self) -> [(Priority, usize); Priority::ALL.len()] {
        Priority::ALL.map(|priority| (priority, self.depth[priority as usize]))
    }

    /// The number of running keys.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When the next delayed key is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|((at, _), _)| *at)
    }

    fn next_spot(&self) -> Option<Position> {
        let free = || self.lanes.iter().filter(|(_, keys)| keys.running < self.bounds.per_provider_config);
        if (self.picks + 1).is_multiple_of(LONGEST_WAIT_EVERY) {
            let spots = free().flat_map(|(lane, keys)| {
                let each = move |priority: Priority| keys.waits_longest(priority).map(|it| (lane, priority, it));
                Priority::ALL.into_iter().filter_map(each)
            });
            let (lane, priority, (namespace, arrival)) = spots.min_by_key(|(_, _, (_, arrival))| *arrival)?;
            return Some(Position { lane: lane.clone(), priority, namespace: namespace.to_owned(), arrival });
        }
        Priority::ALL.into_iter().find_map(|priority| {
            // The arrival decides between lanes that were never served.
            let waits = free().filter_map(|(lane, keys)| Some((lane, keys, keys.waits_longest(priority)?.1)));
            let (lane, keys, _) = waits.min_by_key(|(_, keys, arrival)| (keys.served, *arrival))?;
            let (priority, (namespace, arrival)) = keys.next(priority)?;
            Some(Position { lane: lane.clone(), priority, namespace: namespace.to_owned(), arrival })
        })
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    fn make_ready(&mut self, key: K, class: Class, arrival: u64) {
        let Class { provider, namespace, priority } = &class;
        self.depth[*priority as usize] += 1;
        let keys = self.lanes.entry(provider.clone()).or_default();
        keys.ready[*priority as usize].entry(namespace.clone()).or_default().insert(arrival, key.clone());
        self.entries.insert(key, Entry::Ready { class, arrival });
    }

    /// Removes a key that is not running; returns its class and arrival if it was ready.
    fn take_out(&mut self, key: &K) -> Option<(Class, u64)> {
        match self.entries.remove(key)? {
            Entry::Ready { class, arrival } => {
                self.depth[class.priority as usize] -= 1;
                if let Some(keys) = self.lanes.get_mut(&class.provider) {
                    keys.take(class.priority, &class.namespace, arrival);
                }
                Some((class, arrival))
            }
            Entry::Delayed(at, arrival) => {
                self.delayed.remove(&(at, arrival));
                None
            }
            running @ Entry::Running { .. } => {
                self.entries.insert(key.clone(), running);
                None
            }
        }
    }

    /// Without ready keys there is no turn to preserve, so the history of picks is dropped. So is the room for the keys of a
    /// start, which are all keys.
    fn tidy(&mut self) {
        if self.depth == [0; Priority::ALL.len()] {
            if self.entries.capacity() > SPARE * self.entries.len().max(SPARE) {
                self.entries.shrink_to_fit();
            }
            self.lanes.retain(|_, keys| keys.running > 0);
            self.lanes.values_mut().for_each(|keys| keys.namespaces.clear());
        }
    }
}

impl<K> Keys<K> {
    fn take(&mut self, priority: Priority, namespace: &str, arrival: u64) -> Option<K> {
        let namespaces = &mut self.ready[priority as usize];
        let keys = namespaces.get_mut(namespace)?;
        let key = keys.remove(&arrival);
        if keys.is_empty() {
            namespaces.remove(namespace);
        }
        key
    }

    /// The next key if `priority` is the highest one: the first arrival of the namespace that was served longest ago.
    /// Once every `LONGEST_WAIT_EVERY` picks, it is the key that has waited longest.
    fn next(&self, priority: Priority) -> Option<(Priority, (&str, u64))> {
        if (self.picks + 1).is_multiple_of(LONGEST_WAIT_EVERY) {
            let each = |priority: Priority| Some((priority, self.waits_longest(priority)?));
            return Priority::ALL.into_iter().filter_map(each).min_by_key(|(_, (_, arrival))| *arrival);
        }
        let served = |namespace: &str| self.namespaces.get(namespace).copied().unwrap_or_default();
        let next = self.first(priority).min_by_key(|(namespace, arrival)| (served(namespace), *arrival))?;
        Some((priority, next))
    }

    /// The first arrival of all namespaces, with its namespace.
    fn waits_longest(&self, priority: Priority) -> Option<(&str, u64)> {
        self.first(priority).min_by_key(|(_, arrival)| *arrival)
    }

    /// The first arrival of each namespace.
    fn first(&self, priority: Priority) -> impl Iterator<Item = (&str, u64)> {
        let namespaces = self.ready[priority as usize].iter();
        namespaces.filter_map(|(namespace, keys)| Some((namespace.as_str(), *keys.first_key_value()?.0)))
    }
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self { ready: Default::default(), running: 0, picks: 0, served: 0, namespaces: HashMap::new() }
    }
}

/// The later class, with the higher of both priorities.
fn merged(before: Option<Class>, class: Class) -> Class {
    let priority = before.map_or(class.priority, |before| before.priority.max(class.priority));
    Class { priority, ..class }
}

#[cfg(test)]
mod tests;
