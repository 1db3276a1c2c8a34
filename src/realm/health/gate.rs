//! A gate that stops the calls through a provider config that is not Ready, and reports the outcomes of the others.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::Healths;
use crate::api::ProviderConfigKey;
use crate::beyond_identity::{Error, Gate, Held, Operation};

/// Stops calls through `key` while it is not Ready.
pub struct HealthGate<G> {
    /// The gate behind it.
    pub gate: G,
    /// The health of the provider configs.
    pub healths: Arc<Healths>,
    /// The provider config.
    pub key: ProviderConfigKey,
    /// The version of its spec and credentials that the calls are made with.
    pub version: u64,
}

impl<G: Gate> Gate for HealthGate<G> {
    fn begin(&self, operation: Operation) -> Result<(), Held> {
        match self.healths.stopped(&self.key, self.version, operation) {
            Some(why) => Err(Held::Stopped(why)),
            None => self.gate.begin(operation),
        }
    }

    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>) {
        self.healths.called(&self.key, self.version, operation, error);
        self.gate.end(operation, begun, error);
    }
}

impl<G: fmt::Debug> fmt::Debug for HealthGate<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthGate").field("gate", &self.gate).field("key", &self.key).finish_non_exhaustive()
    }
}
