//! What remains on the remote side after the finalizer is removed.

/// What remains on the remote side after the finalizer is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Retained as requested.
    Kept(String),
    /// Left over: it should have been removed, and could not be.
    Behind(String),
}
