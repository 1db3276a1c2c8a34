//! What the state of a job means for its link. Pure.

use jiff::Timestamp;

use crate::beyond_identity::types::{CredentialBindingJob, JobState};

/// Whether a job in this state need not be read again.
pub fn is_complete(state: Option<&str>) -> bool {
    state == Some(JobState::Complete.as_str())
}

/// Whether the link of a job in this state may still be used. An unknown state counts as active.
pub fn is_outstanding(state: Option<&str>) -> bool {
    match state.map(JobState::from) {
        None | Some(JobState::LinkSent | JobState::LinkOpened | JobState::RequestDelivered | JobState::Other(_)) => {
            true
        }
        Some(JobState::Complete | JobState::Expired | JobState::FailedToSend | JobState::Revoked) => false,
    }
}

/// Whether this job's link has expired by the service's own clock. Without a usable time, it has not.
pub fn is_expired(job: &CredentialBindingJob, server_time: Option<Timestamp>) -> bool {
    let expires = job.expire_time.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    expires.zip(server_time).is_some_and(|(expires, now)| expires <= now)
}
