//! A quota of calls for a whole tenant, as the service has one; it does not say how large it is.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::reply::Reply;

/// So many calls in each window of time, which begins with its first call. Those beyond are answered with 429. Before the
/// first window, so many are free, and the next one is too many, however slowly a machine makes them.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// How many calls.
    pub calls: u32,
    /// In how much time.
    pub window: Duration,
    /// How a 429 says when the window is over.
    pub tells: Tells,
}

/// How a 429 says how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// `Retry-After` in seconds.
    Seconds,
    /// `Retry-After` as a date.
    Date,
    /// `RateLimit-Reset` in seconds.
    Reset,
    /// Not at all.
    Nothing,
}

/// A quota, and how much of it is used.
#[derive(Debug)]
pub(super) struct Used {
    quota: Quota,
    /// When the window began; `None` before the first.
    begun: Option<Timestamp>,
    calls: u32,
}

impl From<Quota> for Used {
    fn from(quota: Quota) -> Self {
        Self { quota, begun: None, calls: 0 }
    }
}

impl Used {
    /// Counts a call at `now`, which the clock of the realm shows as `shown`; the answer where it is one too many.
    pub fn count(&mut self, now: Timestamp, shown: Timestamp) -> Option<Reply> {
        let Self { quota: Quota { calls, window, tells }, .. } = *self;
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        if self.begun.is_some_and(|begun| now.duration_since(begun) >= window) {
            (self.begun, self.calls) = (Some(now), 0);
        }
        self.calls += 1;
        if self.calls <= calls {
            return None;
        }
        let left = window - now.duration_since(*self.begun.get_or_insert(now));
        let seconds = left.as_secs() + 1;
        let reply = Reply::too_many_requests(None);
        Some(match tells {
            Tells::Seconds => reply.header("retry-after", &seconds.to_string()),
            Tells::Reset => reply.header("ratelimit-reset", &seconds.to_string()),
            Tells::Date => match DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&(shown + SignedDuration::from_secs(seconds)))
            {
                Ok(date) => reply.header("retry-after", &date),
                Err(_) => reply,
            },
            Tells::Nothing => reply,
        })
    }
}
