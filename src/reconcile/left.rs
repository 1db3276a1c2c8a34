//! What is left on the remote side when an object is let go.

/// What is left on the remote side when an object is let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is to stay there.
    Kept(String),
    /// It should have gone, and could not be removed.
    Behind(String),
}
