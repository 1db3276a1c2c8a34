//! One request at a time reads a list of the realm. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long a list is not read again after that failed.
pub(super) const AGAIN: Duration = Duration::from_secs(60);
/// A read that did not end after so long counts as failed.
const STUCK: Duration = Duration::from_secs(120);

/// The request that reads a list, and when the next one may.
#[derive(Debug, Default)]
pub(super) struct Reader {
    since: Option<Instant>,
    not_before: Option<Instant>,
}

impl Reader {
    /// Whether a request may begin to read.
    pub fn may_begin(&self, now: Instant) -> bool {
        let reads = self.since.is_some_and(|since| now.saturating_duration_since(since) < STUCK);
        !reads && self.not_before.is_none_or(|at| at <= now)
    }

    pub fn begin(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The read has ended.
    pub fn end(&mut self) {
        self.since = None;
    }

    /// The read has ended, and the next one waits for so long.
    pub fn end_for(&mut self, wait: Duration, now: Instant) {
        *self = Self { since: None, not_before: now.checked_add(wait) };
    }
}
