//! How a reconcile ends: the conditions to set, and the time of the next reconcile.

use std::time::Duration;

use super::failure::{Failure, FailureKind};
use super::times::{FIRST_BACKOFF, LONGEST_BACKOFF, MISSED_TURN};
use super::unwritable::Unwritable;
use crate::api::phase::why;
use crate::api::{Phase, Reason};

/// How a reconcile ends.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// The phase to set conditions from; `None` leaves the conditions as they are.
    pub phase: Option<Phase>,
    /// When to reconcile again.
    pub requeue: Requeue,
    /// How a failure can be resolved, if there was one.
    pub failure: Option<FailureKind>,
}

/// When to reconcile again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// On a change.
    OnChange,
    /// After this delay.
    After(Duration),
    /// At the object's turn to call the service, which enqueues it, and after this delay at the latest.
    AtTurn(Duration),
    /// After the object's own backoff, which grows with each failure, and not before the given delay.
    Backoff(Option<Duration>),
}

impl Requeue {
    /// The earlier of both. A backoff counts as the earlier one, since it starts with the shortest delays.
    pub fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::OnChange, requeue) | (requeue, Self::OnChange) => requeue,
            (Self::Backoff(at_least), _) | (_, Self::Backoff(at_least)) => Self::Backoff(at_least),
            (Self::AtTurn(one), Self::AtTurn(other) | Self::After(other)) | (Self::After(one), Self::AtTurn(other)) => {
                Self::AtTurn(one.min(other))
            }
            (Self::After(one), Self::After(other)) => Self::After(one.min(other)),
        }
    }
}

impl End {
    /// Sets conditions from `phase`, and reconciles again at `requeue`.
    pub fn with_phase(phase: Phase, requeue: Requeue) -> Self {
        Self { phase: Some(phase), requeue, failure: None }
    }

    /// Leaves the conditions as they are, and reconciles again at `requeue`.
    pub fn keeping_conditions(requeue: Requeue) -> Self {
        Self { phase: None, requeue, failure: None }
    }

    /// Whether a requested reconcile is handled. A reconcile that met an outage, or waits for its turn, is not. One
    /// that needs a user to act is.
    pub fn handles_requested_reconcile(&self) -> bool {
        matches!(self.requeue, Requeue::OnChange | Requeue::After(_)) || self.failure == Some(FailureKind::Blocked)
    }

    /// This version cannot decode the object, for the given reason. Nothing is polled until the object changes.
    pub fn undecodable(what: &str) -> Self {
        let message = format!(
            "This version of the operator cannot decode the object and does not act on it: {what}; upgrade the \
             operator, or correct that field"
        );
        Self::with_phase(Phase::Refused(why(Reason::NotDecodable, message)), Requeue::OnChange)
    }

    /// The API server does not store the operator's writes: waits until the next retry.
    pub fn unwritable(Unwritable { why: what, retry_in }: &Unwritable) -> Self {
        Self::with_phase(Phase::Refused(why(Reason::StatusNotStored, what)), Requeue::After(*retry_in))
    }

    /// Retries a failure after the object's backoff. A failure that only a change of the spec resolves is retried after
    /// `resync`. So is a blocked one whose grace period is over (`overdue`), unless it names a shorter delay.
    ///
    /// A rate-limited object is enqueued at its turn. Until then its conditions stay, unless they do not cover
    /// everything that is requested now (`seen` is false): otherwise the object would appear to have no pending work.
    pub fn failed(failure: &Failure, resync: Duration, overdue: bool, seen: bool) -> Self {
        let after = failure.after.unwrap_or_default();
        let requeue = match failure.kind {
            FailureKind::RateLimited => Requeue::AtTurn(after + MISSED_TURN),
            FailureKind::Refused | FailureKind::Mismatch => Requeue::After(resync),
            FailureKind::Blocked if overdue => {
                Requeue::After(failure.within.map_or(resync, |longest| resync.min(longest)).max(after))
            }
            FailureKind::Blocked | FailureKind::Transient => Requeue::Backoff(failure.after),
        };
        let keeps_conditions = failure.kind == FailureKind::RateLimited && seen;
        Self { phase: (!keeps_conditions).then(|| failure.phase()), requeue, failure: Some(failure.kind) }
    }
}

/// The delay until the next reconcile, after `failures` consecutive failures; `None`: on a change. Jitter from `random`
/// (0 to 1) spreads objects that failed together.
pub fn requeue_delay(requeue: Requeue, failures: u32, random: f64) -> Option<Duration> {
    match requeue {
        Requeue::OnChange => None,
        Requeue::After(delay) | Requeue::AtTurn(delay) => Some(spread(delay, random)),
        Requeue::Backoff(at_least) => {
            let step =
                FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_BACKOFF);
            Some(spread(step.max(at_least.unwrap_or_default()), random))
        }
    }
}

/// `delay`, plus up to a fifth of it.
fn spread(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(1.0 + random.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let steps: Vec<_> = [1, 2, 3, 6, 7, 40, u32::MAX].map(|n| requeue_delay(Requeue::Backoff(None), n, 0.0)).into();
        assert_eq!(steps, [1, 2, 4, 32, 60, 60, 60].map(|n| Some(seconds(n))));
    }

    #[test]
    fn requeue_is_never_before_the_requested_delay() {
        for random in [0.0, 0.5, 0.999] {
            assert!(spread(seconds(30), random) >= seconds(30));
            assert!(spread(seconds(30), random) <= seconds(36));
        }
        assert_eq!(requeue_delay(Requeue::Backoff(Some(seconds(30))), 1, 0.0), Some(seconds(30)));
        assert_eq!(requeue_delay(Requeue::After(seconds(5)), 9, 0.0), Some(seconds(5)));
    }
}
