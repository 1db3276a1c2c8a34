//! The grace period: a problem that can be resolved without a change of the object is Reconciling at first, and Stalled
//! after the period. Its start is in the status, so a restart does not restart it. Time is that of
//! [`monotonic_time`](super::Environment::monotonic_time).

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Phase;

/// When the current recoverable problem began, now that `phase` is set; `before` is the value in the status.
pub fn failing_since(phase: &Phase, before: Option<&str>, now: Timestamp) -> Option<String> {
    match phase {
        Phase::Blocked(_) | Phase::Deleting { blocked: true, .. } => {
            // A user may have written an invalid time, and a wrong clock a future one: start anew.
            let known = before.filter(|since| since.parse::<Timestamp>().is_ok_and(|since| since <= now));
            Some(known.map_or_else(|| now.to_string(), str::to_owned))
        }
        // An outage in between resolves nothing.
        Phase::Progressing(_) | Phase::InDoubt(_) | Phase::Deleting { blocked: false, .. } => before.map(str::to_owned),
        Phase::Refused(_)
        | Phase::Available(_)
        | Phase::Outstanding(_)
        | Phase::Complete(_)
        | Phase::Expired(_)
        | Phase::Revoked { .. }
        | Phase::FailedToSend(_)
        | Phase::JobNotFound(_) => None,
    }
}

/// Whether the grace period that began at `since` is over.
pub fn is_over(since: Option<&str>, grace: Duration, now: Timestamp) -> bool {
    let since = since.and_then(|since| since.parse::<Timestamp>().ok());
    since.is_some_and(|since| Duration::try_from(now.duration_since(since)).is_ok_and(|elapsed| elapsed >= grace))
}

/// The rest of the grace period that began at `since`, and not before `earliest`; all of it if it has not begun.
pub fn left(since: Option<&str>, earliest: Option<Timestamp>, grace: Duration, now: Timestamp) -> Duration {
    let since =
        since.and_then(|since| since.parse::<Timestamp>().ok()).map(|since| since.max(earliest.unwrap_or(since)));
    let elapsed = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    grace.saturating_sub(elapsed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::api::phase::why;

    const GRACE: Duration = Duration::from_secs(600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn failing_since_survives_an_outage_and_is_cleared_by_a_fix() {
        let blocked = Phase::Blocked(why(Reason::SecretNotFound, "x"));
        let outage = Phase::Progressing(why(Reason::ServiceUnavailable, "x"));
        let since = failing_since(&blocked, None, at(100));
        assert_eq!(since.as_deref(), Some("1970-01-01T00:01:40Z"));
        assert_eq!(failing_since(&blocked, since.as_deref(), at(200)), since);
        assert_eq!(failing_since(&outage, since.as_deref(), at(300)), since);
        assert_eq!(failing_since(&outage, None, at(300)), None, "an outage alone never stalls");
        assert_eq!(failing_since(&Phase::Outstanding(why(Reason::LinkSent, "x")), since.as_deref(), at(400)), None);
        assert_eq!(failing_since(&blocked, Some("nonsense"), at(100)), since);
    }

    #[test]
    fn future_failing_since_is_reset() {
        // A killed process can leave a time from a clock that was one hour ahead.
        let blocked = Phase::Blocked(why(Reason::SecretNotFound, "x"));
        let since = failing_since(&blocked, Some("1970-01-01T01:01:40Z"), at(100));
        assert_eq!(since.as_deref(), Some("1970-01-01T00:01:40Z"));
    }

    #[test]
    fn grace_period_is_not_ended_by_a_clock_set_back() {
        let since = Some("1970-01-01T00:01:40Z");
        assert!(!is_over(since, GRACE, at(100)));
        assert!(!is_over(since, GRACE, at(699)));
        assert!(is_over(since, GRACE, at(700)));
        assert!(!is_over(since, GRACE, at(50)));
        assert!(!is_over(None, GRACE, at(700)));
        assert!(!is_over(Some("nonsense"), GRACE, at(700)));
    }

    #[test]
    fn remaining_grace_counts_from_the_later_time() {
        let since = Some("1970-01-01T00:01:40Z");
        let s = Duration::from_secs;
        for (since, earliest, now, all) in [
            (since, None, 100, 600),
            (since, None, 699, 1),
            (since, None, 1000, 0),
            (since, None, 50, 600),
            (since, Some(at(400)), 699, 301),
            (since, Some(at(50)), 699, 1),
            (None, Some(at(50)), 699, 600),
            (Some("nonsense"), None, 699, 600),
        ] {
            assert_eq!(left(since, earliest, GRACE, at(now)), s(all), "{since:?} {earliest:?} {now}");
        }
    }
}
