//! The types of a kind. Its rules are its [`Rules`](super::Rules), what it does to the world outside is its
//! [`Reconciler`](super::Reconciler).

use std::fmt::Debug;

use kube::core::object;

use super::lifecycle::Lifecycle;
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
    /// Its name in metrics and in the turns at a tenant: the kind, in lower case.
    const CONTROLLER: &'static str;

    /// What its spec and its metadata ask for.
    type Desired: Clone + Debug + PartialEq + Send + Sync;
    /// What is known of it besides, in one reconcile.
    type Observed: Debug + Default + Send + Sync;
    /// What can be fetched for it from outside.
    type Query: Clone + Debug + PartialEq + Send + Sync;
    /// What can be written into its status.
    type Change: Clone + Debug + PartialEq + Send + Sync;
    /// What only this kind does.
    type Action: Clone + Debug + PartialEq + Send + Sync;
    /// What the call of its write-ahead record makes.
    type Created: Clone + Debug + PartialEq + Send + Sync;
    /// What all objects of the kind share in a process.
    type Shared: Send + Sync;
    /// What that says of one object.
    type Published: Copy + Send;

    /// What it asks for, where the cluster is of this name.
    fn desired(&self, cluster: &str) -> Self::Desired;
    /// The part of what it asks for that all kinds have.
    fn lifecycle(desired: &Self::Desired) -> &Lifecycle;
    /// The same, to be changed.
    fn lifecycle_mut(desired: &mut Self::Desired) -> &mut Lifecycle;
    /// The write-ahead record that stands in a status.
    fn standing_record(status: &Self::Status) -> Option<&Self::Record>;
    /// The remote object that a status names.
    fn remote_id(status: &Self::Status) -> Option<&str>;
}
