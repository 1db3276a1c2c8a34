//! The waiting queue of a tenant: order, and fair shares of namespaces.

use std::collections::BTreeMap;

use super::*;
use crate::reconcile::{KindName, ObjectKey};

fn waiter(namespace: &str, name: impl ToString) -> ObjectKey {
    ObjectKey { namespace: namespace.to_owned(), kind: KindName::EnrollmentRequest, name: name.to_string() }
}

fn queue(namespaces: &[(&str, usize)]) -> TurnQueue<()> {
    let mut queue = TurnQueue::default();
    for (namespace, objects) in namespaces {
        (0..*objects).for_each(|n| queue.join(waiter(namespace, n), (), true, false));
    }
    queue
}

/// Takes turns of `calls(namespace)` calls each. Returns the waiters in order.
fn take(queue: &mut TurnQueue<()>, turns: usize, calls: impl Fn(&str) -> u32) -> Vec<ObjectKey> {
    let turn = |queue: &mut TurnQueue<()>| {
        let (next, ()) = queue.pop()?;
        (0..calls(&next.namespace)).for_each(|_| queue.charge(&next.namespace));
        Some(next)
    };
    (0..turns).map_while(|_| turn(queue)).collect()
}

fn count(taken: &[ObjectKey]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    taken.iter().for_each(|it| *counts.entry(it.namespace.as_str()).or_default() += 1);
    counts
}

#[test]
fn namespace_is_served_first_in_first_out() {
    let taken = take(&mut queue(&[("a", 5)]), 9, |_| 1);
    assert_eq!(taken, (0..5).map(|n| waiter("a", n)).collect::<Vec<_>>());
}

#[test]
fn small_namespace_is_served_beside_a_large_one() {
    let mut queue = queue(&[("crowd", 1000), ("few", 10)]);
    let taken = take(&mut queue, 20, |_| 3);
    assert_eq!(count(&taken), BTreeMap::from([("few", 10), ("crowd", 10)]));
    assert_eq!(
        count(&take(&mut queue, 2000, |_| 3)),
        BTreeMap::from([("crowd", 990)]),
        "all other turns go to the remaining namespace"
    );
}

#[test]
fn late_namespace_does_not_wait_for_all_earlier_objects() {
    let mut queue = queue(&[("crowd", 1000)]);
    take(&mut queue, 500, |_| 3);
    (0..10).for_each(|n| queue.join(waiter("few", n), (), true, false));
    assert_eq!(count(&take(&mut queue, 20, |_| 3)), BTreeMap::from([("few", 10), ("crowd", 10)]));
}

#[test]
fn namespaces_share_calls_not_turns() {
    let mut queue = queue(&[("cheap", 1000), ("dear", 1000)]);
    let taken = take(&mut queue, 400, |namespace| if namespace == "dear" { 3 } else { 1 });
    assert_eq!(count(&taken), BTreeMap::from([("cheap", 300), ("dear", 100)]));
}

#[test]
fn many_namespaces_take_turns() {
    let names: Vec<String> = (0..50).map(|n| format!("n{n:02}")).collect();
    let all: Vec<_> = names.iter().map(|name| (name.as_str(), 20)).collect();
    let taken = take(&mut queue(&all), 500, |_| 2);
    assert!(count(&taken).values().all(|turns| *turns == 10), "{:?}", count(&taken));
    assert_eq!(count(&taken).len(), 50);
}

#[test]
fn idle_namespace_gains_no_credit() {
    let mut queue = queue(&[("a", 1000), ("b", 1)]);
    take(&mut queue, 101, |_| 1);
    (1..1000).for_each(|n| queue.join(waiter("b", n), (), true, false));
    assert_eq!(count(&take(&mut queue, 20, |_| 1)), BTreeMap::from([("a", 10), ("b", 10)]));
    // A namespace that always rejoins with one object gets no more than half.
    let mut queue = self::queue(&[("a", 1000)]);
    let mut turns = 0;
    for _ in 0..200 {
        queue.join(waiter("b", 0), (), true, false);
        turns += count(&take(&mut queue, 1, |_| 1)).get("b").copied().unwrap_or_default();
    }
    assert_eq!(turns, 100);
}

#[test]
fn object_waits_once_and_keeps_its_position() {
    let mut queue = queue(&[("a", 3)]);
    queue.join(waiter("a", 0), (), true, false);
    queue.join(waiter("a", 2), (), true, true);
    queue.join(ObjectKey { kind: KindName::AuthenticatorConfig, ..waiter("a", 0) }, (), true, false);
    let taken: Vec<_> = take(&mut queue, 9, |_| 1).into_iter().map(|it| (it.kind, it.name)).collect();
    let (requests, configs) = (KindName::EnrollmentRequest, KindName::AuthenticatorConfig);
    assert_eq!(
        taken,
        [(requests, "0"), (requests, "1"), (requests, "2"), (configs, "0")].map(|(k, n)| (k, n.to_owned()))
    );
    assert!(queue.is_empty());
}

#[test]
fn front_insert_is_next_and_removed_waiter_is_not_served() {
    let mut queue = queue(&[("a", 3)]);
    queue.join(waiter("a", "first"), (), true, true);
    queue.remove(&waiter("a", 1));
    queue.remove(&waiter("a", "unknown"));
    let taken: Vec<_> = take(&mut queue, 9, |_| 1).into_iter().map(|it| it.name).collect();
    assert_eq!(taken, ["first", "0", "2"]);
}

#[test]
fn pending_work_precedes_polls_within_the_same_share() {
    let mut queue = TurnQueue::default();
    (0..1000).for_each(|n| queue.join(waiter("crowd", n), (), false, false));
    queue.join(waiter("crowd", "pending"), (), true, false);
    queue.join(waiter("crowd", 500), (), true, false);
    queue.join(waiter("crowd", 500), (), false, false);
    let taken: Vec<_> = take(&mut queue, 4, |_| 1).into_iter().map(|it| it.name).collect();
    assert_eq!(taken, ["pending", "500", "0", "1"]);
    (0..10).for_each(|n| queue.join(waiter("few", n), (), false, false));
    (1000..2000).for_each(|n| queue.join(waiter("crowd", n), (), true, false));
    assert_eq!(count(&take(&mut queue, 20, |_| 1)), BTreeMap::from([("few", 10), ("crowd", 10)]));
}

#[test]
fn refunded_call_does_not_count() {
    let mut queue = queue(&[("a", 100), ("b", 100)]);
    for _ in 0..10 {
        let taken = take(&mut queue, 1, |_| 1);
        taken.iter().filter(|it| it.namespace == "a").for_each(|_| queue.refund("a"));
    }
    assert_eq!(queue.lanes["a"].calls, 0);
    assert_eq!(queue.lanes["b"].calls, 1);
}

#[test]
fn objects_ahead_are_those_of_the_namespace_and_as_many_of_each_other_one() {
    let queue = queue(&[("a", 5), ("b", 2), ("c", 1)]);
    let ahead = |namespace: &str, n: usize| queue.ahead_of(&waiter(namespace, n));
    assert_eq!([ahead("a", 0), ahead("a", 1), ahead("a", 4)], [2, 4, 7]);
    assert_eq!([ahead("b", 0), ahead("b", 1), ahead("c", 0)], [2, 4, 2]);
    assert_eq!(queue.ahead_of(&waiter("d", 0)), 0);
}
