//! What is known of an object, whatever its kind. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::destination::Destination;
use super::failure::Failure;
use super::kind::Kind;
use super::outcome::Outcome;
use super::unwritable::Unwritable;
use crate::api::ProviderConfigRef;

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
    pub realms: BTreeMap<ProviderConfigRef, Result<ResolvedRealm, Failure>>,
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
