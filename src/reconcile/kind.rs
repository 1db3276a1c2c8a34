//! The types of a kind. Its rules are in [`Rules`](super::Rules), its side effects in
//! [`Reconciler`](super::Reconciler).

use std::fmt::Debug;

use kube::core::object;

use super::destination::RealmIds;
use super::lifecycle::Lifecycle;
use super::options::Options;
use super::write_ahead::WritesAhead;
use crate::api::status::CommonStatus;

/// A kind with a reconcile loop.
pub trait Kind:
    kube::Resource<DynamicType = ()>
    + object::HasStatus<Status: CommonStatus + Send + Sync>
    + WritesAhead
    + Debug
    + PartialEq
    + Send
    + Sync
    + 'static
{
    /// The name of the kind.
    const NAME: KindName;

    /// The desired state, from its spec and metadata.
    type Desired: Clone + Debug + PartialEq + Send + Sync;
    /// The facts observed in one reconcile.
    type Observed: Debug + Default + Send + Sync;
    /// A query for remote facts.
    type Query: Clone + Debug + PartialEq + Send + Sync;
    /// A change of its status.
    type Change: Clone + Debug + PartialEq + Send + Sync;
    /// An action that only this kind has.
    type Action: Clone + Debug + PartialEq + Send + Sync;
    /// The result of the call of its write-ahead record.
    type Created: Clone + Debug + PartialEq + Send + Sync;
    /// The state that all objects of the kind share in a process.
    type Shared: Send + Sync;
    /// What the shared state reports for one object.
    type Published: Copy + Send;

    /// The local state of one object that is specific to the kind.
    type LocalState: Clone + Debug + Default + Send;

    /// The desired state.
    fn desired(&self, options: &Options) -> Self::Desired;
    /// The part of the desired state that all kinds share.
    fn lifecycle(desired: &Self::Desired) -> &Lifecycle;
    /// The id of the remote resource in a status.
    fn remote_id(status: &Self::Status) -> Option<&str>;
    /// The realm recorded in a status.
    fn recorded_realm(status: &Self::Status) -> Option<RealmIds>;
    /// Whether the local state that is specific to the kind has anything in it.
    fn has_state(_: &Self::LocalState) -> bool {
        false
    }
    /// Clears what would delay a requested reconcile.
    fn retry_now(_: &mut Self::LocalState) {}
}

/// The kinds with a reconcile loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KindName {
    /// The AuthenticatorConfig.
    AuthenticatorConfig,
    /// The EnrollmentRequest.
    EnrollmentRequest,
}

/// An object of any kind, by its name. An object that is created again under the same name has the same key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: KindName,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// The key of `object`.
    pub fn of<K: Kind>(object: &K) -> Self {
        let meta = object.meta();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            kind: K::NAME,
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

/// An object of a known kind, by its uid, which may no longer exist. An object that is created again under the same name
/// is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectUid {
    /// Its uid.
    pub uid: String,
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectUid {
    /// The uid of `object`, with its name.
    pub fn of(object: &impl kube::Resource) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl KindName {
    /// The name of its controller, in metrics.
    pub const fn controller(self) -> &'static str {
        match self {
            Self::AuthenticatorConfig => "authenticatorconfig",
            Self::EnrollmentRequest => "enrollmentrequest",
        }
    }
}
