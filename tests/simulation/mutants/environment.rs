//! Mutants of the environment: time, randomness, and the permission to write.

use std::sync::atomic::Ordering;
use std::time::Duration;

use beyond_identity_operator::reconcile::Environment;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Mutant, Mutated};

impl<E: Environment> Environment for Mutated<E> {
    fn now(&self) -> Timestamp {
        let now = self.port.now();
        if !self.mutation.is(Mutant::BelievesAnyTime) {
            return now;
        }
        // Later than any time of the service.
        now.checked_add(SignedDuration::from_hours(24 * 800)).expect("within the calendar")
    }

    fn monotonic(&self) -> Instant {
        let now = self.port.monotonic();
        if !self.mutation.is(Mutant::SlowClock) {
            return now;
        }
        let started = self.mutation.process.world.started;
        started + (now - started) / 20
    }

    fn monotonic_time(&self) -> Timestamp {
        if !self.mutation.is(Mutant::SlowClock) {
            return self.port.monotonic_time();
        }
        let (wall, started_at) = self.mutation.process.started_at;
        let elapsed = (self.port.monotonic() - started_at) / 20;
        wall.checked_add(elapsed).expect("within the calendar")
    }

    fn nonce(&self) -> String {
        self.port.nonce()
    }

    fn random(&self) -> f64 {
        self.port.random()
    }

    fn may_call_service(&self) -> bool {
        match self.mutation.mutant {
            Some(Mutant::MayWriteIgnored) => true,
            // Without the deadline, a suspended process does not notice that it has lost the Lease.
            Some(Mutant::LeaseDeadlineIgnored) => !self.mutation.process.ending.load(Ordering::SeqCst),
            _ => self.port.may_call_service(),
        }
    }

    fn email_sent(&self, after: Option<Duration>) {
        self.port.email_sent(after);
    }
}
