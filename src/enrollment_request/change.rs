//! The changes of a request's status. Each applies to the status as it stands then, which may be another one
//! than it was planned for, and says whether it still does. Pure.

use jiff::Timestamp;

use super::enrollment_key::EnrollmentKey;
use super::job_state::{is_expired, is_outstanding};
use super::observed::ReadJob;
use super::phase;
use super::plan::input::Input;
use crate::api::enrollment_request::{PreviousJob, SendRecord, Skipped};
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, text};
use crate::beyond_identity::types::{CredentialBindingJob, DeliveryMethod, JobState};

/// How many jobs of earlier attempts are kept. One whose link is out is kept beyond that: nothing is sent where there would be
/// more of these than that.
pub const PREVIOUS_JOBS: usize = 16;

/// A change of status.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The send of this id made this job: the attempt is concluded.
    Conclude {
        /// The id of the write-ahead record.
        send_id: String,
        /// The job that it made.
        job: Box<CredentialBindingJob>,
        /// Whether the service answered with the job. Otherwise a list showed it, and nobody but its fields says whose it is.
        answered: bool,
        /// Other jobs that it could have made. They are left alone, since they may be somebody else's.
        others: Vec<String>,
    },
    /// Nothing was sent before, and nothing needs to be: the attempt is concluded.
    Settle {
        /// The attempt.
        attempt: i64,
        /// The provider config that was gone through.
        provider_config_ref: ProviderConfigRef,
        /// The base URL of the API that it leads to.
        endpoint: String,
        /// Who it is about.
        key: EnrollmentKey,
        /// By what.
        by: SettledBy,
    },
    /// A job of the request was looked at.
    Follow(Box<ReadJob>),
    /// The current job was found at this endpoint.
    FoundAt {
        /// The job.
        job_id: String,
        /// The base URL of the API that has it.
        endpoint: String,
    },
    /// The job of an earlier attempt is gone.
    Forget {
        /// The job.
        job_id: String,
    },
}

/// What concludes an attempt for which nothing was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum SettledBy {
    /// A job that was there already.
    Adopted(Box<ReadJob>),
    /// There is nothing to do.
    Skipped(Skipped),
}

impl Change {
    /// The phase of a request to which this change has been applied; `None` for a change that says
    /// nothing, and while the request is being deleted.
    pub fn phase(&self, input: &Input<'_>) -> Option<Phase> {
        let says = match self {
            Self::Conclude { .. } | Self::Settle { .. } => true,
            Self::Follow(read) => input.status.job_id.as_ref() == Some(&read.item.id),
            Self::Forget { .. } | Self::FoundAt { .. } => false,
        };
        (says && !input.is_deleting()).then(|| phase::of_request(input))
    }

    /// Whether the change would change this status.
    pub fn changes(&self, status: &EnrollmentRequestStatus) -> bool {
        let mut changed = status.clone();
        self.apply(&mut changed) && changed != *status
    }

    /// Applies the change. `false`: it does not apply to this status any more, and nothing was changed.
    pub fn apply(&self, status: &mut EnrollmentRequestStatus) -> bool {
        match self {
            Self::Conclude { send_id, job, answered, others: _ } => {
                let Some(send) = status.send.take_if(|send| &send.id == send_id) else { return false };
                conclude(status, send, job);
                status.delivery_method = unknown_method(job).filter(|_| !answered);
                true
            }
            Self::Settle { attempt, provider_config_ref, endpoint, key, by } => {
                if status.attempt.is_some() || status.send.is_some() {
                    return false;
                }
                status.attempt = Some(*attempt);
                about(status, provider_config_ref.clone(), Some(endpoint.clone()), key.clone());
                match by {
                    SettledBy::Adopted(read) => {
                        status.job_id = Some(read.item.id.clone());
                        status.adopted = Some(true);
                        status.delivery_method = unknown_method(&read.item);
                        mirror(status, &read.item, read.server_time);
                    }
                    SettledBy::Skipped(why) => status.skipped = Some(*why),
                }
                true
            }
            Self::Follow(read) => {
                let job = &read.item;
                if status.job_id.as_deref() == Some(job.id.as_str()) {
                    mirror(status, job, read.server_time);
                    return true;
                }
                let previous = status.previous_jobs.iter_mut().find(|previous| previous.id == job.id);
                let is_over = is_expired(job, read.server_time);
                previous
                    .map(|previous| {
                        previous.state = state_of(job);
                        previous.expired = (is_over || previous.expired == Some(true)).then_some(true);
                    })
                    .is_some()
            }
            Self::FoundAt { job_id, endpoint } => {
                let is_current = status.job_id.as_ref() == Some(job_id);
                if is_current {
                    status.endpoint = Some(endpoint.clone());
                }
                is_current
            }
            Self::Forget { job_id } => {
                let before = status.previous_jobs.len();
                status.previous_jobs.retain(|previous| &previous.id != job_id);
                status.previous_jobs.len() < before
            }
        }
    }
}

