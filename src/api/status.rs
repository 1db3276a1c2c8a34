//! The common fields of the statuses of all reconciled kinds, so that one mechanism writes them.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::object;
use serde::Serialize;

use super::stored;

/// The common fields of every status.
#[derive(Debug)]
pub struct Common<'a> {
    /// The generation that the status is about.
    pub observed_generation: &'a Option<i64>,
    /// When the current recoverable failure began.
    pub failing_since: &'a Option<String>,
    /// The last handled value of [`super::RECONCILE_REQUESTED_AT`].
    pub last_handled_reconcile_at: &'a Option<String>,
    /// The conditions.
    pub conditions: &'a Vec<Condition>,
}

/// The same fields, mutable.
#[derive(Debug)]
pub struct CommonMut<'a> {
    /// The generation that the status is about.
    pub observed_generation: &'a mut Option<i64>,
    /// When the current recoverable failure began.
    pub failing_since: &'a mut Option<String>,
    /// The last handled value of [`super::RECONCILE_REQUESTED_AT`].
    pub last_handled_reconcile_at: &'a mut Option<String>,
    /// The conditions.
    pub conditions: &'a mut Vec<Condition>,
}

/// A status with the common fields.
pub trait CommonStatus: Clone + Debug + Default + PartialEq + Serialize {
    /// The common fields.
    fn common(&self) -> Common<'_>;
    /// The common fields, mutable.
    fn common_mut(&mut self) -> CommonMut<'_>;
}

/// A kind with such a status.
pub trait HasStatus: Clone + object::HasStatus<Status: CommonStatus> {
    /// The conditions in the object's status.
    fn conditions(&self) -> &[Condition] {
        self.status().map_or(&[], |status| status.common().conditions)
    }

    /// Sets the conditions, and the generation that they are about.
    fn set_conditions(&mut self, conditions: Vec<Condition>, observed_generation: Option<i64>) {
        let status = self.status_mut().get_or_insert_default().common_mut();
        (*status.conditions, *status.observed_generation) = (conditions, observed_generation);
    }

    /// The generation that the status is about.
    fn observed_generation(&self) -> Option<i64> {
        *self.status()?.common().observed_generation
    }

    /// The last handled value of [`super::RECONCILE_REQUESTED_AT`] in the status.
    fn last_handled_reconcile_at(&self) -> Option<&str> {
        self.status()?.common().last_handled_reconcile_at.as_deref()
    }

    /// Sets that value in the status.
    fn set_last_handled_reconcile_at(&mut self, handled: String) {
        *self.status_mut().get_or_insert_default().common_mut().last_handled_reconcile_at = Some(handled);
    }

    /// When the current recoverable failure began, according to the status.
    fn failing_since(&self) -> Option<&str> {
        self.status()?.common().failing_since.as_deref()
    }

    /// Sets or removes that time in the status.
    fn set_failing_since(&mut self, since: Option<String>) {
        *self.status_mut().get_or_insert_default().common_mut().failing_since = since;
    }

    /// Whether both objects have the same status, conditions included.
    fn same_status(&self, other: &Self) -> bool {
        self.status() == other.status()
    }

    /// Replaces the whole status by that of `other`.
    fn take_status(&mut self, other: &Self) {
        *self.status_mut() = other.status().cloned();
    }

    /// The fields of this status that differ in `stored`, the API server's response to the write. See
    /// [`stored::differing`].
    fn not_stored_in(&self, stored: &Self) -> Vec<String> {
        stored::differing(&self.status(), &stored.status())
    }

    /// A hash of the status, for comparison. Of the informational fields, only whether there are conditions counts.
    fn status_hash(&self) -> u64 {
        let mut status = self.status().cloned().unwrap_or_default();
        let common = status.common_mut();
        let speaks = !mem::take(common.conditions).is_empty();
        (*common.observed_generation, *common.failing_since) = (None, None);
        let mut hasher = DefaultHasher::new();
        (speaks, format!("{status:?}")).hash(&mut hasher);
        hasher.finish()
    }
}

impl<K: Clone + object::HasStatus<Status: CommonStatus>> HasStatus for K {}
