//! A fact about remote state: unknown, known, or failed to fetch.

use super::failure::Failure;

/// A fact that a plan may require.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fact<T> {
    /// Not fetched yet.
    #[default]
    Unknown,
    /// Fetched, with this value.
    Known(T),
    /// The fetch failed.
    Failed(Failure),
}

impl<T> From<Result<T, Failure>> for Fact<T> {
    fn from(result: Result<T, Failure>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(failure) => Self::Failed(failure),
        }
    }
}
