//! Queries for a request, and actions that only requests have. Pure.

use super::desired::IdentitySelector;
use super::enrollment_key::EnrollmentKey;
use crate::api::ProviderConfigRef;

/// A query for a fact that the plan needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// The AuthenticatorConfig of this name.
    Config(String),
    /// The identity that this selector names, through this provider config.
    Identity(ProviderConfigRef, IdentitySelector),
    /// All jobs of this identity, through this provider config. Jobs from an earlier list of the same reconcile are
    /// kept.
    Jobs(ProviderConfigRef, String),
    /// One job, through this provider config.
    Job(ProviderConfigRef, JobRef),
    /// Whether a list of its identity's jobs still shows this job.
    IsListed(ProviderConfigRef, JobRef),
    /// Whether the service behind this provider config is the service that keeps the request's job.
    Recognize(ProviderConfigRef, RecognizableIds),
}

/// An action that only requests have.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Reserve this enrolment key, so that no other request can hold it.
    Reserve(EnrollmentKey),
    /// Take the send turn of this provider config, which allows this number of emails an hour.
    TakeSendTurn(ProviderConfigRef, i32),
    /// Revoke a job, through this provider config.
    Revoke(ProviderConfigRef, JobRef),
    /// Record that a job cannot be revoked, and why, and report it beside the other conditions.
    CannotRevoke(JobRef, String),
}

/// Ids that the service that keeps a request's job also knows. Either of them identifies that service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecognizableIds {
    /// The id of the identity.
    pub identity_id: String,
    /// The id of the authenticator configuration.
    pub authenticator_config_id: String,
}

/// The location of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRef {
    /// The identity that the job belongs to.
    pub identity_id: String,
    /// Its id.
    pub job_id: String,
    /// The base URL of the API that has the job, if it is recorded.
    pub endpoint: Option<String>,
    /// Whether its link has expired by the service's own clock.
    pub expired: bool,
    /// Whether it was adopted through an observed configuration.
    pub adopted_through_observe: bool,
}

impl JobRef {
    /// A job that was listed, and of which nothing is recorded.
    pub fn new(identity_id: &str, job_id: &str) -> Self {
        Self {
            identity_id: identity_id.to_owned(),
            job_id: job_id.to_owned(),
            endpoint: None,
            expired: false,
            adopted_through_observe: false,
        }
    }
}
