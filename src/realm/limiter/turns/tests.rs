//! Turns: which waiter is admitted, and when the next one is granted.

use std::collections::BTreeMap;

use super::*;
use crate::reconcile::{KindName, ObjectKey};

fn waiter(namespace: &str, name: impl ToString) -> ObjectKey {
    ObjectKey { namespace: namespace.to_owned(), kind: KindName::EnrollmentRequest, name: name.to_string() }
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The turns of a tenant that is paused for `pause` and then limited to one call a second.
fn slow(pause: f64, now: Instant) -> Turns<()> {
    let mut turns = Turns { rate: AdaptiveRate::constant(1.0), ..Turns::default() };
    turns.rate.pause_for(s(pause), now);
    turns
}

fn granted(turns: &mut Turns<()>, now: Instant) -> Vec<ObjectKey> {
    turns.pass(now).granted.into_iter().map(|(waiter, ())| waiter).collect()
}

#[test]
fn unlimited_tenant_admits_everything() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    for n in 0..1000 {
        assert_eq!(turns.admit(&waiter("a", n), true, (), now), Ok(()));
        turns.charge("a", now);
    }
    assert!(!turns.has_waiting());
    assert_eq!(turns.pass(now).next_at, None);
}

#[test]
fn pause_admits_none_then_one_at_a_time() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..3 {
        assert_eq!(turns.admit(&waiter("a", n), true, (), now), Err(s(10.0)));
        assert_eq!(turns.admit(&waiter("a", n), true, (), now + s(4.0)), Err(s(6.0)), "it is queued once");
    }
    let Next { granted: none, next_at } = turns.pass(now + s(9.9));
    assert_eq!((none.len(), next_at), (0, Some(now + s(10.0))));
    for n in 0..3 {
        let at = now + s(10.0 + f64::from(n));
        assert_eq!(granted(&mut turns, at), [waiter("a", n)]);
        assert_eq!(granted(&mut turns, at + s(0.9)), []);
        assert_eq!(turns.admit(&waiter("a", n), true, (), at + s(0.9)), Ok(()), "the granted waiter is admitted");
        turns.rate.answered(at, at + s(0.9));
    }
    assert_eq!(turns.pass(now + s(13.0)).next_at, None);
    assert_eq!(turns.admit(&waiter("a", "new"), true, (), now + s(13.0)), Ok(()), "the queue is empty");
    assert_eq!(
        turns.admit(&waiter("a", "newer"), true, (), now + s(13.0)),
        Err(Duration::ZERO),
        "the next call is not due"
    );
}

#[test]
fn newcomer_does_not_overtake_waiting_or_enqueued_objects() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    turns.admit(&waiter("a", "first"), true, (), now).unwrap_err();
    let at = now + s(60.0);
    assert_eq!(turns.admit(&waiter("a", "second"), true, (), at), Err(Duration::ZERO));
    assert_eq!(granted(&mut turns, at), [waiter("a", "first")]);
    assert_eq!(turns.admit(&waiter("a", "third"), true, (), at), Err(Duration::ZERO));
    assert_eq!(turns.admit(&waiter("a", "first"), true, (), at), Ok(()));
}

#[test]
fn unused_turn_lapses_and_its_object_waits_again() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..2 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(10.0);
    assert_eq!(granted(&mut turns, at), [waiter("a", 0)]);
    turns.rate.answered(at, at);
    assert_eq!(granted(&mut turns, at + s(1.0)), [waiter("a", 1)]);
    let late = at + RESERVED_FOR;
    assert_eq!(turns.admit(&waiter("a", 1), true, (), late), Ok(()));
    // After this call the next one is not due.
    turns.charge("a", late);
    assert_eq!(turns.admit(&waiter("a", 0), true, (), late), Err(Duration::ZERO));
    assert_eq!(turns.granted.len(), 0);
}

#[test]
fn calls_of_a_reconcile_delay_the_next_one() {
    let now = Instant::now();
    let mut turns = slow(0.0, now);
    let at = now + s(60.0);
    turns.admit(&waiter("a", 0), true, (), at).unwrap();
    turns.rate.answered(at, at);
    turns.charge("a", at);
    turns.charge("a", at);
    turns.admit(&waiter("a", 1), true, (), at).unwrap_err();
    assert_eq!(turns.pass(at).next_at, Some(at + s(3.0)));
    let later = at + s(3.0);
    assert_eq!(granted(&mut turns, later), [waiter("a", 1)]);
    turns.admit(&waiter("a", 1), true, (), later).unwrap();
    turns.refund("a");
    assert_eq!(turns.admit(&waiter("a", 2), true, (), later), Ok(()));
}

#[test]
fn pause_after_enqueue_keeps_the_next_turn() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..3 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(10.0);
    assert_eq!(granted(&mut turns, at), [waiter("a", 0)]);
    turns.rate.pause_for(s(30.0), at);
    assert_eq!(turns.admit(&waiter("a", 0), true, (), at), Err(s(30.0)));
    assert_eq!(granted(&mut turns, at + s(30.0)), [waiter("a", 0)]);
}

#[test]
fn resumed_tenant_enqueues_waiters_in_ordered_batches() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    turns.rate.pause_for(s(5.0), now);
    for n in 0..100 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(5.0);
    assert_eq!(granted(&mut turns, at), [waiter("a", 0)], "one call finds out whether the pause is over");
    turns.admit(&waiter("a", 0), true, (), at).unwrap();
    turns.rate.answered(at, at);
    let Next { granted: batch, next_at } = turns.pass(at);
    assert_eq!((batch.len(), next_at), (MOST_GRANTED, Some(at + RESERVED_FOR)));
    assert_eq!(turns.pass(at).granted.len(), 0);
    turns.admit(&waiter("a", 1), true, (), at).unwrap();
    assert_eq!(granted(&mut turns, at), [waiter("a", MOST_GRANTED + 1)]);
    assert_eq!(turns.pass(at + RESERVED_FOR).granted.len(), MOST_GRANTED, "unused turns do not block other waiters");
}

/// Each reconcile starts as soon as it is admitted and makes three calls.
#[test]
fn small_namespace_is_not_starved_by_a_large_one() {
    let start = Instant::now();
    let mut turns = slow(10.0, start);
    for n in 0..1000 {
        turns.admit(&waiter("crowd", n), true, (), start).unwrap_err();
    }
    let (mut now, mut last, mut done) = (start, start, Vec::new());
    while done.len() < 100 {
        if done.len() == 50 {
            (0..10).for_each(|n| _ = turns.admit(&waiter("few", n), true, (), now));
        }
        for waiter in granted(&mut turns, now) {
            turns.admit(&waiter, true, (), now).unwrap();
            if done.is_empty() {
                turns.rate.answered(now, now);
            }
            turns.charge(&waiter.namespace, now);
            turns.charge(&waiter.namespace, now);
            done.push(waiter);
            last = now;
        }
        now += turns.rate.wait(now);
    }
    let mut counts = BTreeMap::<_, usize>::new();
    done[50..70].iter().for_each(|it| *counts.entry(it.namespace.as_str()).or_default() += 1);
    assert_eq!(counts, BTreeMap::from([("few", 10), ("crowd", 10)]));
    let expected = 10.0 + 3.0 * 99.0;
    assert!((last.duration_since(start).as_secs_f64() - expected).abs() < 1.0, "the rate is respected");
}
