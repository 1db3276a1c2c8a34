//! The steps of a reconcile, for objects of any kind. Pure.

use super::end::{End, Requeue};
use super::kind::Kind;
use super::leftover::Leftover;
use crate::api::{Phase, ProviderConfigRef};

/// One step of a reconcile.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<K: Kind> {
    /// Read the object from the API server, as the watch cache may be stale.
    Refresh,
    /// Resolve this provider config and its credentials.
    Resolve(ProviderConfigRef),
    /// Fetch remote facts.
    Fetch(K::Query),
    /// Add the finalizer.
    AddFinalizer,
    /// Remove the finalizer, which ends all work on the object.
    RemoveFinalizer {
        /// What remains in Beyond Identity.
        leftover: Option<Leftover>,
    },
    /// Write the record of the call that follows.
    WriteAhead(Box<K::Record>, Phase),
    /// Make that call, with the ticket of the record.
    Send,
    /// Remove the record of a call that was certainly not carried out.
    Withdraw {
        /// The id of the record.
        record_id: String,
        /// The phase to set conditions from; `None` if the pending work is planned again at once.
        phase: Option<Phase>,
    },
    /// Write a change to the status, with the conditions that result from it.
    Record(K::Change),
    /// Execute an action of this kind.
    Act(K::Action),
    /// Set the condition of a paused object.
    SetPaused,
    /// End the reconcile.
    End(End),
}

impl<K: Kind> Step<K> {
    /// The same step. An end reconciles again at `requeue` if that comes first.
    pub fn or_sooner(self, requeue: Requeue) -> Self {
        match self {
            Self::End(end) => Self::End(End { requeue: end.requeue.or_sooner(requeue), ..end }),
            step => step,
        }
    }
}
