//! What the reconcile loops of all kinds share: the ports, the reconciler and its planner, the object handle, the
//! write-ahead record, the local state of each object, and the annotation actions.

pub mod annotations;
pub mod context;
pub mod deletion;
pub mod destination;
pub mod doubt;
pub mod end;
pub mod fact;
pub mod failure;
pub mod grace;
pub mod kind;
pub mod leftover;
pub mod lifecycle;
pub mod local_state;
pub mod object_handle;
pub mod options;
pub mod outcome;
pub mod permissions;
pub mod plan;
pub mod ports;
pub mod realm_rules;
pub mod reconciler;
pub mod remote;
pub mod result;
pub mod rules;
pub mod state;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
pub mod times;
pub mod turn_queue;
pub mod unwritable;
pub mod write_ahead;

pub use context::Context;
pub use destination::{Destination, RealmIds};
pub use end::{End, Requeue};
pub use fact::Fact;
pub use failure::{Failure, FailureKind};
pub use kind::{Kind, KindName, ObjectKey, ObjectUid};
pub use leftover::Leftover;
pub use lifecycle::Lifecycle;
pub use local_state::{LocalState, LocalStates};
pub use object_handle::{Interrupted, ObjectHandle};
pub use options::Options;
pub use outcome::Outcome;
pub use permissions::Permissions;
pub use ports::{Backend, Caller, Environment, EventToEmit, Objects, Realms, Referrers, Resolved, WriteError};
pub use realm_rules::RealmRules;
pub use reconciler::{Reconcile, Reconciler, reconcile};
pub use remote::Remote;
pub use result::{Ended, ReconcileResult};
pub use rules::{PlanInput, Rules, View};
pub use state::{ObjectState, ResolvedRealm, Sent};
pub use step::Step;
pub use times::Times;
pub use write_ahead::{Ticket, WritesAhead};
