//! What can be done for an object of any kind, one thing at a time. Pure.

use super::kind::Kind;
use super::left::Left;
use super::wait::{Until, Wait};
use crate::api::{Phase, ProviderConfigRef};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<K: Kind> {
    /// Read the object from the API server: what the watch cache says may be behind.
    Refresh,
    /// Find out where this provider config leads, and with which credentials.
    Resolve(ProviderConfigRef),
    /// Fetch something from outside.
    Fetch(K::Query),
    /// Add the finalizer.
    AddFinalizer,
    /// Remove the finalizer: nothing more is done for the object.
    RemoveFinalizer {
        /// What is left on the remote side.
        left: Option<Left>,
    },
    /// Write ahead the call that is about to be made.
    WriteAhead(Box<K::Record>, Phase),
    /// Make that call, with the ticket in hand.
    Send,
    /// Take off the record of a call that was surely not carried out.
    Withdraw {
        /// The id of the record.
        record_id: String,
        /// The phase to set conditions from; `None` when the pending work is planned anew at once.
        say: Option<Phase>,
    },
    /// Write a change into the status, and set conditions from what it means.
    Record(K::Change),
    /// Do something that only this kind does.
    Act(K::Action),
    /// Set the condition that an annotation has stopped all work on the object.
    SetPaused,
    /// Nothing more to do now.
    Wait(Wait),
}

impl<K: Kind> Step<K> {
    /// The same step; where it is a wait, one that ends when `until` says, if that comes first.
    pub fn or_sooner(self, until: Until) -> Self {
        match self {
            Self::Wait(wait) => Self::Wait(Wait { until: wait.until.or_sooner(until), ..wait }),
            step => step,
        }
    }
}
