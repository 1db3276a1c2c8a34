//! The adaptive rate: when it is cut, and how it recovers.

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Makes `calls` calls as soon as they are due, each with a response at once. Returns when.
fn work(rate: &mut AdaptiveRate, calls: u32, mut now: Instant) -> Instant {
    for _ in 0..calls {
        now += rate.wait(now);
        rate.charge(now);
        rate.answered(now, now);
    }
    now
}

/// Whether these rates are the same, as far as floating point tells.
#[track_caller]
fn assert_rate(rate: &AdaptiveRate, expected: f64) {
    let actual = rate.calls_per_second().unwrap();
    assert!((actual - expected).abs() < 1e-6, "{actual}");
}

#[test]
fn rate_is_unlimited_until_throttled() {
    let (mut rate, now) = (AdaptiveRate::default(), Instant::now());
    for _ in 0..10_000 {
        assert!(rate.is_unlimited(now));
        assert_eq!(rate.wait(now), Duration::ZERO);
        rate.charge(now);
        rate.answered(now, now);
    }
    rate.refund();
    assert_eq!((rate.wait(now), rate.calls_per_second()), (Duration::ZERO, None));
}

#[test]
fn requested_pause_is_kept_and_later_calls_are_spaced() {
    let (mut rate, now) = (AdaptiveRate::constant(2.5), Instant::now());
    rate.pause_for(s(4.0), now);
    assert!(!rate.is_unlimited(now));
    assert_eq!((rate.quiet_for(now), rate.wait(now + s(1.0))), (s(4.0), s(3.0)));
    let over = now + s(4.0);
    assert_eq!(rate.wait(over), Duration::ZERO);
    rate.charge(over);
    assert!(!rate.answered(now, over), "a call from before the pause is no probe");
    assert_eq!(rate.wait(over), PROBE);
    assert!(rate.answered(over, over));
    assert_eq!(rate.wait(over), s(0.4));
    rate.charge(over);
    rate.charge(over);
    assert_eq!(rate.wait(over), s(1.2), "calls beyond the rate are a debt");
    rate.refund();
    assert_eq!(rate.wait(over), s(0.8));
    assert_eq!(rate.wait(over + s(0.8)), Duration::ZERO);
}

#[test]
fn pause_without_retry_after_doubles_up_to_half_a_minute() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for seconds in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        assert!(rate.too_many(now, None, now));
        assert_eq!(rate.quiet_for(now), s(seconds));
        now += s(seconds);
    }
    let now = work(&mut rate, 1, now);
    rate.too_many(now, None, now);
    assert_eq!(rate.quiet_for(now), s(1.0), "the rate is slow now");
}

#[test]
fn stated_pause_that_is_too_short_is_doubled() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for seconds in [2.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        assert!(rate.too_many(now, Some(s(2.0)), now));
        assert_eq!(rate.quiet_for(now), s(seconds));
        now += s(seconds);
    }
    rate.too_many(now, Some(s(3600.0)), now);
    assert_eq!(rate.quiet_for(now), s(3600.0), "a longer one is honored");
}

#[test]
fn in_flight_calls_do_not_cut_the_rate_again() {
    let (mut rate, begun) = (AdaptiveRate::constant(16.0), Instant::now());
    let now = begun + s(1.0);
    assert!(rate.too_many(begun, None, now));
    assert_rate(&rate, 16.0 * CUT);
    for after in [None, Some(s(0.1)), None] {
        assert!(!rate.too_many(begun, after, now + s(0.05)));
        assert_rate(&rate, 16.0 * CUT);
    }
    assert_eq!(rate.quiet_for(now), s(0.25), "the pause is not doubled");
    assert!(!rate.too_many(begun, Some(s(30.0)), now + s(0.1)));
    assert_eq!(rate.quiet_for(now + s(0.1)), s(30.0), "a longer requested pause is kept");
    rate.answered(begun, now + s(0.2));
    let later = now + s(31.0);
    rate.too_many(later, None, later);
    assert_eq!(
        rate.quiet_for(later),
        2 * 4 * spacing(16.0 * CUT),
        "a response to an earlier call does not reset the backoff"
    );
}

#[test]
fn rate_climbs_back_to_the_one_before_and_then_beyond() {
    let (mut rate, now) = (AdaptiveRate::constant(10.0), Instant::now());
    rate.too_many(now, Some(Duration::ZERO), now);
    assert_rate(&rate, 7.0);
    let now = work(&mut rate, 19, now);
    assert_rate(&rate, 10.0);
    let now = work(&mut rate, 18, now);
    assert_rate(&rate, 13.0);
    work(&mut rate, 100, now);
    assert_eq!(rate.calls_per_second(), None, "nothing is limited any more");
}

