//! Values that the tests of both kinds start from.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use jiff::Timestamp;

use super::plan::plan;
use super::unwritable::Unwritable;
use super::{
    Destination, End, Fact, Failure, ObjectState, Options, PlanInput, RealmIds, Requeue, ResolvedRealm, Rules, Step,
    Times,
};
use crate::api::{Phase, ProviderConfigRef};

/// The times that all plans are made by.
pub(crate) const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// How the operator of all tests is to run.
pub(crate) fn options() -> Options {
    Options { cluster: "demo".to_owned(), orphan_on_delete: false, times: TIMES }
}

/// What is known of an object: its status, and the rest.
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

    /// What the rules take, now.
    pub(crate) fn input<'a>(&'a self, desired: &'a K::Desired) -> PlanInput<'a, K> {
        PlanInput { desired, status: &self.status, observed: &self.observed, times: &TIMES, now: now() }
    }

    /// The next step.
    pub(crate) fn next(&self, desired: &K::Desired) -> Step<K> {
        plan(&self.input(desired))
    }
}

/// The moment at which all plans are made.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T12:00:03Z".parse().unwrap()
}

/// The provider config of all tests.
pub(crate) fn via() -> ProviderConfigRef {
    ProviderConfigRef::default()
}

/// Where it leads.
pub(crate) fn home() -> RealmIds {
    RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() }
}

/// What was found of where the provider config leads.
pub(crate) fn leads(found: Fact<Destination>) -> BTreeMap<ProviderConfigRef, Result<ResolvedRealm, Failure>> {
    let resolved = |destination| ResolvedRealm { destination, not_allowed: None, no_resource_ids: None };
    match found {
        Fact::Unknown => BTreeMap::new(),
        Fact::Failed(failure) => [(via(), Err(failure))].into(),
        Fact::Known(destination) => [(via(), Ok(resolved(destination)))].into(),
    }
}

/// Of an object just read from the API server, with its finalizer.
pub(crate) fn fresh_object<K: Rules>() -> ObjectState<K> {
    let (nonce, grace_remaining) = ("nonce".to_owned(), TIMES.grace);
    ObjectState { fresh: true, finalizer: true, may_write: true, nonce, grace_remaining, ..ObjectState::default() }
}

/// The status cannot be written.
pub(crate) fn unwritable() -> Unwritable {
    Unwritable { why: "a policy refuses it".to_owned(), retry_in: Duration::from_secs(40) }
}

/// The phase that a step that waits sets conditions from.
pub(crate) fn said<K: Rules>(step: &Step<K>) -> Phase {
    let Step::End(End { phase: Some(phase), .. }) = step else { panic!("it says nothing: {step:?}") };
    assert!(phase.why().reason.shows_as(phase), "the registry of reasons does not know this: {phase:?}");
    phase.clone()
}

/// Until when a step waits that leaves the conditions as they are.
pub(crate) fn silent<K: Rules>(step: &Step<K>) -> Requeue {
    let Step::End(End { phase: None, requeue, .. }) = step else { panic!("it is not silent: {step:?}") };
    *requeue
}
