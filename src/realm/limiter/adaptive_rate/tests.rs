//! The adaptive rate: when it is cut, and how it recovers.

use super::*;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A rate after one cut from `rate` calls a second, without a pause.
fn cut(rate: f64, now: Instant) -> AdaptiveRate {
    let mut rate = AdaptiveRate { rate: Some(rate), ..AdaptiveRate::default() };
    assert!(rate.too_many(now, Some(Duration::ZERO), now));
    rate
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
    let (mut rate, now) = (AdaptiveRate::default(), Instant::now());
    (0..20).for_each(|_| _ = rate.answered(now, now));
    assert!(rate.too_many(now, Some(s(4.0)), now));
    assert!(!rate.is_unlimited(now));
    assert_eq!(rate.quiet_for(now), s(4.0));
    assert_eq!(rate.wait(now + s(1.0)), s(3.0));
    assert_eq!(rate.calls_per_second(), Some(2.5), "half of twenty calls in the four seconds of the pause");
    let over = now + s(4.0);
    assert_eq!(rate.wait(over), Duration::ZERO);
    rate.charge(over);
    // Not one of the twenty before counts as its response.
    assert!(!rate.answered(now, over));
    assert_eq!(rate.wait(over), PROBE);
    rate.pause = Pause::None;
    rate.rate = Some(2.5);
    assert_eq!(rate.wait(over), s(0.4));
    rate.charge(over);
    rate.charge(over);
    assert_eq!(rate.wait(over), s(1.2), "calls beyond the rate are a debt");
    rate.refund();
    assert_eq!(rate.wait(over), s(0.8));
    assert_eq!(rate.wait(over + s(0.8)), Duration::ZERO);
}

#[test]
fn pause_without_retry_after_doubles_up_to_a_minute() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        assert!(rate.too_many(now, None, now));
        assert_eq!(rate.quiet_for(now), s(seconds));
        now += s(seconds);
    }
    rate.answered(now, now);
    rate.too_many(now, None, now);
    assert_eq!(rate.quiet_for(now), s(1.0));
}

#[test]
fn in_flight_calls_do_not_cut_the_rate_again() {
    let (mut rate, begun) = (cut(16.0, Instant::now()), Instant::now());
    let now = begun + s(1.0);
    assert!(rate.too_many(begun, None, now));
    let before = rate.calls_per_second();
    for after in [None, Some(s(0.5)), None] {
        assert!(!rate.too_many(begun, after, now + s(0.1)));
        assert_eq!(rate.calls_per_second(), before);
    }
    assert_eq!(rate.quiet_for(now), s(2.0), "the pause is not doubled again");
    assert!(!rate.too_many(begun, Some(s(30.0)), now + s(0.1)));
    assert_eq!(rate.quiet_for(now + s(0.1)), s(30.0), "a longer requested pause is kept");
    rate.answered(begun, now + s(0.2));
    rate.too_many(now + s(31.0), None, now + s(31.0));
    assert_eq!(rate.quiet_for(now + s(31.0)), s(4.0), "a response to an earlier call does not reset the backoff");
}

#[test]
fn each_success_raises_the_rate_until_unlimited() {
    let now = Instant::now();
    let mut rate = cut(2.0, now);
    assert_eq!(rate.calls_per_second(), Some(1.0));
    rate.answered(now, now);
    assert_eq!(rate.calls_per_second(), Some(1.01));
    let answers = (0..).take_while(|_| {
        rate.answered(now, now);
        rate.calls_per_second().is_some()
    });
    assert_eq!(answers.count(), 4899);
    assert!(rate.is_unlimited(now));
}

#[test]
fn rate_has_a_minimum() {
    let (mut rate, mut now) = (AdaptiveRate::default(), Instant::now());
    for _ in 0..100 {
        rate.too_many(now, Some(s(3600.0)), now);
        now += s(3600.0);
    }
    assert_eq!(rate.calls_per_second(), Some(SLOWEST));
    rate.pause = Pause::None;
    rate.charge(now);
    assert_eq!(rate.wait(now), s(5.0));
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

#[test]
fn served_rate_covers_recent_calls_only() {
    let (mut served, now) = (Served::default(), Instant::now());
    assert_eq!(served.rate(now, now), None);
    (0..30).for_each(|_| served.count(now));
    assert_eq!(served.rate(now + s(1.0), now + s(60.0)), Some(0.5));
    served.count(now + s(40.0));
    assert_eq!(served.rate(now + s(40.0), now + s(62.0)), Some(0.5), "31 in 62 s");
    assert_eq!(served.rate(now + s(60.0), now + s(60.0)), Some(0.05), "one in the last 20 s");
    assert_eq!(served.rate(now + s(100.0), now + s(100.0)), None);
}

/// A service with a quota of calls for each time window.
struct Quota {
    calls: u32,
    window: Duration,
    /// Whether a refusal has a Retry-After.
    sends_retry_after: bool,
    begun: Option<Instant>,
    used: u32,
}

impl Quota {
    /// `Err` for a call beyond the quota, with the Retry-After.
    fn call(&mut self, now: Instant) -> Result<(), Option<Duration>> {
        let begun = *self.begun.get_or_insert(now);
        let (begun, is_new) = if now >= begun + self.window { (now, true) } else { (begun, false) };
        self.begun = Some(begun);
        self.used = if is_new { 1 } else { self.used + 1 };
        if self.used <= self.calls {
            return Ok(());
        }
        Err(self.sends_retry_after.then(|| (begun + self.window).duration_since(now)))
    }
}

/// Makes each call as soon as it is due, until `wanted` calls are served. Returns the refused calls and the duration.
fn serve(quota: &mut Quota, wanted: u32) -> (u32, Duration) {
    let (mut rate, start) = (AdaptiveRate::default(), Instant::now());
    let (mut now, mut served, mut refused) = (start, 0, 0);
    while served < wanted {
        now += rate.wait(now);
        rate.charge(now);
        match quota.call(now) {
            Ok(()) => {
                served += 1;
                rate.answered(now, now + s(0.01));
            }
            Err(after) => {
                refused += 1;
                rate.too_many(now, after, now + s(0.01));
            }
        }
        now += s(0.01);
    }
    (refused, now.duration_since(start))
}

#[test]
fn rate_converges_to_a_quota_with_few_refusals() {
    let quota = |calls, seconds, sends_retry_after| Quota {
        calls,
        window: s(seconds),
        sends_retry_after,
        begun: None,
        used: 0,
    };
    for (name, mut quota, ideal) in [
        ("30 a minute", quota(30, 60.0, true), 0.5),
        ("30 a minute, without Retry-After", quota(30, 60.0, false), 0.5),
        ("10 a second", quota(10, 1.0, true), 10.0),
        ("10 a second, without Retry-After", quota(10, 1.0, false), 10.0),
        ("one each 2 s", quota(1, 2.0, true), 0.5),
    ] {
        let (refused, took) = serve(&mut quota, 600);
        let used = 600.0 / took.as_secs_f64() / ideal;
        println!(
            "{name}: {refused} of {} calls were refused, {:.0} % of the quota was used",
            600 + refused,
            used * 100.0
        );
        assert!(refused <= 60, "{name}: {refused} of {} were refused", 600 + refused);
        assert!(used > 0.6, "{name}: {used} of the quota was used");
    }
}
