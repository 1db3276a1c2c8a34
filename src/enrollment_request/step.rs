//! What can be fetched for a request, and what only requests do. Pure.

use super::desired::IdentitySelector;
use super::enrollment_key::EnrollmentKey;
use crate::api::ProviderConfigRef;

/// What can be fetched from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// The AuthenticatorConfig of this name.
    Config(String),
    /// The identity of this name, through this provider config.
    Identity(ProviderConfigRef, IdentitySelector),
    /// All jobs of this identity, through this provider config. Where they were listed before in this reconcile, what that
    /// list showed stays.
    Jobs(ProviderConfigRef, String),
    /// One job, through this provider config.
    Job(ProviderConfigRef, JobRef),
    /// Whether a list of its identity's jobs still shows this job.
    IsListed(ProviderConfigRef, JobRef),
    /// Whether what answers behind this provider config is the service that the request's job is kept by.
    Recognize(ProviderConfigRef, Known),
}

/// What only requests do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make sure that no other request is about this person.
    Reserve(EnrollmentKey),
    /// Revoke a job, through this provider config.
    Revoke(ProviderConfigRef, JobRef),
    /// Remember, and set beside everything else, that a job cannot be revoked, and why.
    CannotRevoke(JobRef, String),
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
