//! What remains in Beyond Identity after the finalizer is removed.

/// What remains in Beyond Identity after the finalizer is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Retained as requested.
    Retained(String),
    /// Left over: it should have been removed, and could not be.
    NotRemoved(String),
}
