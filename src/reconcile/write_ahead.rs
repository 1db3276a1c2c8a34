//! The write-ahead record and the ticket: nothing that cannot be undone is called without a ticket, and a
//! ticket comes from a record that was written.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::authenticator_config::CreateRecord;
use crate::api::enrollment_request::SendRecord;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus};

/// A kind that writes ahead.
pub trait WritesAhead: HasStatus {
    /// The record.
    type Record: Record;

    /// The record in the status.
    fn record_mut(&mut self) -> &mut Option<Self::Record>;

    /// Takes the record of this id off the status. `false`: it does not stand there any more.
    fn withdraw(&mut self, record_id: &str) -> bool {
        self.record_mut().take_if(|record| record.id() == record_id).is_some()
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
/// [`super::Held::write_ahead`] makes it.
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

impl Record for SendRecord {
    fn id(&self) -> &str {
        &self.id
    }

    fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds)
    }
}

impl WritesAhead for EnrollmentRequest {
    type Record = SendRecord;

    fn record_mut(&mut self) -> &mut Option<SendRecord> {
        &mut self.status.get_or_insert_default().send
    }
}

impl Record for CreateRecord {
    fn id(&self) -> &str {
        &self.id
    }

    fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds)
    }
}

impl WritesAhead for AuthenticatorConfig {
    type Record = CreateRecord;

    fn record_mut(&mut self) -> &mut Option<CreateRecord> {
        &mut self.status.get_or_insert_default().create
    }
}

/// A number of seconds from a status, which a person may have edited.
fn seconds(n: i64) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

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
