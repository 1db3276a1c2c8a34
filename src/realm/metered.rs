//! A gate that counts and times the requests through another gate.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::beyond_identity::{Error, Gate, Operation};
use crate::metrics::Metrics;

/// Counts and times the requests through `gate`.
#[derive(Debug)]
pub struct Metered<G> {
    pub gate: G,
    pub metrics: Arc<Metrics>,
}

impl<G: Gate> Gate for Metered<G> {
    fn begin(&self) -> Result<(), Duration> {
        self.gate.begin()
    }

    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>) {
        self.metrics.called(operation, error, begun.elapsed());
        self.gate.end(operation, begun, error);
    }
}