/// Takes over from `send` what it was sent for, and from `job` what came of it. An earlier job steps back.
fn conclude(status: &mut EnrollmentRequestStatus, send: SendRecord, job: &CredentialBindingJob) {
    let SendRecord {
        id: _,
        attempt,
        resend_of: _,
        provider_config_ref,
        endpoint,
        tenant_id,
        realm_id,
        identity_id,
        authenticator_config_id,
        delivery_method: _,
        post_binding_redirect_uri: _,
        not_before: _,
        existing_job_ids: _,
        timeout_seconds: _,
    } = send;
    if let (Some(id), Some(identity_id)) = (status.job_id.take(), status.identity_id.take())
        && id != job.id
    {
        let (endpoint, state) = (status.endpoint.take(), status.state.take());
        let (expired, delivery_method) = (status.expired.take(), status.delivery_method.take());
        status.previous_jobs.insert(0, PreviousJob { id, identity_id, endpoint, state, expired, delivery_method });
        let mut place = 0..;
        status.previous_jobs.retain(|previous| {
            place.next().is_some_and(|place| place < PREVIOUS_JOBS) || is_outstanding(previous.state.as_deref())
        });
    }
    status.attempt = Some(attempt);
    status.adopted = None;
    status.skipped = None;
    about(
        status,
        provider_config_ref,
        endpoint,
        EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id },
    );
    status.job_id = Some(job.id.clone());
    status.expired = None;
    mirror(status, job, None);
}

/// Writes down who the attempt is about, and by which way.
fn about(
    status: &mut EnrollmentRequestStatus,
    provider_config_ref: ProviderConfigRef,
    endpoint: Option<String>,
    key: EnrollmentKey,
) {
    let EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id } = key;
    status.provider_config_ref = Some(provider_config_ref);
    status.endpoint = endpoint;
    status.tenant_id = Some(tenant_id);
    status.realm_id = Some(realm_id);
    status.identity_id = Some(identity_id);
    status.authenticator_config_id = Some(authenticator_config_id);
}

/// What is shown of a job, as the API wrote it at `server_time` by its own clock.
fn mirror(status: &mut EnrollmentRequestStatus, job: &CredentialBindingJob, server_time: Option<Timestamp>) {
    let shown = |value: Option<&str>| value.map(text::status_text);
    let expired = match server_time {
        Some(_) => is_expired(job, server_time),
        // Without a time of the service's own nothing new is known.
        None => status.expired == Some(true) && status.expire_time == shown(job.expire_time.as_deref()),
    };
    let works = is_outstanding(job.state.as_ref().map(JobState::as_str));
    status.expired = (expired && works).then_some(true);
    status.state = state_of(job);
    status.expire_time = shown(job.expire_time.as_deref());
    status.create_time = shown(job.create_time.as_deref());
    status.update_time = shown(job.update_time.as_deref());
    status.credential_id = shown(job.credential_id.as_deref());
}

/// The delivery method of a job, where this version does not know it: then nobody can tell for certain whose job it is.
pub(super) fn unknown_method(job: &CredentialBindingJob) -> Option<String> {
    match &job.delivery_method {
        Some(DeliveryMethod::Other(method)) => Some(text::status_text(method)),
        Some(DeliveryMethod::Email | DeliveryMethod::Return) | None => None,
    }
}

fn state_of(job: &CredentialBindingJob) -> Option<String> {
    job.state.as_ref().map(|state| text::status_text(state.as_str()))
}
