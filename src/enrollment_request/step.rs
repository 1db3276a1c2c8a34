//! What can be done for a request, one thing at a time. Pure.

use super::change::Change;
use super::desired::Who;
use super::observed::Person;
use crate::api::enrollment_request::SendRecord;
use crate::api::{Phase, ProviderConfigRef};
use crate::reconcile::{Left, Wait};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Read the object from the API server: what the watch cache says may be behind.
    Refresh,
    /// Learn something from outside.
    Learn(Question),
    /// Make sure that no other request is about this person.
    Reserve(Person),
    /// Add the finalizer.
    AddFinalizer,
    /// Take the finalizer off, and let the object go.
    Release {
        /// What is left on the remote side.
        left: Option<Left>,
    },
    /// Write ahead what is about to be sent.
    WriteAhead(Box<SendRecord>, Phase),
    /// Send, with the ticket in hand.
    Post,
    /// Revoke a job.
    Revoke(JobRef),
    /// Write down what has come out, and say what it means.
    Record(Change),
    /// Take off the record of a send that was surely not carried out.
    Withdraw {
        /// The id of the record.
        send_id: String,
        /// What to say of it; `None` when what is owed is looked at anew at once.
        say: Option<Phase>,
    },
    /// Nothing more to do now.
    Wait(Wait),
}

/// What can be asked of the world outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The AuthenticatorConfig of this name.
    Config(String),
    /// The realm behind this provider config, and its credentials.
    Realm(ProviderConfigRef),
    /// The identity of this name.
    Identity(Who),
    /// All jobs of this identity.
    Jobs(String),
    /// One job.
    Job(JobRef),
}

/// Where a job is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    /// The identity it belongs to.
    pub identity_id: String,
    /// Its id.
    pub job_id: String,
}
