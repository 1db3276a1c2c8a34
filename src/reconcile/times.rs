//! The durations that plans use: the configured ones, and in one table the fixed ones.

use std::time::Duration;

/// The configured durations, for every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Timeout of one call to the service.
    pub request_timeout: Duration,
    /// Time after a call in doubt during which lists may miss its effect.
    pub settle: Duration,
    /// Minimum poll interval of a job that is not COMPLETE.
    pub job_poll_min: Duration,
    /// Maximum poll interval of a job that is not COMPLETE.
    pub job_poll_max: Duration,
    /// Interval for drift detection, and for retrying problems that need manual action.
    pub resync: Duration,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled.
    pub grace: Duration,
}

/// The first step of an object's backoff.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest step of the backoff. Jitter adds up to a fifth.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// The first delay after a conflict, which lets the watch cache catch up. It doubles with each further conflict.
pub const FIRST_CONFLICT: Duration = Duration::from_millis(100);
/// The longest delay after conflicts.
pub const LONGEST_CONFLICT: Duration = Duration::from_secs(30);
/// Delay before the retry of a refused write, since its cause may be resolved at any time. It exceeds the longest
/// backoff, so that the reconcile after a refusal proceeds without that write where it can.
pub const RETRY_REFUSED_WRITE: Duration = Duration::from_secs(90);
/// Delay before the retry of conditions that could not be written.
pub const RETRY_CONDITIONS: Duration = Duration::from_secs(60);
/// Delay before the retry of a refused revocation that delays a deletion.
pub const RETRY_REVOCATION_OF_DELETED: Duration = Duration::from_secs(60);
/// Longest delay before an identity that cannot be enrolled yet is read again. Directories are synced every 40 minutes or so
/// (SCIM), and the person waits for the email.
pub const RETRY_IDENTITY: Duration = Duration::from_secs(300);
/// Delay after a plan that did not terminate, or a reconcile that panicked.
pub const RETRY_AFTER_BUG: Duration = Duration::from_secs(60);
/// Longest wait of an object for its turn to call the service. After it the object is reconciled even if it was not
/// enqueued.
pub const MISSED_TURN: Duration = Duration::from_secs(600);

impl Times {
    /// How long the call of a write-ahead record may run, in seconds: the request timeout, and one second to write the
    /// record.
    pub fn record_timeout_seconds(&self) -> i64 {
        i64::try_from(self.request_timeout.as_secs()).unwrap_or(i64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_write_outlasts_the_longest_backoff() {
        assert!(RETRY_REFUSED_WRITE > LONGEST_BACKOFF.mul_f64(1.2));
        assert!(RETRY_REFUSED_WRITE > RETRY_CONDITIONS.mul_f64(1.2));
    }
}
