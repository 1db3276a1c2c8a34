//! The observed state that objects of every kind have. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::destination::Destination;
use super::failure::Failure;
use super::kind::Kind;
use super::outcome::Outcome;
use super::permissions::Permissions;
use super::unwritable::Unwritable;
use crate::api::ProviderConfigRef;

/// The observed state that objects of every kind have.
#[derive(Debug)]
pub struct ObjectState<K: Kind> {
    /// Whether the object was read from the API server in this reconcile.
    pub fresh: bool,
    /// Whether the object has the operator's finalizer.
    pub finalizer: bool,
    /// Whether a remote write may start.
    pub may_call_service: bool,
    /// The rest of the grace period of a recoverable problem; zero when it is over.
    pub grace_remaining: Duration,
    /// Why the API server recently did not store a write of the operator. Until the retry nothing is sent, and a
    /// deletion continues without recording its progress.
    pub unwritable: Option<Unwritable>,
    /// Whether this reconcile holds a ticket.
    pub ticket: bool,
    /// The outcome of the call in this reconcile, until it is recorded.
    pub sent: Option<Sent<K>>,
    /// The message with which the service refused the call that is now in doubt.
    pub refusal: Option<String>,
    /// The realms of the provider configs that this reconcile resolved.
    pub realms: BTreeMap<ProviderConfigRef, Result<ResolvedRealm, Failure>>,
    /// A fresh random identifier.
    pub nonce: String,
}

impl<K: Kind> Default for ObjectState<K> {
    fn default() -> Self {
        Self {
            fresh: false,
            finalizer: false,
            may_call_service: false,
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

/// Where a provider config points, and what it permits the object to do there.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedRealm {
    /// The destination of calls.
    pub destination: Destination,
    /// What it permits the object to do there.
    pub permissions: Permissions,
}

/// The outcome of the call of a write-ahead record.
#[derive(Debug)]
pub struct Sent<K: Kind> {
    /// The record. The status may hold another one by now.
    pub record: K::Record,
    /// The outcome.
    pub outcome: Outcome<K::Created>,
}

impl<K: Kind> Clone for Sent<K> {
    fn clone(&self) -> Self {
        Self { record: self.record.clone(), outcome: self.outcome.clone() }
    }
}
