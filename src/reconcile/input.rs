//! What every pure rule takes: what an object asks for, its status, what is known besides, the times, and the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::home::{Away, Home, at_home};
use super::kind::Kind;
use super::memory::Unwritable;
use super::step::Step;
use super::{Destination, Fact, Failure, Options, Outcome, RealmIds, Times, Until, Wait, annotations};
use crate::api::phase::why;
use crate::api::{HasStatus, Phase, ProviderConfigRef, Reason};

/// What an object asks for, whatever its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// The generation of the spec.
    pub generation: i64,
    /// Whether an annotation has stopped all work on it.
    pub paused: bool,
    /// Since when the object is being deleted, if it is.
    pub deleted_at: Option<Timestamp>,
    /// Whether what it stands for stays when it is deleted.
    pub orphan: bool,
    /// The reconcile that somebody asked for, and that was not made yet.
    pub reconcile_requested: Option<String>,
    /// Why this version cannot decode the spec, if it cannot. Nothing else of the spec counts then but for a deletion.
    pub undecodable: Option<String>,
}

impl Lifecycle {
    /// What `object` asks for. `orphan` is what its deletion policy says, `undecodable` why its spec cannot be decoded.
    pub fn of(object: &(impl kube::Resource + HasStatus), orphan: bool, undecodable: Option<&str>) -> Self {
        Self {
            generation: object.meta().generation.unwrap_or_default(),
            paused: annotations::is_paused(object),
            deleted_at: object.meta().deletion_timestamp.as_ref().map(|time| time.0),
            orphan,
            reconcile_requested: annotations::look_asked_for(object),
            undecodable: undecodable.map(str::to_owned),
        }
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// What is known of an object, whatever its kind.
#[derive(Debug)]
pub struct ObjectState<K: Kind> {
    /// Whether the object was read from the API server in this reconcile.
    pub fresh: bool,
    /// Whether the finalizer stands.
    pub finalizer: bool,
    /// Whether a remote write may be started.
    pub may_write: bool,
    /// How long a recoverable problem is still given to come right; zero when the grace period is over.
    pub grace_remaining: Duration,
    /// Why the API server, not long ago, did not store what the operator wrote. Nothing is sent then, and a deletion goes on
    /// without writing down what it has done.
    pub unwritable: Option<Unwritable>,
    /// Whether there is a ticket to send with.
    pub ticket: bool,
    /// What came of the call in this reconcile, until it was written down.
    pub sent: Option<Sent<K>>,
    /// What the service said when it refused the call that is now in doubt.
    pub refusal: Option<String>,
    /// The realms behind the provider configs that were asked for.
    pub realms: BTreeMap<ProviderConfigRef, Fact<ResolvedRealm>>,
    /// A fresh random identifier.
    pub nonce: String,
}

impl<K: Kind> Default for ObjectState<K> {
    fn default() -> Self {
        Self {
            fresh: false,
            finalizer: false,
            may_write: false,
            grace_remaining: Duration::ZERO,
            unwritable: None,
            ticket: false,
            sent: None,
            refusal: None,
            realms: BTreeMap::new(),
            nonce: String::new(),
        }
    }
}

impl<K: Kind> Clone for ObjectState<K> {
    fn clone(&self) -> Self {
        Self {
            unwritable: self.unwritable.clone(),
            sent: self.sent.clone(),
            refusal: self.refusal.clone(),
            realms: self.realms.clone(),
            nonce: self.nonce.clone(),
            ..*self
        }
    }
}

/// Where a provider config leads, and what it lets the object do there.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRealm {
    /// Where calls go.
    pub destination: Destination,
    /// Why nothing new may be made or sent there for this namespace, if it may not.
    pub not_allowed: Option<Failure>,
    /// Why no configuration there may be taken over by its id, if none may.
    pub no_resource_ids: Option<Failure>,
}

/// What came of the call of a write-ahead record.
#[derive(Debug)]
pub struct Sent<K: Kind> {
    /// The record. By now another one may stand in the status.
    pub record: K::Record,
    /// What came of it.
    pub outcome: Outcome<K::Created>,
}

impl<K: Kind> Clone for Sent<K> {
    fn clone(&self) -> Self {
        Self { record: self.record.clone(), outcome: self.outcome.clone() }
    }
}

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

impl<'a, K: Kind> PlanInput<'a, K> {
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
        let phase = Phase::AtWork(why(reason, "the operator is ending; the next one goes on"));
        Step::Wait(Wait::saying(phase, Until::Backoff(None)))
    }

    /// Whether conditions were set for all that is asked for now: for this generation, and for what is asked beside the spec.
    pub fn is_seen(&self) -> bool {
        K::seen_generation(self.status) == Some(self.lifecycle().generation) && !K::asks_beside_the_spec(self)
    }

    /// Whether the grace period of a recoverable problem is over.
    pub fn is_overdue(&self) -> bool {
        self.object().grace_remaining.is_zero()
    }

    /// The realm behind `reference`, as it was resolved in this reconcile.
    pub fn resolved(&self, reference: &ProviderConfigRef) -> Option<&'a ResolvedRealm> {
        match self.object().realms.get(reference) {
            Some(Fact::Known(realm)) => Some(realm),
            Some(Fact::Unknown | Fact::Failed(_)) | None => None,
        }
    }

    /// `Ok` when `reference` leads to the realm and the endpoint that are given, as far as they are; otherwise what to do
    /// first, or instead.
    pub fn same_realm(
        &self,
        reference: &ProviderConfigRef,
        realm: Option<&RealmIds>,
        endpoint: Option<&str>,
    ) -> Result<&'a Destination, Step<K>> {
        const UNKNOWN: &Fact<ResolvedRealm> = &Fact::Unknown;
        let found = self.object().realms.get(reference).unwrap_or(UNKNOWN);
        at_home(found, reference, Home { realm, endpoint }, self.times.resync).map_err(|away| match away {
            Away::Unknown => Step::Resolve(reference.clone()),
            Away::Failed(failure) => self.failed(&failure),
            Away::Wait(wait) => Step::Wait(wait),
        })
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
    let (desired, observed) = (object.desired(&options.cluster), K::Observed::default());
    let empty = K::Status::default();
    let status = object.status().unwrap_or(&empty);
    rule(&PlanInput { desired: &desired, status, observed: &observed, times: &options.times, now })
}
