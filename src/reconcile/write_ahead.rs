//! The write-ahead record and the ticket. No irreversible call is made without a ticket, and only a stored record gives
//! a ticket.
//!
//! The sequence of a send:
//!
//! ```text
//! record ── status write stores all of it ──> ticket ──> POST
//!    │                                                    ├── created ────────────────────> conclude
//!    │                                                    ├── certainly not carried out ──> withdraw
//!    │ write not answered,                                │
//!    │ or process restarted                               │ outcome unknown
//!    └─────────────────────> in doubt <───────────────────┘
//!                               │
//!                               v
//!                     list, never POST again
//!                               ├── found ──────────────────────────────> conclude
//!                               └── absent after timeout + settle time ──> withdraw
//! ```
//!
//! Conclude is one status write that stores the outcome and removes the record. Withdraw is a status write that only
//! removes the record, so that the send may start again with a new one.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::HasStatus;

/// A kind with a write-ahead record.
pub trait WritesAhead: HasStatus {
    /// The record.
    type Record: Record;

    /// The record in a status.
    fn record(status: &Self::Status) -> Option<&Self::Record>;

    /// Sets or removes the record in a status.
    fn set_record(status: &mut Self::Status, record: Option<Self::Record>);

    /// Removes the record with this id from the status. `false`: the status no longer has it.
    fn withdraw(&mut self, record_id: &str) -> bool {
        let Some(status) = self.status_mut() else { return false };
        let stands = Self::record(status).is_some_and(|record| record.id() == record_id);
        if stands {
            Self::set_record(status, None);
        }
        stands
    }
}

/// A write-ahead record.
pub trait Record: Clone + Debug + PartialEq + Send + Sync {
    /// The random id of this call.
    fn id(&self) -> &str;
    /// How long the call may run, counted from just before the write of the record.
    fn timeout(&self) -> Duration;
}

/// The right to make, once, the call of a stored record. It cannot be copied, and only
/// [`super::ObjectHandle::write_ahead`] creates it.
#[derive(Debug)]
pub struct Ticket<R> {
    record: R,
    deadline: Instant,
}

impl<R: Record> Ticket<R> {
    /// A ticket for a stored record, whose write began at `begun`.
    pub(super) fn for_written(record: R, begun: Instant) -> Self {
        let deadline = begun + record.timeout();
        Self { record, deadline }
    }

    /// The stored record.
    pub fn record(&self) -> &R {
        &self.record
    }

    /// The timeout of the call, so that it ends within the time that the record allows. `None` when that time is over,
    /// and the call must not be made.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        Some(self.deadline.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

/// A number of seconds from a status, which a user may have edited.
pub fn seconds(n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::authenticator_config::CreateRecord;

    fn record(timeout_seconds: i64) -> CreateRecord {
        let empty = String::new;
        let set_fields = Vec::new();
        CreateRecord { id: empty(), endpoint: None, tenant_id: empty(), realm_id: empty(), timeout_seconds, set_fields }
    }

    #[test]
    fn ticket_expires_with_the_timeout_of_its_record() {
        let begun = Instant::now();
        let ticket = Ticket::for_written(record(31), begun);
        assert_eq!(ticket.time_left(begun + Duration::from_secs(1)), Some(Duration::from_secs(30)));
        assert_eq!(ticket.time_left(begun + Duration::from_secs(31)), None);
        assert_eq!(ticket.time_left(begun + Duration::from_secs(99)), None);
    }

    #[test]
    fn negative_timeout_is_zero() {
        assert_eq!(record(-5).timeout(), Duration::ZERO);
    }
}
