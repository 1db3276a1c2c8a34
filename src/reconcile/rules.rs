//! The rules of a kind, for the shared planner; what every rule takes, and what rules say most. Pure.

use jiff::Timestamp;
use tokio::time::Instant;

use super::destination::{Destination, RealmIds};
use super::failure::Failure;
use super::kind::Kind;
use super::lifecycle::Lifecycle;
use super::local_state::LocalState;
use super::options::Options;
use super::state::{ObjectState, ResolvedRealm, Sent};
use super::step::Step;
use super::times::Times;
use super::wait::{Until, Wait};
use crate::api::phase::{Why, why};
use crate::api::status::CommonStatus;
use crate::api::{Phase, ProviderConfigRef, Reason};

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

/// The rules of a kind.
pub trait Rules: Kind {
    /// The part of what is known that all kinds have.
    fn object_state(observed: &Self::Observed) -> &ObjectState<Self>;
    /// What is known now: what was fetched `before` in this reconcile, and what the object, the local state of this process and
    /// its clocks say.
    fn observe(before: Self::Observed, view: View<'_, Self>) -> Self::Observed;
    /// What stays known when the object asks for something else.
    fn unfetched(before: Self::Observed) -> Self::Observed;

    /// Whether there is more to do than to poll.
    fn is_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether the call of a write-ahead record has yet to be made, or to be found needless.
    fn is_send_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether there is something to revoke or to delete.
    fn is_removing(input: &PlanInput<'_, Self>) -> bool;
    /// Whether something is asked for that the generation tells nothing of.
    fn asks_beside_the_spec(_: &PlanInput<'_, Self>) -> bool {
        false
    }
    /// The condition `RevokeRefused`, beside any phase.
    fn revoke_refused(_: &PlanInput<'_, Self>) -> Option<Why> {
        None
    }

    /// What is written down of a call that has made `created`.
    fn conclude(sent: &Sent<Self>, created: &Self::Created) -> Self::Change;
    /// Looks for what the call of `record` has made. `Err` and `Ok` are steps alike.
    fn settle_doubt(input: &PlanInput<'_, Self>, record: &Self::Record) -> Result<Step<Self>, Step<Self>>;
    /// What a step that settles a doubt means to an object that is being deleted.
    fn delay_deletion(input: &PlanInput<'_, Self>, step: Step<Self>) -> Step<Self>;
    /// The next step of a deletion.
    fn finalize(input: &PlanInput<'_, Self>) -> Step<Self>;
    /// The next step of an object that is not being deleted, of which nothing is in doubt.
    fn proceed(input: &PlanInput<'_, Self>) -> Step<Self>;

    /// Applies a change to the status. `false`: it does not apply any more, and nothing was changed.
    fn apply(&mut self, change: &Self::Change) -> bool;
    /// The phase of an object to which `change` has just been applied; `None` for a change that leaves the conditions as they
    /// are. Nothing is fetched yet for what the object asks for by then.
    fn phase_after(input: &PlanInput<'_, Self>, change: &Self::Change) -> Option<Phase>;
}

/// What an observation is made of.
pub struct View<'a, K: Kind> {
    /// The state of the object.
    pub object: ObjectState<K>,
    /// What it asks for.
    pub desired: &'a K::Desired,
    /// Its status.
    pub status: &'a K::Status,
    /// What this process remembers of it.
    pub local_state: &'a LocalState<K>,
    /// What the kind's shared state says of it.
    pub published: K::Published,
    /// The times to go by.
    pub times: &'a Times,
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock.
    pub monotonic: Instant,
}

impl<'a, K: Rules> PlanInput<'a, K> {
    /// What the object asks for, whatever its kind.
    pub fn lifecycle(&self) -> &'a Lifecycle {
        K::lifecycle(self.desired)
    }

    /// What is known of the object, whatever its kind.
    pub fn object(&self) -> &'a ObjectState<K> {
        K::object_state(self.observed)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.lifecycle().is_deleting()
    }

    /// The realm that the status names.
    pub fn recorded_realm(&self) -> Option<RealmIds> {
        K::recorded_realm(self.status)
    }

    /// Waits, setting conditions from what failed.
    pub fn failed(&self, failure: &Failure) -> Step<K> {
        Step::Wait(Wait::failed(failure, self.times.resync, self.is_overdue(), self.is_seen()))
    }

    /// Waits for somebody to act elsewhere, and tries again all the same.
    pub fn blocked(&self, reason: Reason, message: impl AsRef<str>) -> Step<K> {
        self.failed(&Failure::blocked(reason, message))
    }

    /// Waits for a change of the spec, and tries again at the resync interval all the same.
    pub fn refused(&self, reason: Reason, message: impl AsRef<str>) -> Step<K> {
        self.failed(&Failure::refused(reason, message))
    }

    /// Waits until the next process does what this one may not begin any more.
    pub fn shutting_down(&self, reason: Reason) -> Step<K> {
        let phase = Phase::AtWork(why(reason, "The operator is shutting down; the next process continues"));
        Step::Wait(Wait::saying(phase, Until::Backoff(None)))
    }

    /// Whether conditions were set for all that is asked for now: for this generation, and for what is asked beside the spec.
    pub fn is_seen(&self) -> bool {
        *self.status.common().observed_generation == Some(self.lifecycle().generation) && !K::asks_beside_the_spec(self)
    }

    /// Whether the grace period of a recoverable problem is over.
    pub fn is_overdue(&self) -> bool {
        self.object().grace_remaining.is_zero()
    }

    /// The realm behind `reference`, as it was resolved in this reconcile.
    pub fn resolved(&self, reference: &ProviderConfigRef) -> Option<&'a ResolvedRealm> {
        self.object().realms.get(reference)?.as_ref().ok()
    }

    /// `Ok` when `reference` leads to the realm and the endpoint that are given, as far as they are; otherwise what to do
    /// first, or instead.
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

    /// Nothing new is made, changed or sent for a namespace that the provider config does not allow.
    pub fn allowed(&self, reference: &ProviderConfigRef) -> Result<(), Step<K>> {
        match self.resolved(reference).and_then(|realm| realm.not_allowed.as_ref()) {
            None => Ok(()),
            Some(failure) => Err(self.failed(failure)),
        }
    }
}

/// Judges an object by a rule that goes by nothing that has to be fetched, as triggers and the queue do.
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
