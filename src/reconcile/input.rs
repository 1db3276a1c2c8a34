//! What every pure rule takes: what an object asks for, its status, what is known besides, the times, and the clock.

use jiff::Timestamp;

use super::kind::Kind;
use super::times::Times;

/// What every pure rule takes.
pub struct PlanInput<'a, K: Kind> {
    /// What the object asks for.
    pub desired: &'a K::Desired,
    /// Its status.
    pub status: &'a K::Status,
    /// What is known besides. Facts that nobody fetched are unknown.
    pub observed: &'a K::Observed,
    /// The times to go by.
    pub times: &'a Times,
    /// The wall clock.
    pub now: Timestamp,
}

impl<K: Kind> Clone for PlanInput<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for PlanInput<'_, K> {}
