//! What can be done for a request, one thing at a time. Pure.

use super::change::Change;
use super::desired::Who;
use super::observed::Person;
use crate::api::enrollment_request::SendRecord;
use crate::api::{Phase, ProviderConfigRef};
use crate::reconcile::{Left, Until, Wait};

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
    /// Revoke a job, through this provider config.
    Revoke(ProviderConfigRef, JobRef),
    /// Remember, and say beside everything else, that a job cannot be revoked, and why.
    CannotRevoke(JobRef, String),
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

impl Step {
    /// The same step; where it is a wait, one that ends when `until` says, if that comes first.
    pub fn or_sooner(self, until: Until) -> Self {
        match self {
            Self::Wait(wait) => Self::Wait(Wait { until: wait.until.or_sooner(until), ..wait }),
            step => step,
        }
    }
}

/// What can be asked of the world outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The AuthenticatorConfig of this name.
    Config(String),
    /// The realm behind this provider config, and its credentials.
    Realm(ProviderConfigRef),
    /// The identity of this name, through this provider config.
    Identity(ProviderConfigRef, Who),
    /// All jobs of this identity, through this provider config. Where they were listed before in this look, what that list
    /// showed stays.
    Jobs(ProviderConfigRef, String),
    /// One job, through this provider config.
    Job(ProviderConfigRef, JobRef),
    /// Whether a list of its identity's jobs still shows this job.
    IsListed(ProviderConfigRef, JobRef),
    /// Whether what answers behind this provider config is the service that the request's job is kept by.
    Recognize(ProviderConfigRef, Known),
}

/// What the service that keeps a request's job knows, too: it is recognized by either of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The id of the identity.
    pub identity_id: String,
    /// The id of the authenticator configuration.
    pub authenticator_config_id: String,
}

/// Where a job is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    /// The identity it belongs to.
    pub identity_id: String,
    /// Its id.
    pub job_id: String,
    /// The base URL of the API that has it, as far as that was written down.
    pub endpoint: Option<String>,
    /// Whether the time of its link is over by the service's own clock.
    pub expired: bool,
}
