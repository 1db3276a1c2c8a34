//! What the shared planner and the shared reconcile loop need to know of a kind: its types, and its rules. All of it is pure;
//! what a kind does to the world outside is its [`Reconciler`](super::Reconciler).

use std::fmt::Debug;

use jiff::Timestamp;
use tokio::time::Instant;

use super::input::{Lifecycle, ObjectState, PlanInput, Sent};
use super::step::Step;
use super::{Memory, Times, WritesAhead};
use crate::api::Phase;
use crate::api::phase::Why;

/// A kind with a reconcile loop.
pub trait Kind: kube::Resource<DynamicType = ()> + WritesAhead + Debug + PartialEq + Send + Sync + 'static {
    /// Its name in metrics and in the turns at a tenant: the kind, in lower case.
    const CONTROLLER: &'static str;

    /// Its status.
    type Status: Clone + Debug + Default + Send + Sync;
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

    /// Its status, where it has one.
    fn status(&self) -> Option<&Self::Status>;
    /// What it asks for, where the cluster is of this name.
    fn desired(&self, cluster: &str) -> Self::Desired;
    /// The part of what it asks for that all kinds have.
    fn lifecycle(desired: &Self::Desired) -> &Lifecycle;
    /// The same, to be changed.
    fn lifecycle_mut(desired: &mut Self::Desired) -> &mut Lifecycle;
    /// The part of what is known that all kinds have.
    fn object_state(observed: &Self::Observed) -> &ObjectState<Self>;
    /// The generation that a status is about.
    fn seen_generation(status: &Self::Status) -> Option<i64>;
    /// The write-ahead record that stands in a status.
    fn standing_record(status: &Self::Status) -> Option<&Self::Record>;
    /// The remote object that a status names.
    fn remote_id(status: &Self::Status) -> Option<&str>;

    /// What is known now: what was fetched `before` in this reconcile, and what the object, the memory of this process and
    /// its clocks say.
    fn observe(before: Self::Observed, view: View<'_, Self>) -> Self::Observed;
    /// What stays known when the object asks for something else.
    fn unfetched(before: Self::Observed) -> Self::Observed;

    /// Whether there is more to do than to poll.
    fn is_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether the call of a write-ahead record has yet to be made, or to be found needless.
    fn is_send_pending(input: &PlanInput<'_, Self>) -> bool;
    /// Whether there is something to revoke or to delete.
    fn is_removing(input: &PlanInput<'_, Self>) -> bool;
    /// Whether something is asked for that the generation tells nothing of.
    fn asks_beside_the_spec(_: &PlanInput<'_, Self>) -> bool {
        false
    }
    /// The condition `RevokeRefused`, beside any phase.
    fn revoke_refused(_: &PlanInput<'_, Self>) -> Option<Why> {
        None
    }

    /// What is written down of a call that has made `created`.
    fn conclude(sent: &Sent<Self>, created: &Self::Created) -> Self::Change;
    /// Looks for what the call of `record` has made. `Err` and `Ok` are steps alike.
    fn settle_doubt(input: &PlanInput<'_, Self>, record: &Self::Record) -> Result<Step<Self>, Step<Self>>;
    /// What a step that settles a doubt means to an object that is being deleted.
    fn delay_deletion(input: &PlanInput<'_, Self>, step: Step<Self>) -> Step<Self>;
    /// The next step of a deletion.
    fn finalize(input: &PlanInput<'_, Self>) -> Step<Self>;
    /// The next step of an object that is not being deleted, of which nothing is in doubt.
    fn proceed(input: &PlanInput<'_, Self>) -> Step<Self>;

    /// Applies a change to the status. `false`: it does not apply any more, and nothing was changed.
    fn apply(&mut self, change: &Self::Change) -> bool;
    /// What the object's phase is once `change` was applied to it; `None` for a change that leaves the conditions as they are.
    fn phase_after(&self, change: &Self::Change) -> Option<Phase>;
}

/// What an observation is made of.
pub struct View<'a, K: Kind> {
    /// The state of the object.
    pub object: ObjectState<K>,
    /// What it asks for.
    pub desired: &'a K::Desired,
    /// Its status.
    pub status: &'a K::Status,
    /// What this process remembers of it.
    pub memory: &'a Memory,
    /// What the kind's shared state says of it.
    pub published: K::Published,
    /// The times to go by.
    pub times: &'a Times,
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock.
    pub monotonic: Instant,
}
