//! What the statuses of all kinds with a loop have in common, so that one mechanism writes them.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::object;
use serde::Serialize;

use super::stored;

/// The fields that every status has.
#[derive(Debug)]
pub struct Common<'a> {
    /// The generation that the status is about.
    pub observed_generation: &'a Option<i64>,
    /// Since when something is owed that could come right by itself.
    pub failing_since: &'a Option<String>,
    /// The value of [`super::RECONCILE_REQUESTED_AT`] that was handled last.
    pub last_handled_reconcile_at: &'a Option<String>,
    /// The conditions.
    pub conditions: &'a Vec<Condition>,
}

/// The same, to be changed.
#[derive(Debug)]
pub struct CommonMut<'a> {
    /// The generation that the status is about.
    pub observed_generation: &'a mut Option<i64>,
    /// Since when something is owed that could come right by itself.
    pub failing_since: &'a mut Option<String>,
    /// The value of [`super::RECONCILE_REQUESTED_AT`] that was handled last.
    pub last_handled_reconcile_at: &'a mut Option<String>,
    /// The conditions.
    pub conditions: &'a mut Vec<Condition>,
}

/// A status with the fields that every status has.
pub trait CommonStatus: Clone + Debug + Default + PartialEq + Serialize {
    /// These fields.
    fn common(&self) -> Common<'_>;
    /// These fields, to be changed.
    fn common_mut(&mut self) -> CommonMut<'_>;
}

/// A kind with such a status.
pub trait HasStatus: Clone + object::HasStatus<Status: CommonStatus> {
    /// The conditions as they stand in the object's status.
    fn conditions(&self) -> &[Condition] {
        self.status().map_or(&[], |status| status.common().conditions)
    }

    /// Puts `conditions` into the status, and with them the generation they are about.
    fn set_conditions(&mut self, conditions: Vec<Condition>, observed_generation: Option<i64>) {
        let status = self.status_mut().get_or_insert_default().common_mut();
        (*status.conditions, *status.observed_generation) = (conditions, observed_generation);
    }

    /// The generation that the status is about.
    fn observed_generation(&self) -> Option<i64> {
        *self.status()?.common().observed_generation
    }

    /// The value of [`super::RECONCILE_REQUESTED_AT`] that was handled last, as the status has it.
    fn last_handled_reconcile_at(&self) -> Option<&str> {
        self.status()?.common().last_handled_reconcile_at.as_deref()
    }

    /// Puts that value into the status.
    fn set_last_handled_reconcile_at(&mut self, handled: String) {
        *self.status_mut().get_or_insert_default().common_mut().last_handled_reconcile_at = Some(handled);
    }

    /// Since when something is owed that could come right by itself, as the status has it.
    fn failing_since(&self) -> Option<&str> {
        self.status()?.common().failing_since.as_deref()
    }

    /// Puts that time into the status, or takes it out.
    fn set_failing_since(&mut self, since: Option<String>) {
        *self.status_mut().get_or_insert_default().common_mut().failing_since = since;
    }

    /// Whether the status, conditions included, says the same in both.
    fn same_status(&self, other: &Self) -> bool {
        self.status() == other.status()
    }

    /// Takes over the status of `other`, as a whole.
    fn take_status(&mut self, other: &Self) {
        *self.status_mut() = other.status().cloned();
    }

    /// The fields of this status that `stored`, which the API server answered when this was written, does not have like
    /// this: see [`stored::differing`].
    fn not_stored_in(&self, stored: &Self) -> Vec<String> {
        stored::differing(&self.status(), &stored.status())
    }

    /// A number for what the status remembers, to compare by. What is only said does not count, but whether anything is.
    fn remembered(&self) -> u64 {
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
