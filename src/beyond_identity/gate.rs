//! A gate that can hold back requests.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::operation::Operation;

/// Why a request is held back. It is certainly not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The rate limit of the service is still in effect, for this time.
    RateLimited(Duration),
    /// Nothing is sent for now, for this reason: a sentence without a full stop.
    Stopped(String),
}

/// Admits or holds back requests, and observes their outcomes.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Whether a request may be sent now. If not, it is not sent.
    ///
    /// # Errors
    /// Why it is held back.
    fn begin(&self, operation: Operation) -> Result<(), Held>;

    /// A request admitted at `begun` has ended, with or without a response.
    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>);
}
