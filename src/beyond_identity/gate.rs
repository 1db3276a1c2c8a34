//! The gate that calls pass through, for whoever wants to hold them back.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::operation::Operation;

/// Lets calls through or holds them back, and hears what came of them.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Whether a call may be sent now. Otherwise it is not, and the answer is for how long none may.
    ///
    /// # Errors
    /// How long to wait.
    fn begin(&self) -> Result<(), Duration>;

    /// A call that was let through at `begun` was answered, or came to nothing.
    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>);
}
