//! The rules of a kind for the shared planner, their input, and their most common results. Pure.

use jiff::Timestamp;
use tokio::time::Instant;

use super::destination::{Destination, RealmIds};
use super::end::{End, Requeue};
use super::failure::Failure;
use super::kind::Kind;
use super::lifecycle::Lifecycle;
use super::local_state::LocalState;
use super::options::Options;
use super::state::{ObjectState, ResolvedRealm, Sent};
use super::step::Step;
use super::times::Times;
use crate::api::conditions::REVOKE_REFUSED;
use crate::api::phase::{Why, why};
use crate::api::status::CommonStatus;
use crate::api::{Phase, ProviderConfigRef, Reason};

/// The input of every rule.
pub struct PlanInput<'a, K: Kind> {
    /// The desired state.
    pub desired: &'a K::Desired,
    /// The status of the object.
    pub status: &'a K::Status,
    /// The observed facts. A fact that was not fetched is unknown.
    pub observed: &'a K::Observed,
    /// The durations that plans use.
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

/// The rules of a kind.
pub trait Rules: Kind {
    /// The part of the observation that all kinds share.
    fn object_state(observed: &Self::Observed) -> &ObjectState<Self>;
    /// Builds the observation from `before`, with the facts fetched earlier in this reconcile, and from the object, the
    /// local state and the clocks.
    fn observe(before: Self::Observed, view: View<'_, Self>) -> Self::Observed;
    /// The part of the observation that stays valid when the desired state changes.
    fn reset_fetched(before: Self::Observed) -> Self::Observed;

    /// Whether work other than a poll is pending.
    fn is_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether a call with a write-ahead record is still to be made, or to be found unnecessary.
    fn is_send_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether there is something to revoke or to delete.
    fn is_removing(input: &PlanInput<'_, Self>) -> bool;
    /// Whether the object requests something that its generation does not cover.
    fn has_annotation_request(_: &PlanInput<'_, Self>) -> bool {
        false
    }
    /// The reason of the condition `RevokeRefused`, which is set beside any phase.
    fn revoke_refused(_: &PlanInput<'_, Self>) -> Option<Why> {
        None
    }

    /// The conditions that are set beside any phase: the type of each, and why it is True.
    fn beside(input: &PlanInput<'_, Self>) -> Vec<(&'static str, Why)> {
        Self::revoke_refused(input).map(|why| (REVOKE_REFUSED, why)).into_iter().collect()
    }

    /// The status change that records a call which created `created`.
    fn conclude(sent: &Sent<Self>, created: &Self::Created) -> Self::Change;
    /// The reason and the message while a call is in doubt.
    const IN_DOUBT: (Reason, &'static str);
    /// The step that finds the remote resource that the call of `record` created. `Err` carries a step too, so that rules
    /// can return early with `?`.
    fn resolve_doubt(input: &PlanInput<'_, Self>, record: &Self::Record) -> Result<Step<Self>, Step<Self>>;
    /// How a step that settles a doubt affects the deletion of the object.
    fn delay_deletion(input: &PlanInput<'_, Self>, step: Step<Self>) -> Step<Self>;
    /// The next step of a deletion.
    fn finalize(input: &PlanInput<'_, Self>) -> Step<Self>;
    /// The next step of an object that is not being deleted and has no call in doubt.
    fn proceed(input: &PlanInput<'_, Self>) -> Step<Self>;

    /// Applies a change to the status. `false`: it no longer applies, and nothing was changed.
    fn apply(&mut self, change: &Self::Change) -> bool;
    /// The phase of an object after `change` was applied; `None` if the change leaves the conditions as they are. No
    /// facts are fetched yet for the desired state at that time.
    fn phase_after(input: &PlanInput<'_, Self>, change: &Self::Change) -> Option<Phase>;
}

/// The sources of an observation.
pub struct View<'a, K: Kind> {
    /// The state of the object.
    pub object: ObjectState<K>,
    /// The desired state.
    pub desired: &'a K::Desired,
    /// The status of the object.
    pub status: &'a K::Status,
    /// The local state of the object in this process.
    pub local_state: &'a LocalState<K>,
    /// What the shared state of the kind reports for the object.
    pub published: K::Published,
    /// The durations that plans use.
    pub times: &'a Times,
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock.
    pub monotonic: Instant,
}

impl<'a, K: Rules> PlanInput<'a, K> {
    /// The part of the desired state that all kinds share.
    pub fn lifecycle(&self) -> &'a Lifecycle {
        K::lifecycle(self.desired)
    }

    /// The part of the observation that all kinds share.
    pub fn object(&self) -> &'a ObjectState<K> {
        K::object_state(self.observed)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.lifecycle().is_deleting()
    }

    /// The realm recorded in the status.
    pub fn recorded_realm(&self) -> Option<RealmIds> {
        K::recorded_realm(self.status)
    }

    /// Waits, with conditions from a failure.
    pub fn failed(&self, failure: &Failure) -> Step<K> {
        Step::End(End::failed(failure, self.times.resync, self.is_overdue(), self.is_seen()))
    }

    /// Waits for a user to act elsewhere, and retries meanwhile.
    pub fn blocked(&self, reason: Reason, message: impl AsRef<str>) -> Step<K> {
        self.failed(&Failure::blocked(reason, message))
    }

    /// Waits for a change of the spec, and retries at the resync interval.
    pub fn refused(&self, reason: Reason, message: impl AsRef<str>) -> Step<K> {
        self.failed(&Failure::refused(reason, message))
    }

    /// Waits during shutdown; the next process continues.
    pub fn shutting_down(&self, reason: Reason) -> Step<K> {
        let phase = Phase::Progressing(why(reason, "The operator is shutting down; the next process continues"));
        Step::End(End::with_phase(phase, Requeue::Backoff(None)))
    }

    /// Whether the conditions cover everything that is requested now: this generation, and requests beside the spec.
    pub fn is_seen(&self) -> bool {
        *self.status.common().observed_generation == Some(self.lifecycle().generation)
            && !K::has_annotation_request(self)
    }

    /// Whether the grace period of a recoverable problem is over.
    pub fn is_overdue(&self) -> bool {
        self.object().grace_remaining.is_zero()
    }

    /// The realm of `reference`, as resolved in this reconcile.
    pub fn resolved(&self, reference: &ProviderConfigRef) -> Option<&'a ResolvedRealm> {
        self.object().realms.get(reference)?.as_ref().ok()
    }

    /// `Ok` if `reference` points to the given realm and endpoint; an argument that is `None` is not checked. Otherwise
    /// the step to take first, or instead.
    pub fn same_realm(
        &self,
        reference: &ProviderConfigRef,
        realm: Option<&RealmIds>,
        endpoint: Option<&str>,
    ) -> Result<&'a Destination, Step<K>> {
        let destination = match self.object().realms.get(reference) {
            None => return Err(Step::Resolve(reference.clone())),
            Some(Err(failure)) => return Err(self.failed(failure)),
            Some(Ok(realm)) => &realm.destination,
        };
        match destination.mismatch(reference, realm, endpoint) {
            None => Ok(destination),
            Some(failure) => Err(self.failed(&failure)),
        }
    }

    /// `Err` with a wait if the provider config does not allow the namespace to create, change or send anything.
    pub fn allowed(&self, reference: &ProviderConfigRef) -> Result<(), Step<K>> {
        match self.resolved(reference).and_then(|realm| realm.permissions.not_allowed.as_ref()) {
            None => Ok(()),
            Some(failure) => Err(self.failed(failure)),
        }
    }
}

/// Evaluates a rule that needs no fetched facts on an object, as triggers and the queue do.
pub fn judge<K: Kind, T>(
    object: &K,
    options: &Options,
    now: Timestamp,
    rule: impl FnOnce(&PlanInput<'_, K>) -> T,
) -> T {
    let (desired, observed) = (object.desired(options), K::Observed::default());
    let empty = K::Status::default();
    let status = object.status().unwrap_or(&empty);
    rule(&PlanInput { desired: &desired, status, observed: &observed, times: &options.times, now })
}
