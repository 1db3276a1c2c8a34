use std::collections::BTreeMap;

use super::*;
use crate::reconcile::{KindName, ObjectKey};

fn waiter(namespace: &str, name: impl ToString) -> ObjectKey {
    ObjectKey { namespace: namespace.to_owned(), kind: KindName::EnrollmentRequest, name: name.to_string() }
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The turns of a tenant that asked to be left alone for `pause`, and bears a call each second after that.
fn slow(pause: f64, now: Instant) -> Turns<()> {
    let mut turns = Turns::default();
    (0..20).for_each(|_| turns.rate.answered(now, now));
    turns.rate.too_many(now, Some(s(10.0)), now);
    assert_eq!(turns.rate.calls_per_second(), Some(1.0));
    turns.rate.leave_alone(s(pause), now);
    turns
}

fn granted(turns: &mut Turns<()>, now: Instant) -> Vec<ObjectKey> {
    turns.pass(now).granted.into_iter().map(|(waiter, ())| waiter).collect()
}

#[test]
fn at_rest_everybody_is_admitted_and_nobody_waits() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    for n in 0..1000 {
        assert_eq!(turns.admit(&waiter("a", n), true, (), now), Ok(()));
        turns.charge("a", now);
    }
    assert!(!turns.has_waiting());
    assert_eq!(turns.pass(now).next_at, None);
}

#[test]
fn while_the_service_is_to_be_left_alone_nobody_is_admitted_and_one_after_the_other_from_then_on() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..3 {
        assert_eq!(turns.admit(&waiter("a", n), true, (), now), Err(s(10.0)));
        assert_eq!(turns.admit(&waiter("a", n), true, (), now + s(4.0)), Err(s(6.0)), "and waits once");
    }
    let Next { granted: nobody, next_at } = turns.pass(now + s(9.9));
    assert_eq!((nobody.len(), next_at), (0, Some(now + s(10.0))));
    for n in 0..3 {
        let at = now + s(10.0 + f64::from(n));
        assert_eq!(granted(&mut turns, at), [waiter("a", n)]);
        assert_eq!(granted(&mut turns, at + s(0.9)), []);
        assert_eq!(turns.admit(&waiter("a", n), true, (), at + s(0.9)), Ok(()), "it is its turn");
    }
    assert_eq!(turns.pass(now + s(13.0)).next_at, None);
    assert_eq!(turns.admit(&waiter("a", "new"), true, (), now + s(13.0)), Ok(()), "nobody waits");
    assert_eq!(turns.admit(&waiter("a", "newer"), true, (), now + s(13.0)), Err(Duration::ZERO), "its call is not due");
}

#[test]
fn nobody_takes_the_place_of_who_waits_or_was_woken() {
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
fn a_turn_that_is_not_taken_lapses_and_whoever_comes_late_waits_anew() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..2 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(10.0);
    assert_eq!(granted(&mut turns, at), [waiter("a", 0)]);
    assert_eq!(granted(&mut turns, at + s(1.0)), [waiter("a", 1)]);
    let late = at + RESERVED_FOR;
    assert_eq!(turns.admit(&waiter("a", 1), true, (), late), Ok(()));
    // Its call is due by now, and nobody else waits.
    turns.charge("a", late);
    assert_eq!(turns.admit(&waiter("a", 0), true, (), late), Err(Duration::ZERO));
    assert_eq!(turns.granted.len(), 0);
}

#[test]
fn the_calls_of_a_look_hold_back_the_next_look_and_no_call_no_one() {
    let now = Instant::now();
    let mut turns = slow(0.0, now);
    let at = now + s(60.0);
    turns.admit(&waiter("a", 0), true, (), at).unwrap();
    turns.charge("a", at);
    turns.charge("a", at);
    turns.admit(&waiter("a", 1), true, (), at).unwrap_err();
    assert_eq!(turns.pass(at).next_at, Some(at + s(3.0)));
    assert_eq!(granted(&mut turns, at + s(3.0)), [waiter("a", 1)]);
    turns.admit(&waiter("a", 1), true, (), at + s(3.0)).unwrap();
    turns.refund("a");
    assert_eq!(turns.admit(&waiter("a", 2), true, (), at + s(3.0)), Ok(()));
}

#[test]
fn a_pause_that_begins_between_its_waking_and_its_look_leaves_an_object_the_next_turn() {
    let now = Instant::now();
    let mut turns = slow(10.0, now);
    for n in 0..3 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(10.0);
    assert_eq!(granted(&mut turns, at), [waiter("a", 0)]);
    turns.rate.leave_alone(s(30.0), at);
    assert_eq!(turns.admit(&waiter("a", 0), true, (), at), Err(s(30.0)));
    assert_eq!(granted(&mut turns, at + s(30.0)), [waiter("a", 0)]);
}

#[test]
fn when_an_unlimited_tenant_is_back_all_are_woken_in_order_and_not_at_once() {
    let (mut turns, now) = (Turns::default(), Instant::now());
    turns.rate.leave_alone(s(5.0), now);
    for n in 0..100 {
        turns.admit(&waiter("a", n), true, (), now).unwrap_err();
    }
    let at = now + s(5.0);
    let Next { granted: first, next_at } = turns.pass(at);
    assert_eq!((first.len(), next_at), (MOST_GRANTED, Some(at + RESERVED_FOR)));
    assert_eq!(turns.pass(at).granted.len(), 0);
    turns.admit(&waiter("a", 0), true, (), at).unwrap();
    assert_eq!(granted(&mut turns, at), [waiter("a", MOST_GRANTED)]);
    assert_eq!(
        turns.pass(at + RESERVED_FOR).granted.len(),
        MOST_GRANTED,
        "and who never comes does not stop the others"
    );
}

/// Looks that are made as soon as they are admitted, at the rate of the tenant, each of three calls.
#[test]
fn a_namespace_of_ten_is_not_behind_a_thousand_of_another_one() {
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
        let Next { granted, next_at } = turns.pass(now);
        for (waiter, ()) in granted {
            turns.admit(&waiter, true, (), now).unwrap();
            turns.charge(&waiter.namespace, now);
            turns.charge(&waiter.namespace, now);
            done.push(waiter);
            last = now;
        }
        now = next_at.unwrap_or(now).max(now);
    }
    let mut counts = BTreeMap::<_, usize>::new();
    done[50..70].iter().for_each(|it| *counts.entry(it.namespace.as_str()).or_default() += 1);
    assert_eq!(counts, BTreeMap::from([("few", 10), ("crowd", 10)]));
    assert_eq!(last.duration_since(start).as_secs(), 10 + 3 * 99, "and the rate is kept");
}