#[test]
fn rate_with_little_to_do_stays() {
    let (mut rate, mut now) = (AdaptiveRate::constant(10.0), Instant::now());
    rate.too_many(now, Some(Duration::ZERO), now);
    for _ in 0..1000 {
        now += s(5.0);
        now = work(&mut rate, 1, now);
    }
    assert_rate(&rate, 7.0);
    let soon = work(&mut rate, 200, now);
    assert!(soon - now < s(20.0), "and comes back when there is more");
}

#[test]
fn reductions_in_short_order_lower_what_it_climbs_back_to() {
    let (mut rate, mut now) = (AdaptiveRate::constant(100.0), Instant::now());
    let mut cut = |calls: u32| {
        rate.too_many(now, Some(Duration::ZERO), now);
        now = work(&mut rate, calls, now);
        rate.climb.unwrap().target()
    };
    assert_eq!(cut(30), 100.0);
    let beyond = cut(10);
    assert!(beyond > 100.0, "it had climbed beyond");
    assert!(cut(10) < beyond * LESS, "too soon");
}

#[test]
fn quota_is_what_was_served_until_calls_were_refused_for_a_while() {
    let quota = |refusals: u32, states: Option<Duration>| {
        let (mut rate, start) = (AdaptiveRate::constant(10.0), Instant::now());
        let mut now = work(&mut rate, 100, start);
        for _ in 0..refusals {
            rate.too_many(now, states, now);
            now += rate.quiet_for(now);
        }
        work(&mut rate, 1, now);
        (rate.climb.unwrap().target(), (now - start).as_secs_f64())
    };
    let near = |actual: f64, expected: f64| assert!((actual - expected).abs() < 0.1, "{actual} instead of {expected}");
    for refusals in 2..9 {
        let (target, seconds) = quota(refusals, None);
        near(target, (100.0 / seconds).min(10.0));
    }
    near(quota(1, Some(s(20.0))).0, 100.0 / 30.0);
    // A long pause is no measure, and a short one neither.
    near(quota(1, Some(s(3600.0))).0, 100.0 / (10.0 + COUNTED_PAUSE.as_secs_f64()));
    near(quota(1, Some(s(1.0))).0, 10.0);
}

#[test]
fn pause_of_a_client_with_little_to_do_is_no_measure() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for _ in 0..10 {
        now = work(&mut rate, 1, now) + s(10.0);
    }
    rate.too_many(now, Some(s(60.0)), now);
    work(&mut rate, 1, now);
    assert_eq!(rate.climb.unwrap().target(), FIRST);
}

#[test]
fn rate_has_a_minimum() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for _ in 0..100 {
        rate.too_many(now, Some(s(3600.0)), now);
        now += s(3600.0);
    }
    work(&mut rate, 1, now);
    assert!(rate.calls_per_second().unwrap() >= SLOWEST * BELOW_MEASURED);
}

#[test]
fn one_call_finds_out_whether_a_pause_is_over() {
    let (mut rate, start) = (AdaptiveRate::default(), Instant::now());
    rate.pause_for(s(30.0), start);
    let now = start + s(30.0);
    assert_eq!(rate.wait(now), Duration::ZERO);
    rate.charge(now);
    assert_eq!((rate.quiet_for(now), rate.wait(now)), (Duration::ZERO, PROBE), "the others wait");
    assert!(!rate.answered(start, now), "a response to an earlier call");
    rate.unanswered(now + s(1.0));
    assert_eq!(rate.wait(now + s(1.0)), Duration::ZERO, "the next one finds out");
    rate.charge(now + s(1.0));
    rate.refund();
    assert_eq!(rate.wait(now + s(1.0)), Duration::ZERO, "it was not made");
    rate.charge(now + s(2.0));
    assert_eq!(rate.wait(now + s(2.0) + PROBE), Duration::ZERO, "it is taking too long");
    rate.charge(now + s(2.0) + PROBE);
    rate.pause_for(s(60.0), now + s(40.0));
    assert_eq!(rate.wait(now + s(40.0)), s(60.0), "the service asks for another pause");
    rate.charge(now + s(100.0));
    assert!(rate.answered(now + s(100.0), now + s(101.0)));
    assert!(rate.is_unlimited(now + s(101.0)));
}

#[test]
fn server_error_pauses_without_cutting_the_rate() {
    let (mut rate, now) = (AdaptiveRate::default(), Instant::now());
    rate.pause_for(s(30.0), now);
    rate.pause_for(s(10.0), now);
    assert_eq!((rate.quiet_for(now), rate.calls_per_second()), (s(30.0), None));
    assert!(!rate.is_unlimited(now + s(29.0)));
    assert!(rate.is_unlimited(now + s(30.0)));
}
