//! The types of a kind. Its rules are its [`Rules`](super::Rules), what it does to the world outside is its
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
    /// Which kind it is.
    const NAME: KindName;

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

    /// What a process remembers of one object between two reconciles, beside what it remembers of all.
    type LocalState: Clone + Debug + Default + Send;

    /// What it asks for.
    fn desired(&self, options: &Options) -> Self::Desired;
    /// The part of what it asks for that all kinds have.
    fn lifecycle(desired: &Self::Desired) -> &Lifecycle;
    /// The remote object that a status names.
    fn remote_id(status: &Self::Status) -> Option<&str>;
    /// The realm that a status names.
    fn recorded_realm(status: &Self::Status) -> Option<RealmIds>;
    /// Forgets what would put off a reconcile that somebody asks for.
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

impl KindName {
    /// The name of its controller, in metrics.
    pub const fn controller(self) -> &'static str {
        match self {
            Self::AuthenticatorConfig => "authenticatorconfig",
            Self::EnrollmentRequest => "enrollmentrequest",
        }
    }
}
