//! A quota of calls for a whole tenant, as the service has one. The service does not document its size.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::reply::Reply;

/// A number of calls in each time window. Further calls are answered with 429. A window starts with its first call. The
/// first window starts with the first call beyond the quota, so that a test does not depend on the speed of the
/// machine.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// The number of calls.
    pub calls: u32,
    /// The length of the window.
    pub window: Duration,
    /// How a 429 reports the end of the window.
    pub tells: Tells,
}

/// How a 429 reports the time to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// `Retry-After` in seconds.
    Seconds,
    /// `Retry-After` as a date.
    Date,
    /// `RateLimit-Reset` in seconds.
    Reset,
    /// No header.
    Nothing,
}

/// A quota and its use.
#[derive(Debug)]
pub(super) struct Used {
    quota: Quota,
    /// The start of the window. `None` before the first one.
    started: Option<Timestamp>,
    calls: u32,
}

impl From<Quota> for Used {
    fn from(quota: Quota) -> Self {
        Self { quota, started: None, calls: 0 }
    }
}

impl Used {
    /// Counts a call. Returns a 429 if it exceeds the quota. `realm_time` is the time by the realm's clock.
    pub fn count(&mut self, now: Timestamp, realm_time: Timestamp) -> Option<Reply> {
        let Self { quota: Quota { calls, window, tells }, .. } = *self;
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        if self.started.is_some_and(|started| now.duration_since(started) >= window) {
            (self.started, self.calls) = (Some(now), 0);
        }
        self.calls += 1;
        if self.calls <= calls {
            return None;
        }
        let remaining = window - now.duration_since(*self.started.get_or_insert(now));
        let seconds = remaining.as_secs() + 1;
        let reply = Reply::too_many_requests(None);
        Some(match tells {
            Tells::Seconds => reply.header("retry-after", &seconds.to_string()),
            Tells::Reset => reply.header("ratelimit-reset", &seconds.to_string()),
            Tells::Date => match DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&(realm_time + SignedDuration::from_secs(seconds)))
            {
                Ok(date) => reply.header("retry-after", &date),
                Err(_) => reply,
            },
            Tells::Nothing => reply,
        })
    }
}
