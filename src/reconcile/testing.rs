//! Fixtures for the tests of both kinds.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use jiff::Timestamp;

use super::plan::plan;
use super::unwritable::Unwritable;
use super::{
    Destination, End, Fact, Failure, ObjectState, Options, Permissions, PlanInput, RealmIds, Requeue, ResolvedRealm,
    Rules, Step, Times,
};
use crate::api::{Phase, ProviderConfigRef};

/// The times of all plans.
pub(crate) const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// The options of all tests.
pub(crate) fn options() -> Options {
    Options { cluster: "demo".to_owned(), orphan_on_delete: false, audit_job_ids: false, times: TIMES }
}

/// The status of an object and its observed facts.
#[derive(Debug)]
pub(crate) struct Known<K: Rules> {
    pub(crate) status: K::Status,
    pub(crate) observed: K::Observed,
}

impl<K: Rules> Default for Known<K> {
    fn default() -> Self {
        Self { status: K::Status::default(), observed: K::Observed::default() }
    }
}

impl<K: Rules<Observed: Clone>> Clone for Known<K> {
    fn clone(&self) -> Self {
        Self { status: self.status.clone(), observed: self.observed.clone() }
    }
}

impl<K: Rules> Deref for Known<K> {
    type Target = K::Observed;

    fn deref(&self) -> &K::Observed {
        &self.observed
    }
}

impl<K: Rules> DerefMut for Known<K> {
    fn deref_mut(&mut self) -> &mut K::Observed {
        &mut self.observed
    }
}

impl<K: Rules> Known<K> {
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The input of the rules.
    pub(crate) fn input<'a>(&'a self, desired: &'a K::Desired) -> PlanInput<'a, K> {
        PlanInput { desired, status: &self.status, observed: &self.observed, times: &TIMES, now: now() }
    }

    pub(crate) fn next(&self, desired: &K::Desired) -> Step<K> {
        plan(&self.input(desired))
    }
}

/// The time of all plans.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:03Z".parse().unwrap()
}

/// The provider config of all tests.
pub(crate) fn provider_ref() -> ProviderConfigRef {
    ProviderConfigRef::default()
}

/// The realm of the provider config.
pub(crate) fn realm_ids() -> RealmIds {
    RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() }
}

/// The resolved realms, for this result of resolving the provider config.
pub(crate) fn resolved_realms(found: Fact<Destination>) -> BTreeMap<ProviderConfigRef, Result<ResolvedRealm, Failure>> {
    let resolved = |destination| ResolvedRealm { destination, permissions: Permissions::default() };
    match found {
        Fact::Unknown => BTreeMap::new(),
        Fact::Failed(failure) => [(provider_ref(), Err(failure))].into(),
        Fact::Known(destination) => [(provider_ref(), Ok(resolved(destination)))].into(),
    }
}

/// The state of an object with its finalizer, as read from the API server.
pub(crate) fn fresh_object<K: Rules>() -> ObjectState<K> {
    let (nonce, grace_remaining) = ("nonce".to_owned(), TIMES.grace);
    ObjectState {
        fresh: true,
        finalizer: true,
        may_call_service: true,
        nonce,
        grace_remaining,
        ..ObjectState::default()
    }
}

/// A status that cannot be written.
pub(crate) fn unwritable() -> Unwritable {
    Unwritable { why: "a policy refuses it".to_owned(), retry_in: Duration::from_secs(40) }
}

/// The phase of a step that ends the reconcile and sets conditions.
pub(crate) fn phase_of<K: Rules>(step: &Step<K>) -> Phase {
    let Step::End(End { phase: Some(phase), .. }) = step else { panic!("no conditions are set: {step:?}") };
    assert!(phase.why().reason.shows_as(phase), "not in the registry of reasons: {phase:?}");
    phase.clone()
}

/// The requeue of a step that ends the reconcile and keeps the conditions.
pub(crate) fn requeue_keeping_conditions<K: Rules>(step: &Step<K>) -> Requeue {
    let Step::End(End { phase: None, requeue, .. }) = step else { panic!("conditions are set: {step:?}") };
    *requeue
}
