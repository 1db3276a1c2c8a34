//! That what the operator writes is not stored.

use std::time::Duration;

/// That what the operator writes is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// Why.
    pub why: String,
    /// When to try again.
    pub retry_in: Duration,
}
