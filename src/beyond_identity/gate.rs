//! A gate that can hold back requests.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::operation::Operation;

/// Admits or holds back requests, and observes their outcomes.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Whether a request may be sent now. If not, it is not sent.
    ///
    /// # Errors
    /// How long to wait before the next request.
    fn begin(&self) -> Result<(), Duration>;

    /// A request admitted at `begun` has ended, with or without a response.
    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>);
}
