//! How the operator is to run, as far as reconciles go by it.

use super::times::Times;

/// How the operator is to run, as far as reconciles go by it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's name, part of the mark of every remote object.
    pub cluster: String,
    /// Whether no deletion touches the remote side, whatever a deletion policy says.
    pub orphan_on_delete: bool,
    /// The times to go by.
    pub times: Times,
}
