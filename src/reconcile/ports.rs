//! The ports: everything that a reconcile awaits, and the sources of time and randomness. Each has a real
//! implementation and a model for tests, which controls the result of every call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::failure::Failure;
use super::kind::ObjectKey;
use super::permissions::Permissions;
use super::remote::Remote;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef, Reason};
use crate::runtime::warnings::About;

/// The objects of one kind, in the Kubernetes API.
pub trait Objects<K>: Send + Sync {
    /// The object from the watch cache: free of cost, and possibly stale.
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>>;

    /// The current object from the API server; `None` when it does not exist.
    fn read(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Option<K>, String>> + Send;

    /// Replaces the status, under the object's resourceVersion.
    fn write_status(&self, object: &K) -> impl Future<Output = Result<K, WriteError>> + Send;

    /// Adds or removes the finalizer, under the object's uid and resourceVersion. Returns the updated object.
    fn set_finalizer(&self, object: &K, present: bool) -> impl Future<Output = Result<K, WriteError>> + Send;

    /// Emits an event about the object. The caller does not wait for it, and a refusal is not an error.
    fn emit_event(&self, object: &K, event: EventToEmit);
}

/// The objects that refer to an AuthenticatorConfig.
pub trait Referrers: Send + Sync {
    /// The names of the EnrollmentRequests that refer to it and are not being deleted; only some of them where there
    /// are many.
    fn referrers_of(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

/// An event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventToEmit {
    /// Normal, or Warning where a user should act.
    pub type_: EventType,
    /// The reason, as in a condition.
    pub reason: Reason,
    /// The message.
    pub note: String,
}

/// Why a write did not succeed, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Another writer was first: read the object and decide again.
    #[error("the object has changed meanwhile")]
    Conflict,
    /// The object does not exist.
    #[error("the object is gone")]
    NotFound,
    /// The API server refused the write, certainly without an effect.
    #[error("{0}")]
    Refused(String),
    /// There was no answer, or the server had an internal error: the write may have been carried out.
    #[error("{0}")]
    NoAnswer(String),
}

/// Resolves references to provider configs.
pub trait Realms: Send + Sync {
    /// The client of the realm.
    type Remote: Remote;

    /// Resolves a provider config for `caller`, and reads its credentials now. The failure names what is missing, or
    /// makes the object wait for its turn to call the service. An object that waits is enqueued at its turn.
    fn resolve(
        &self,
        caller: Caller,
        reference: &ProviderConfigRef,
    ) -> impl Future<Output = Result<Resolved<Self::Remote>, Failure>> + Send;
}

/// The object that calls are made for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The object.
    pub object: ObjectKey,
    /// Whether work is pending for it. Otherwise it only polls existing remote resources.
    pub is_pending: bool,
    /// Whether this work is new: nothing was called for it yet.
    pub is_new: bool,
    /// Whether it has something to revoke or to delete. Once the credentials are deleted, the last known token serves
    /// these two purposes only.
    pub is_removing: bool,
}

/// A resolved realm.
#[derive(Clone, Debug)]
pub struct Resolved<R> {
    /// The client of the realm.
    pub remote: R,
    /// What the provider config permits the object to do there.
    pub permissions: Permissions,
}

/// All ports but time and randomness.
pub trait Backend:
    Objects<AuthenticatorConfig> + Objects<EnrollmentRequest> + Referrers + Realms + Send + Sync + 'static
{
}

impl<B> Backend for B where
    B: Objects<AuthenticatorConfig> + Objects<EnrollmentRequest> + Referrers + Realms + Send + Sync + 'static
{
}

/// Time, randomness, and whether this process may write.
pub trait Environment: Send + Sync {
    /// The wall clock. It is displayed, and compared with the service's times; safety never depends on it alone.
    fn now(&self) -> Timestamp;

    /// The monotonic clock.
    fn monotonic(&self) -> Instant;

    /// The wall clock at the start of this process, advanced by the monotonic clock. A clock adjustment during the
    /// process neither ends nor prolongs a period that this clock measures.
    fn monotonic_time(&self) -> Timestamp;

    /// A fresh random identifier, at most 64 characters.
    fn nonce(&self) -> String;

    /// A random number of at least 0 and below 1.
    fn random(&self) -> f64;

    /// Whether a remote write may start now: not during shutdown, and not unless this process is the leader.
    fn may_call_service(&self) -> bool;

    /// Whether a failed request to the Kubernetes API is logged as a warning. `Some`: with the number of earlier warnings
    /// that were left out.
    fn warns(&self, _about: About) -> Option<u64> {
        Some(0)
    }

    /// Counts an email that was sent and whose job is recorded. `after` is the time since the creation of its request, if
    /// it is the first one.
    fn email_sent(&self, _after: Option<Duration>) {}

    /// Counts a passkey that was bound by a link of the request, this long after the creation of the request.
    fn enrolled(&self, _after: Duration) {}
}
