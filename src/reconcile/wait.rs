//! How a reconcile ends: the conditions to set, and the time of the next reconcile.

use std::time::Duration;

use super::failure::{Failure, FailureKind};
use super::times::{FIRST_BACKOFF, LONGEST_BACKOFF, MISSED_TURN};
use super::unwritable::Unwritable;
use crate::api::phase::why;
use crate::api::{Phase, Reason};

/// How a reconcile ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// The phase to set conditions from; `None` leaves the conditions as they are.
    pub say: Option<Phase>,
    /// When to reconcile again.
    pub until: Until,
    /// How a failure can be resolved, if there was one.
    pub failure: Option<FailureKind>,
}

/// When to reconcile again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// On a change.
    Change,
    /// After this delay.
    After(Duration),
    /// At the object's turn to call the service, which enqueues it, and after this delay at the latest.
    Turn(Duration),
    /// After the object's own backoff, which grows with each failure, and not before the given delay.
    Backoff(Option<Duration>),
}

impl Until {
    /// The earlier of both. A backoff counts as the earlier one, since it starts with the shortest delays.
    pub fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Change, until) | (until, Self::Change) => until,
            (Self::Backoff(at_least), _) | (_, Self::Backoff(at_least)) => Self::Backoff(at_least),
            (Self::Turn(one), Self::Turn(other) | Self::After(other)) | (Self::After(one), Self::Turn(other)) => {
                Self::Turn(one.min(other))
            }
            (Self::After(one), Self::After(other)) => Self::After(one.min(other)),
        }
    }
}

impl Wait {
    /// Sets conditions from `phase` and waits until `until`.
    pub fn saying(phase: Phase, until: Until) -> Self {
        Self { say: Some(phase), until, failure: None }
    }

    /// Leaves the conditions as they are, and waits until `until`.
    pub fn silent(until: Until) -> Self {
        Self { say: None, until, failure: None }
    }

    /// Whether a requested reconcile is handled. A reconcile that met an outage, or waits for its turn, is not. One
    /// that needs a user to act is.
    pub fn answers_a_request(&self) -> bool {
        matches!(self.until, Until::Change | Until::After(_)) || self.failure == Some(FailureKind::Blocked)
    }

    /// This version cannot decode the object, for the given reason. Nothing is polled until the object changes.
    pub fn undecodable(what: &str) -> Self {
        let message = format!(
            "This version of the operator cannot decode the object and does not act on it: {what}; upgrade the \
             operator, or correct that field"
        );
        Self::saying(Phase::Refused(why(Reason::NotDecodable, message)), Until::Change)
    }

    /// The API server does not store the operator's writes: waits until the next retry.
    pub fn unwritable(Unwritable { why: what, retry_in }: &Unwritable) -> Self {
        Self::saying(Phase::Refused(why(Reason::StatusNotStored, what)), Until::After(*retry_in))
    }

    /// Retries a failure after the object's backoff. A failure that only a change of the spec resolves is retried after
    /// `resync`. So is a blocked one whose grace period is over (`overdue`).
    ///
    /// A rate-limited object is enqueued at its turn. Until then its conditions stay, unless they do not cover
    /// everything that is requested now (`seen` is false): otherwise the object would appear to have no pending work.
    pub fn failed(failure: &Failure, resync: Duration, overdue: bool, seen: bool) -> Self {
        let after = failure.after.unwrap_or_default();
        let until = match failure.kind {
            FailureKind::RateLimited => Until::Turn(after + MISSED_TURN),
            FailureKind::Refused | FailureKind::Mismatch => Until::After(resync),
            FailureKind::Blocked if overdue => Until::After(resync.max(after)),
            FailureKind::Blocked | FailureKind::Transient => Until::Backoff(failure.after),
        };
        let says_nothing = failure.kind == FailureKind::RateLimited && seen;
        Self { say: (!says_nothing).then(|| failure.phase()), until, failure: Some(failure.kind) }
    }
}

/// The delay until the next reconcile, after `failures` consecutive failures; `None`: on a change. Jitter from `chance`
/// (0 to 1) spreads objects that failed together.
pub fn pause(until: Until, failures: u32, chance: f64) -> Option<Duration> {
    match until {
        Until::Change => None,
        Until::After(delay) | Until::Turn(delay) => Some(spread(delay, chance)),
        Until::Backoff(at_least) => {
            let step =
                FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_BACKOFF);
            Some(spread(step.max(at_least.unwrap_or_default()), chance))
        }
    }
}

/// `delay`, plus up to a fifth of it.
fn spread(delay: Duration, chance: f64) -> Duration {
    delay.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_backoff_doubles_up_to_its_longest_step() {
        let steps: Vec<_> = [1, 2, 3, 6, 7, 40, u32::MAX].map(|n| pause(Until::Backoff(None), n, 0.0)).into();
        assert_eq!(steps, [1, 2, 4, 32, 60, 60, 60].map(|n| Some(seconds(n))));
    }

    #[test]
    fn nothing_comes_back_before_the_time_that_was_asked_for() {
        for chance in [0.0, 0.5, 0.999] {
            assert!(spread(seconds(30), chance) >= seconds(30));
            assert!(spread(seconds(30), chance) <= seconds(36));
        }
        assert_eq!(pause(Until::Backoff(Some(seconds(30))), 1, 0.0), Some(seconds(30)));
        assert_eq!(pause(Until::After(seconds(5)), 9, 0.0), Some(seconds(5)));
    }
}
