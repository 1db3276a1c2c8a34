//! A write of the operator that the API server does not store.

use std::time::Duration;

/// A write of the operator that the API server does not store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// The reason.
    pub why: String,
    /// The delay until the retry.
    pub retry_in: Duration,
}
