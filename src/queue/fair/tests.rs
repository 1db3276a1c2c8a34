//! The order of the queue: each rule, and a comparison with a naive model.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::api::ProviderConfigRef;

const AMPLE: Bounds = Bounds { total: 1000, per_provider_config: 1000 };

fn provider(name: &str) -> Lane {
    let reference = ProviderConfigRef { name: name.to_owned(), ..ProviderConfigRef::default() };
    Some(reference.resolve("any"))
}

fn class(name: &str, namespace: &str, priority: Priority) -> Class {
    Class { provider: provider(name), namespace: namespace.to_owned(), priority }
}

fn of(priority: Priority) -> Class {
    class("default", "identity", priority)
}

/// Starts every key that can run now.
fn all(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| queue.start_next()).collect()
}

fn depths<K: Clone + Eq + Hash>(queue: &FairQueue<K>) -> [usize; 4] {
    queue.depth().map(|(_, count)| count)
}

#[test]
fn higher_priority_runs_first_then_first_in_first_out() {
    let mut queue = FairQueue::new(AMPLE);
    for (key, priority) in [
        ("poll", Priority::Routine),
        ("new", Priority::Default),
        ("email", Priority::Pending),
        ("later email", Priority::Pending),
        ("revocation", Priority::Removal),
    ] {
        queue.enqueue(key, of(priority));
    }
    assert_eq!(depths(&queue), [1, 2, 1, 1]);
    assert_eq!(all(&mut queue), ["revocation", "email", "later email", "new", "poll"]);
    assert_eq!((depths(&queue), queue.running()), ([0; 4], 5));
}

#[test]
fn key_is_queued_once_with_latest_class_and_highest_priority() {
    let mut queue = FairQueue::new(AMPLE);
    queue.enqueue("a", class("one", "identity", Priority::Pending));
    queue.enqueue("b", class("other", "identity", Priority::Pending));
    queue.enqueue("a", class("other", "identity", Priority::Routine));
    assert_eq!(depths(&queue), [0, 2, 0, 0]);
    assert_eq!(queue.lanes[&provider("other")].first(Priority::Pending).count(), 1);
    assert_eq!(all(&mut queue), ["a", "b"]);
    assert_eq!(queue.lanes.get(&provider("one")).map_or(0, |keys| keys.running), 0, "it runs in its latest lane");
}

#[test]
fn key_enqueued_while_running_runs_again_at_once() {
    let (mut queue, now) = (FairQueue::new(AMPLE), Instant::now());
    queue.enqueue("a", of(Priority::Pending));
    assert_eq!(all(&mut queue), ["a"]);
    queue.enqueue("a", of(Priority::Removal));
    queue.enqueue("a", of(Priority::Routine));
    assert_eq!((all(&mut queue), depths(&queue)), (vec![], [0; 4]));
    queue.done(&"a", Some(now + Duration::from_secs(60)));
    assert_eq!((depths(&queue), queue.next_due()), ([1, 0, 0, 0], None), "the enqueue overrides the delay");
    assert_eq!(all(&mut queue), ["a"]);
    queue.done(&"a", None);
    assert_eq!((all(&mut queue), queue.entries.len(), queue.lanes.len()), (vec![], 0, 0), "no entry remains");
}

