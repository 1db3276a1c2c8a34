//! Mutants of the health of the provider config.

use beyond_identity_operator::beyond_identity::operation::CREATE_JOB;
use beyond_identity_operator::beyond_identity::{Error, Gate, Held, Operation};
use beyond_identity_operator::health::{FOR_REMOVALS, HealthGate};
use tokio::time::Instant;

use super::{Mutant, Mutated, Mutation};
use crate::turns::Open;

impl Mutation {
    /// The gate of the calls of an object.
    pub fn gate(&self, gate: HealthGate<Open>) -> Box<dyn Gate> {
        if self.mutant.is_some() { Box::new(self.wrap(gate)) } else { Box::new(gate) }
    }

    /// Whether the process sees a pause of the provider config.
    pub fn sees_pause(&self, is_paused: bool) -> bool {
        is_paused && !self.is(Mutant::IgnoresProviderPauses)
    }

    /// Whether a provider config that is Ready again enqueues its objects.
    pub fn wakes(&self) -> bool {
        !self.is(Mutant::ReadyEnqueuesNothing)
    }
}

impl Gate for Mutated<HealthGate<Open>> {
    fn begin(&self, operation: Operation) -> Result<(), Held> {
        if self.mutation.is(Mutant::GateStopsNothing) { Ok(()) } else { self.port.begin(operation) }
    }

    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>) {
        match self.mutation.mutant {
            Some(Mutant::GateReportsNothing) => {}
            Some(Mutant::RefusedRemovalStopsSends) if FOR_REMOVALS.contains(&operation.scope()) => {
                self.port.end(CREATE_JOB, begun, error);
            }
            Some(Mutant::CountsEarlierCredentials) => {
                let version = self.mutation.process.world.lock().remote.version();
                let HealthGate { healths, key, .. } = &self.port;
                let gate = HealthGate { gate: Open, healths: healths.clone(), key: key.clone(), version };
                gate.end(operation, begun, error);
            }
            _ => self.port.end(operation, begun, error),
        }
    }
}

impl std::fmt::Debug for Mutated<HealthGate<Open>> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.port.fmt(f)
    }
}
