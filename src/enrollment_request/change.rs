//! Changes to a request's status. A change applies to the current status, which may differ from the status that it
//! was planned for. It reports whether it still applies. Pure.

use jiff::Timestamp;

use super::enrollment_key::EnrollmentKey;
use super::job_state::{is_expired, is_outstanding};
use super::observed::ReadJob;
use super::phase;
use super::plan::input::Input;
use crate::api::enrollment_request::{PreviousJob, SendRecord, Skipped};
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, text};
use crate::beyond_identity::types::{CredentialBindingJob, DeliveryMethod, JobState};

/// The number of jobs of earlier attempts that status keeps. A job with an active link is kept beyond this number, and
/// [`MAX_ACTIVE_LINKS`] bounds these.
const PREVIOUS_JOBS: usize = 16;
/// The most active links of earlier attempts with which another email is sent. Together with [`PREVIOUS_JOBS`] it keeps
/// the list in status below the 64 jobs of the schema.
pub const MAX_ACTIVE_LINKS: usize = 16;

/// A change to status.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Concludes the attempt: the send with this id created this job.
    Conclude {
        /// The id of the write-ahead record.
        send_id: String,
        /// The job that the send created.
        job: Box<CredentialBindingJob>,
        /// Whether the service returned the job in its response. Otherwise a list showed the job, and only its fields
        /// show which request it belongs to.
        answered: bool,
        /// Other jobs that the send could have created. They are left alone, because they may not belong to this
        /// request.
        others: Vec<String>,
    },
    /// Concludes the attempt without a send: nothing was sent before, and nothing needs to be sent.
    ConcludeWithoutSend {
        /// The attempt.
        attempt: i64,
        /// The provider config that the attempt used.
        provider_config_ref: ProviderConfigRef,
        /// The base URL of the API of that provider config.
        endpoint: String,
        /// The enrolment key of the attempt.
        key: EnrollmentKey,
        /// What concludes the attempt.
        by: NoSendBecause,
    },
    /// Updates status from a job of the request that was read.
    UpdateFrom(Box<ReadJob>),
    /// Records the endpoint at which the current job was found.
    FoundAt {
        /// The job.
        job_id: String,
        /// The base URL of the API that has it.
        endpoint: String,
    },
    /// Removes the job of an earlier attempt, because the job no longer exists.
    Forget {
        /// The job.
        job_id: String,
    },
}

/// What concludes an attempt without a send.
#[derive(Clone, Debug, PartialEq)]
pub enum NoSendBecause {
    /// A job that already existed.
    Adopted {
        /// The job.
        read: Box<ReadJob>,
        /// Whether it was adopted through an observed configuration of a ClusterProviderConfig, so that another team may
        /// have sent it.
        through_observe: bool,
    },
    /// The reason why there is nothing to do.
    Skipped(Skipped),
}

impl Change {
    /// The phase of a request after this change. `None` if the change does not affect the phase, or while the request
    /// is being deleted.
    pub fn phase(&self, input: &Input<'_>) -> Option<Phase> {
        let affects_phase = match self {
            Self::Conclude { .. } | Self::ConcludeWithoutSend { .. } => true,
            Self::UpdateFrom(read) => input.status.job_id.as_ref() == Some(&read.item.id),
            Self::Forget { .. } | Self::FoundAt { .. } => false,
        };
        (affects_phase && !input.is_deleting()).then(|| phase::of_request(input))
    }

    /// Whether applying the change would modify this status.
    pub fn changes(&self, status: &EnrollmentRequestStatus) -> bool {
        let mut changed = status.clone();
        self.apply(&mut changed) && changed != *status
    }

    /// Applies the change. Returns `false`, and changes nothing, if the change no longer applies to this status.
    pub fn apply(&self, status: &mut EnrollmentRequestStatus) -> bool {
        match self {
            Self::Conclude { send_id, job, answered, others: _ } => {
                let Some(send) = status.send.take_if(|send| &send.id == send_id) else { return false };
                conclude(status, send, job);
                status.delivery_method = unknown_method(job).filter(|_| !answered);
                true
            }
            Self::ConcludeWithoutSend { attempt, provider_config_ref, endpoint, key, by } => {
                if status.attempt.is_some() || status.send.is_some() {
                    return false;
                }
                status.attempt = Some(*attempt);
                about(status, provider_config_ref.clone(), Some(endpoint.clone()), key.clone());
                match by {
                    NoSendBecause::Adopted { read, through_observe } => {
                        status.job_id = Some(read.item.id.clone());
                        status.adopted = Some(true);
                        status.adopted_through_observe = through_observe.then_some(true);
                        status.delivery_method = unknown_method(&read.item);
                        mirror(status, &read.item, read.server_time);
                    }
                    NoSendBecause::Skipped(why) => status.skipped = Some(*why),
                }
                true
            }
            Self::UpdateFrom(read) => {
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

/// Copies the target of the attempt from `send`, and its result from `job`. An earlier job moves to `previous_jobs`.
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
        let adopted_through_observe = status.adopted_through_observe.take();
        status.previous_jobs.insert(
            0,
            PreviousJob { id, identity_id, endpoint, state, expired, adopted_through_observe, delivery_method },
        );
        let mut place = 0..;
        status.previous_jobs.retain(|previous| {
            // An expired link opens nothing, whatever its state. Such links would otherwise grow without a bound.
            let is_active = is_outstanding(previous.state.as_deref()) && previous.expired != Some(true);
            place.next().is_some_and(|place| place < PREVIOUS_JOBS) || is_active
        });
    }
    status.attempt = Some(attempt);
    status.adopted = None;
    status.adopted_through_observe = None;
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

/// Records the enrolment key of the attempt, its provider config and its endpoint.
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

/// Copies the fields of a job to status, as the API returned them at `server_time` by its own clock.
fn mirror(status: &mut EnrollmentRequestStatus, job: &CredentialBindingJob, server_time: Option<Timestamp>) {
    let expired = match server_time {
        Some(_) => is_expired(job, server_time),
        // Without the service's own time, nothing new is known about the expiry.
        None => status.expired == Some(true) && status.expire_time == job.expire_time,
    };
    let works = is_outstanding(job.state.as_ref().map(JobState::as_str));
    status.expired = (expired && works).then_some(true);
    status.state = state_of(job);
    status.expire_time.clone_from(&job.expire_time);
    status.create_time.clone_from(&job.create_time);
    status.update_time.clone_from(&job.update_time);
    status.credential_id.clone_from(&job.credential_id);
}

/// The delivery method of a job, if this version does not know it. Then the operator cannot be certain which request
/// the job belongs to.
pub(super) fn unknown_method(job: &CredentialBindingJob) -> Option<String> {
    match &job.delivery_method {
        Some(DeliveryMethod::Other(method)) => Some(text::status_text(method)),
        Some(DeliveryMethod::Email | DeliveryMethod::Return) | None => None,
    }
}

fn state_of(job: &CredentialBindingJob) -> Option<String> {
    job.state.as_ref().map(|state| text::status_text(state.as_str()))
}
