//! A gate that counts and times the requests through another gate.

use std::sync::Arc;

use tokio::time::Instant;

use crate::beyond_identity::{Error, Gate, Held, Operation};
use crate::metrics::Metrics;

/// A gate that admits every request.
#[derive(Debug)]
pub struct Open;

impl Gate for Open {
    fn begin(&self, _: Operation) -> Result<(), Held> {
        Ok(())
    }

    fn end(&self, _: Operation, _: Instant, _: Option<&Error>) {}
}

/// Counts and times the requests through `gate`.
#[derive(Debug)]
pub struct Metered<G> {
    pub gate: G,
    pub metrics: Arc<Metrics>,
}

impl<G: Gate> Gate for Metered<G> {
    fn begin(&self, operation: Operation) -> Result<(), Held> {
        self.gate.begin(operation)
    }

    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>) {
        self.metrics.called(operation, error, begun.elapsed());
        self.gate.end(operation, begun, error);
    }
}
