//! The configuration of reconciles.

use super::times::Times;

/// The configuration of reconciles.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's name, part of the ownership mark of every configuration.
    pub cluster: String,
    /// Whether every deletion keeps its remote resources and ignores deletion policies.
    pub orphan_on_delete: bool,
    /// Whether the audit lines have the ids of jobs as they are. Otherwise their hashes.
    pub audit_job_ids: bool,
    /// The durations that plans use.
    pub times: Times,
}
