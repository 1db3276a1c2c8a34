//! The ports: all that a reconcile awaits, and where time and chance come from. Each has two implementations,
//! the real one and a model of it for tests that want to decide what happens at each of them.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::failure::Failure;
use super::kind::KindName;
use super::remote::Remote;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef, Reason};

/// The objects of one kind, in the Kubernetes API.
pub trait Objects<K>: Send + Sync {
    /// The object from the watch cache: it costs nothing, and may be behind.
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>>;

    /// The object as the API server has it now; `None` when there is none.
    fn read(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Option<K>, String>> + Send;

    /// Replaces the status, under the object's resourceVersion.
    fn write_status(&self, object: &K) -> impl Future<Output = Result<K, WriteError>> + Send;

    /// Adds the finalizer or takes it off, under the object's uid and resourceVersion. Answers the object as it
    /// is then.
    fn set_finalizer(&self, object: &K, present: bool) -> impl Future<Output = Result<K, WriteError>> + Send;

    /// Publishes an event about the object. Nothing waits for it, and a refusal is no error.
    fn emit_event(&self, object: &K, event: EventToEmit);
}

/// Who refers to an AuthenticatorConfig.
pub trait Referrers: Send + Sync {
    /// The EnrollmentRequests that refer to it and are not being deleted, or some of them where there are many, by name.
    fn referrers_of(&self, namespace: &str, name: &str) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

/// An event about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventToEmit {
    /// Normal, or Warning where a person should look.
    pub type_: EventType,
    /// The reason, as in a condition.
    pub reason: Reason,
    /// The sentence.
    pub note: String,
}

/// Why a write did not succeed, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first. Read again, decide again.
    #[error("the object has changed meanwhile")]
    Conflict,
    /// The object is gone.
    #[error("the object is gone")]
    NotFound,
    /// The API server refused, surely without an effect.
    #[error("{0}")]
    Refused(String),
    /// There was no answer, or an error of the server's own: the write may have been carried out.
    #[error("{0}")]
    NoAnswer(String),
}

/// From a reference to a realm that is ready to be called.
pub trait Realms: Send + Sync {
    /// What calls are made on.
    type Remote: Remote;

    /// Resolves a provider config for `caller`, and reads its credentials now. Otherwise the failure says what is missing, or
    /// that the object has to wait until it is its turn to call the service: then it is enqueued.
    fn resolve(
        &self,
        caller: Caller<'_>,
        reference: &ProviderConfigRef,
    ) -> impl Future<Output = Result<Resolved<Self::Remote>, Failure>> + Send;
}

/// The object that calls are made for.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Its kind.
    pub kind: KindName,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether work is pending for it. Otherwise it only wants to know how what is there gets on.
    pub is_owed: bool,
    /// Whether it has something to revoke or to delete. Only that may be done by credentials that are gone: those that were
    /// seen last.
    pub is_leaving: bool,
}

/// A realm that is ready to be called.
#[derive(Clone, Debug)]
pub struct Resolved<R> {
    /// What calls are made on.
    pub remote: R,
    /// Why nothing new may be made or sent there for this namespace, if it may not: it is not allowed, or the provider config
    /// or its Secret is gone. What is there already is followed, revoked and deleted all the same.
    pub not_allowed: Option<Failure>,
    /// Why no configuration there may be taken over by its id, if none may.
    pub no_resource_ids: Option<Failure>,
}

/// The way to the world outside: all ports but clocks and chance.
pub trait Backend:
    Objects<AuthenticatorConfig> + Objects<EnrollmentRequest> + Referrers + Realms + Send + Sync + 'static
{
}

impl<B> Backend for B where
    B: Objects<AuthenticatorConfig> + Objects<EnrollmentRequest> + Referrers + Realms + Send + Sync + 'static
{
}

/// Time, chance, and whether this process may act.
pub trait Environment: Send + Sync {
    /// The wall clock. Shown to people and compared with the service's times; no safety rests on it alone.
    fn now(&self) -> Timestamp;

    /// The monotonic clock.
    fn monotonic(&self) -> Instant;

    /// The wall clock as it was when this process began, going on by the monotonic clock: a clock that is set while the
    /// process lives neither ends nor prolongs what is counted by this.
    fn steady(&self) -> Timestamp;

    /// A fresh random identifier, at most 64 characters.
    fn nonce(&self) -> String;

    /// A random number of at least 0 and below 1.
    fn chance(&self) -> f64;

    /// Whether a remote write may be started now. Not while the process is ending, nor when it does not lead.
    fn may_write(&self) -> bool;

    /// An email was sent, and its job is written down.
    fn email_sent(&self) {}
}
