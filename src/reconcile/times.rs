//! The times that plans go by: those that settings give, and beside them, in one table, those that are fixed.

use std::time::Duration;

/// The times that settings give, for every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long one call to the service may take.
    pub request_timeout: Duration,
    /// How long after a call in doubt a list may still miss its effect.
    pub settle: Duration,
    /// Minimum poll interval of a pending job.
    pub job_poll_min: Duration,
    /// Maximum poll interval of a pending job.
    pub job_poll_max: Duration,
    /// Interval for drift detection, and for retrying problems that need manual action.
    pub resync: Duration,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled.
    pub grace: Duration,
}

/// The first step of an object's backoff.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest step. With the jitter, up to a fifth more.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The first delay after a conflict, in which the watch cache catches up. It doubles while that goes on.
pub const FIRST_CONFLICT: Duration = Duration::from_millis(100);
/// The longest delay after conflicts.
pub const LONGEST_CONFLICT: Duration = Duration::from_secs(30);
/// How soon a refused write is tried again: whatever refuses it may be mended at any time. Longer than the longest backoff, so
/// that the reconcile after a refusal goes on without that write where it can.
pub const RETRY_REFUSED_WRITE: Duration = Duration::from_secs(90);
/// How soon conditions that could not be written are tried again.
pub const RETRY_CONDITIONS: Duration = Duration::from_secs(60);
/// How soon a refused revocation is tried again that holds up a deletion.
pub const RETRY_REVOCATION_OF_DELETED: Duration = Duration::from_secs(60);
/// When an object is reconciled again whose plan did not come to an end, or whose reconcile panicked.
pub const RETRY_AFTER_BUG: Duration = Duration::from_secs(60);
/// How late an object is reconciled all the same that should have been enqueued at its turn to call the service.
pub const MISSED_TURN: Duration = Duration::from_secs(600);

impl Times {
    /// How long the call of a write-ahead record may run, in seconds: one more than the call itself, for writing the record.
    pub fn record_timeout_seconds(&self) -> i64 {
        i64::try_from(self.request_timeout.as_secs()).unwrap_or(i64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_write_is_still_known_at_the_reconcile_after_the_longest_backoff() {
        assert!(RETRY_REFUSED_WRITE > LONGEST_BACKOFF.mul_f64(1.2));
        assert!(RETRY_REFUSED_WRITE > RETRY_CONDITIONS.mul_f64(1.2));
    }
}
