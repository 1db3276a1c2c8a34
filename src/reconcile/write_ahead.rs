//! The write-ahead record and the ticket: nothing that cannot be undone is called without a ticket, and a
//! ticket comes from a record that was written.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::HasStatus;

/// A kind that writes ahead.
pub trait WritesAhead: HasStatus {
    /// The record.
    type Record: Record;

    /// The record that stands in a status.
    fn record(status: &Self::Status) -> Option<&Self::Record>;

    /// Puts a record into a status, or takes it off.
    fn set_record(status: &mut Self::Status, record: Option<Self::Record>);

    /// Takes the record of this id off the status. `false`: it does not stand there any more.
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
    /// Drawn anew for each call.
    fn id(&self) -> &str;
    /// How long, from just before the record was written, the call may run.
    fn timeout(&self) -> Duration;
}

/// The right to make, once, the one call that a written record announces. It cannot be copied, and only
/// [`super::ObjectHandle::write_ahead`] makes it.
#[derive(Debug)]
pub struct Ticket<R> {
    record: R,
    deadline: Instant,
}

impl<R: Record> Ticket<R> {
    /// A ticket for a record that was written, and begun to be written at `begun`.
    pub(super) fn for_written(record: R, begun: Instant) -> Self {
        let deadline = begun + record.timeout();
        Self { record, deadline }
    }

    /// What was written.
    pub fn record(&self) -> &R {
        &self.record
    }

    /// How long the call may take, so that it ends within the time that the record gives it; `None` when that
    /// time is over, and the call must not be made.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        Some(self.deadline.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

/// A number of seconds from a status, which a person may have edited.
pub fn seconds(n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::authenticator_config::CreateRecord;

    fn record(timeout_seconds: i64) -> CreateRecord {
        let empty = String::new;
        CreateRecord { id: empty(), endpoint: None, tenant_id: empty(), realm_id: empty(), timeout_seconds }
    }

    #[test]
    fn a_ticket_runs_out_when_the_time_of_its_record_is_over() {
        let begun = Instant::now();
        let ticket = Ticket::for_written(record(31), begun);
        assert_eq!(ticket.time_left(begun + Duration::from_secs(1)), Some(Duration::from_secs(30)));
        assert_eq!(ticket.time_left(begun + Duration::from_secs(31)), None);
        assert_eq!(ticket.time_left(begun + Duration::from_secs(99)), None);
    }

    #[test]
    fn a_time_that_a_person_wrote_into_a_status_does_no_harm() {
        assert_eq!(record(-5).timeout(), Duration::ZERO);
    }
}
