//! What is known of something outside: nothing yet, a value, or that it could not be learned.

use super::failure::Failure;

/// A fact that a plan may ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fact<T> {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// This is so.
    Known(T),
    /// It was asked for, and could not be learned.
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