#[test]
fn earliest_delay_wins_and_enqueue_overrides_it() {
    let (mut queue, start) = (FairQueue::new(AMPLE), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let routine = |_: &&str| Some(of(Priority::Routine));
    queue.enqueue("a", of(Priority::Pending));
    assert_eq!(all(&mut queue), ["a"]);
    queue.enqueue_at("a", at(20));
    queue.enqueue_at("a", at(25));
    queue.done(&"a", Some(at(30)));
    queue.enqueue_at("a", at(25));
    assert_eq!(queue.next_due(), Some(at(20)));
    queue.enqueue_at("a", at(10));
    queue.promote(at(9), routine);
    assert_eq!((all(&mut queue), queue.next_due()), (vec![], Some(at(10))));
    queue.promote(at(10), routine);
    assert_eq!((depths(&queue), queue.next_due()), ([0, 0, 0, 1], None), "classified when it is due");
    queue.enqueue_at("a", at(11));
    assert_eq!((all(&mut queue), queue.next_due()), (vec!["a"], None), "a ready key is not delayed");
    queue.done(&"a", Some(at(40)));
    queue.enqueue("a", of(Priority::Default));
    assert_eq!((all(&mut queue), queue.next_due()), (vec!["a"], None));
    queue.enqueue_at("a", at(50));
    queue.done(&"a", Some(at(60)));
    assert_eq!(queue.next_due(), Some(at(50)));
}

#[test]
fn provider_configs_and_their_namespaces_take_turns() {
    let mut queue = FairQueue::new(AMPLE);
    let pending = |name, namespace| class(name, namespace, Priority::Pending);
    for key in ["a1", "a2", "a3"] {
        queue.enqueue(key, pending("one", "a"));
    }
    for key in ["b1", "b2"] {
        queue.enqueue(key, pending("one", "b"));
    }
    queue.enqueue("c1", pending("other", "a"));
    queue.enqueue("d1", Class { provider: None, ..pending("", "a") });
    assert_eq!(all(&mut queue), ["a1", "c1", "d1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn least_recently_served_lane_is_next_across_priorities() {
    let mut queue = FairQueue::new(AMPLE);
    queue.enqueue("removal", class("one", "a", Priority::Removal));
    queue.enqueue("poll of one", class("one", "a", Priority::Routine));
    queue.enqueue("poll of other", class("other", "a", Priority::Routine));
    assert_eq!(all(&mut queue), ["removal", "poll of other", "poll of one"]);
}

#[test]
fn every_eighth_pick_is_the_longest_waiting() {
    let mut queue = FairQueue::new(AMPLE);
    queue.enqueue(0, of(Priority::Routine));
    queue.enqueue(1, of(Priority::Default));
    for email in 2..=20 {
        queue.enqueue(email, of(Priority::Pending));
    }
    let picked: Vec<_> = std::iter::from_fn(|| queue.start_next()).collect();
    let position = |key| picked.iter().position(|it| *it == key).unwrap() as u64 + 1;
    assert_eq!((position(0), position(1)), (LONGEST_WAIT_EVERY, 2 * LONGEST_WAIT_EVERY), "{picked:?}");
}

#[test]
fn total_bound_limits_running_keys() {
    let mut queue = FairQueue::new(Bounds { total: 2, ..AMPLE });
    for key in ["a", "b", "c"] {
        queue.enqueue(key, of(Priority::Pending));
    }
    assert_eq!(all(&mut queue), ["a", "b"]);
    queue.done(&"b", None);
    assert_eq!(all(&mut queue), ["c"]);
}

#[test]
fn provider_config_is_limited_to_its_share() {
    let mut queue = FairQueue::new(Bounds { total: 4, per_provider_config: 2 });
    for key in ["slow 1", "slow 2", "slow 3"] {
        queue.enqueue(key, class("slow", "a", Priority::Removal));
    }
    queue.enqueue("other", class("other", "b", Priority::Routine));
    for (key, namespace) in [("unknown 1", "a"), ("unknown 2", "b"), ("unknown 3", "c")] {
        queue.enqueue(key, Class { provider: None, ..class("", namespace, Priority::Routine) });
    }
    assert_eq!(all(&mut queue), ["slow 1", "slow 2", "other", "unknown 1"]);
    queue.done(&"other", None);
    assert_eq!(all(&mut queue), ["unknown 2"], "slow 3 is beyond the share");
    queue.done(&"unknown 1", None);
    queue.done(&"slow 2", None);
    assert_eq!(all(&mut queue), ["slow 3", "unknown 3"]);
}

#[test]
fn longest_waiting_pick_respects_the_share() {
    let mut queue = FairQueue::new(Bounds { total: 100, per_provider_config: 1 });
    for key in ["slow 1", "slow 2"] {
        queue.enqueue(key, class("slow", "a", Priority::Removal));
    }
    for name in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        queue.enqueue(name, class(name, "a", Priority::Routine));
    }
    assert_eq!(all(&mut queue), ["slow 1", "b", "c", "d", "e", "f", "g", "h", "i"]);
}

#[test]
fn removed_key_does_not_run() {
    let (mut queue, now) = (FairQueue::new(AMPLE), Instant::now());
    queue.enqueue("ready", of(Priority::Pending));
    queue.enqueue_at("delayed", now);
    queue.remove(&"ready");
    queue.remove(&"delayed");
    assert_eq!((all(&mut queue), queue.next_due(), queue.entries.len()), (vec![], None, 0));
    queue.enqueue("running", of(Priority::Pending));
    assert_eq!(all(&mut queue), ["running"]);
    queue.enqueue("running", of(Priority::Pending));
    queue.enqueue_at("running", now);
    queue.remove(&"running");
    assert_eq!(queue.running(), 1);
    queue.done(&"running", None);
    assert_eq!((all(&mut queue), queue.next_due(), queue.entries.len()), (vec![], None, 0));
    queue.enqueue_at("never classified", now);
    queue.promote(now, |_| None);
    assert_eq!((all(&mut queue), queue.entries.len()), (vec![], 0));
}

#[test]
fn reclassified_key_keeps_its_position() {
    let mut queue = FairQueue::new(AMPLE);
    for key in ["deleted", "done since", "second", "third"] {
        queue.enqueue(key, of(Priority::Pending));
    }
    queue.reclassify(|key| match *key {
        "deleted" => None,
        "done since" => Some(of(Priority::Routine)),
        _ => Some(of(Priority::Pending)),
    });
    assert_eq!(depths(&queue), [0, 2, 0, 1]);
    assert_eq!(all(&mut queue), ["second", "third", "done since"]);
}

/// An operation on a queue.
#[derive(Clone, Debug)]
enum Operation {
    Enqueue(u8, Class),
    EnqueueAt(u8, u64),
    Promote(u64),
    Next,
    Done(usize, Option<u64>),
    Remove(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = 0..12_u8;
    let priority = (0..4_usize).prop_map(|at| Priority::ALL[at]);
    let class = (0..3_usize, 0..2_usize, priority).prop_map(|(lane, namespace, priority)| Class {
        provider: [None, provider("one"), provider("other")][lane].clone(),
        namespace: ["a", "b"][namespace].to_owned(),
        priority,
    });
    prop_oneof![
        4 => (key.clone(), class).prop_map(|(key, class)| Operation::Enqueue(key, class)),
        1 => (key.clone(), 0..100_u64).prop_map(|(key, at)| Operation::EnqueueAt(key, at)),
        1 => (0..100_u64).prop_map(Operation::Promote),
        4 => Just(Operation::Next),
        3 => (0..4_usize, proptest::option::of(0..100_u64)).prop_map(|(which, at)| Operation::Done(which, at)),
        1 => key.prop_map(Operation::Remove),
    ]
}

#[derive(Clone)]
struct Running {
    key: u8,
    lane: Lane,
    again: Option<Class>,
    due: Option<u64>,
    removed: bool,
}

/// The same rules, with linear searches.
#[derive(Default)]
struct Naive {
    ready: Vec<(u8, Class, u64)>,
    delayed: Vec<(u8, u64, u64)>,
    running: Vec<Running>,
    picks_of: Vec<Lane>,
    served: Vec<(Lane, Option<String>, u64)>,
    arrivals: u64,
    picks: u64,
}

impl Naive {
    fn enqueue(&mut self, key: u8, class: Class) {
        if let Some(running) = self.running.iter_mut().find(|it| it.key == key) {
            running.again = Some(merged(running.again.take(), class));
        } else if let Some(ready) = self.ready.iter_mut().find(|it| it.0 == key) {
            ready.1 = merged(Some(ready.1.clone()), class);
        } else {
            self.delayed.retain(|it| it.0 != key);
            self.arrivals += 1;
            self.ready.push((key, class, self.arrivals));
        }
    }

    fn enqueue_at(&mut self, key: u8, at: u64) {
        if let Some(running) = self.running.iter_mut().find(|it| it.key == key) {
            running.due = Some(running.due.map_or(at, |due| due.min(at)));
        } else if !self.ready.iter().any(|it| it.0 == key) && !self.delayed.iter().any(|it| it.0 == key && it.1 <= at) {
            self.delayed.retain(|it| it.0 != key);
            self.arrivals += 1;
            self.delayed.push((key, at, self.arrivals));
        }
    }

    fn promote(&mut self, now: u64, class: &Class) {
        self.delayed.sort_by_key(|it| (it.1, it.2));
        for (key, at, _) in self.delayed.clone() {
            if at <= now {
                self.enqueue(key, class.clone());
            }
        }
    }

    fn last(&self, lane: &Lane, namespace: Option<&str>) -> u64 {
        let picks = self.served.iter().filter(|(of, within, _)| of == lane && within.as_deref() == namespace);
        picks.map(|it| it.2).max().unwrap_or(0)
    }

    fn next(&mut self, bounds: Bounds) -> Option<u8> {
        let is_free =
            |lane: &Lane| self.running.iter().filter(|it| it.lane == *lane).count() < bounds.per_provider_config;
        let free: Vec<_> = self.ready.iter().filter(|it| is_free(&it.1.provider)).cloned().collect();
        if self.running.len() >= bounds.total || free.is_empty() {
            return None;
        }
        self.picks += 1;
        let (key, class, _) = if self.picks.is_multiple_of(LONGEST_WAIT_EVERY) {
            free.into_iter().min_by_key(|it| it.2)?
        } else {
            let highest = free.iter().map(|it| it.1.priority).max()?;
            let all = free.clone();
            let urgent: Vec<_> = free.into_iter().filter(|it| it.1.priority == highest).collect();
            let lane = urgent.iter().min_by_key(|it| (self.last(&it.1.provider, None), it.2))?.1.provider.clone();
            let picks = self.picks_of.iter().filter(|of| **of == lane).count() as u64;
            if (picks + 1).is_multiple_of(LONGEST_WAIT_EVERY) {
                all.into_iter().filter(|it| it.1.provider == lane).min_by_key(|it| it.2)?
            } else {
                let of_lane = urgent.into_iter().filter(|it| it.1.provider == lane);
                of_lane.min_by_key(|it| (self.last(&lane, Some(&it.1.namespace)), it.2))?
            }
        };
        self.ready.retain(|it| it.0 != key);
        self.served.push((class.provider.clone(), None, self.picks));
        self.served.push((class.provider.clone(), Some(class.namespace), self.picks));
        self.picks_of.push(class.provider.clone());
        self.running.push(Running { key, lane: class.provider, again: None, due: None, removed: false });
        self.forget();
        Some(key)
    }

    fn done(&mut self, key: u8, at: Option<u64>) {
        let Some(running) = self.running.iter().position(|it| it.key == key) else { return };
        let Running { again, due, removed, .. } = self.running.remove(running);
        let at = at.filter(|_| !removed);
        match (again, at.into_iter().chain(due).min()) {
            (Some(class), _) => self.enqueue(key, class),
            (None, Some(at)) => self.enqueue_at(key, at),
            (None, None) => {}
        }
        self.forget();
    }

    fn remove(&mut self, key: u8) {
        self.ready.retain(|it| it.0 != key);
        self.delayed.retain(|it| it.0 != key);
        for running in self.running.iter_mut().filter(|it| it.key == key) {
            (running.again, running.due, running.removed) = (None, None, true);
        }
        self.forget();
    }

    /// Without ready keys, the history of all lanes is dropped except that of running ones.
    fn forget(&mut self) {
        if self.ready.is_empty() {
            let running: Vec<_> = self.running.iter().map(|it| it.lane.clone()).collect();
            self.served.retain(|(lane, namespace, _)| namespace.is_none() && running.contains(lane));
            self.picks_of.retain(|lane| running.contains(lane));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queue_matches_the_naive_model(operations in vec(operation(), 1..300), total in 1..6_usize, each in 1..4_usize) {
        let bounds = Bounds { total, per_provider_config: each };
        let (mut queue, mut naive, start) = (FairQueue::new(bounds), Naive::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let due = class("one", "a", Priority::Routine);
        for operation in operations {
            match operation {
                Operation::Enqueue(key, class) => {
                    queue.enqueue(key, class.clone());
                    naive.enqueue(key, class);
                }
                Operation::EnqueueAt(key, seconds) => {
                    queue.enqueue_at(key, at(seconds));
                    naive.enqueue_at(key, seconds);
                }
                Operation::Promote(seconds) => {
                    queue.promote(at(seconds), |_| Some(due.clone()));
                    naive.promote(seconds, &due);
                }
                Operation::Next => prop_assert_eq!(queue.start_next(), naive.next(bounds)),
                Operation::Done(which, seconds) => {
                    let Some(key) = naive.running.get(which).map(|it| it.key) else { continue };
                    queue.done(&key, seconds.map(at));
                    naive.done(key, seconds);
                }
                Operation::Remove(key) => {
                    queue.remove(&key);
                    naive.remove(key);
                }
            }
            let ready = |priority| naive.ready.iter().filter(|it| it.1.priority == priority).count();
            prop_assert_eq!(queue.depth(), Priority::ALL.map(|priority| (priority, ready(priority))));
            prop_assert_eq!(queue.running(), naive.running.len());
            prop_assert_eq!(queue.next_due(), naive.delayed.iter().map(|it| at(it.1)).min());
            prop_assert_eq!(queue.entries.len(), naive.ready.len() + naive.delayed.len() + naive.running.len());
        }
    }
}
