//! What is known of a request, from fetched facts and from this process's local state. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::matching;
use super::observed::{LastPoll, Observed, Published, ReadJob};
use super::plan::input::Input;
use super::plan::to_revoke;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::reconcile::times::RETRY_REVOCATION_OF_DELETED;
use crate::reconcile::{Fact, LocalState, PlanInput, View};

impl Observed {
    /// Combines what was fetched `before` with what `view` shows.
    pub fn from(before: Self, view: View<'_, EnrollmentRequest>) -> Self {
        let View { object, desired, status, local_state, published, times, now, monotonic } = view;
        let Published { holds_send_slot, may_poll } = published;
        let job_id = status.job_id.as_deref();
        let mut observed = Self {
            poll: local_state.poll_of(job_id).map(|poll| LastPoll { found: poll.found }),
            may_poll,
            job_known_for: job_id.map(|id| local_state.remote_known_for(id, monotonic)).unwrap_or_default(),
            read_before: if before.read_before.is_empty() {
                local_state.own.read_before.clone()
            } else {
                before.read_before
            },
            holds_send_slot,
            object,
            ..before
        };
        let input = PlanInput { desired, status, observed: &observed, times, now };
        observed.revoke_refused = revoke_refused(&input, local_state, monotonic);
        observed
    }

    /// The jobs that were read by id before an attempt is concluded, and that can never be adopted. They need not be
    /// read again.
    pub fn cannot_be_adopted(
        &mut self,
        status: &EnrollmentRequestStatus,
        delivery_method: &str,
    ) -> BTreeMap<String, ReadJob> {
        let mut read = std::mem::take(&mut self.read_before);
        if status.attempt.is_some() {
            return BTreeMap::new();
        }
        if let Fact::Known(listed) = &self.jobs {
            // A service whose jobs have other ids in each list must not fill the memory.
            let ids: BTreeSet<&str> = listed.jobs.iter().map(|job| job.id.as_str()).collect();
            read.retain(|id, _| ids.contains(id.as_str()));
        }
        if let Fact::Known(key) = &self.reservation {
            let dead = |job: &ReadJob| !matching::is_adoptable(&job.item, key, delivery_method, job.server_time);
            let known = std::mem::take(&mut self.read).into_iter();
            read.extend(known.filter_map(|(id, job)| Some((id, job.filter(&dead)?))));
        }
        read
    }
}

/// The jobs that recently could not be revoked, and why.
fn revoke_refused(
    input: &Input<'_>,
    local_state: &LocalState<EnrollmentRequest>,
    monotonic: Instant,
) -> BTreeMap<String, String> {
    let (deleting, resync) = (input.is_deleting(), input.times.resync);
    // A deletion waits for the revocation, so it retries more often. One bad response then does not leave a link
    // behind.
    let again = if deleting { resync.min(RETRY_REVOCATION_OF_DELETED) } else { resync };
    let mut refused = local_state.own.revocations.refused_within(again, monotonic);
    let to_revoke = to_revoke(input);
    // A deletion also includes a job that its send in doubt created and that cannot be recorded.
    refused.retain(|job_id, _| {
        names(input.status, job_id) && (deleting || to_revoke.iter().any(|job| &job.job_id == job_id))
    });
    refused
}

/// Whether a status names this job, or may name it later.
pub(super) fn names(status: &EnrollmentRequestStatus, job_id: &str) -> bool {
    status.job_id.as_deref() == Some(job_id)
        || status.previous_jobs.iter().any(|job| job.id == job_id)
        || status.send.is_some()
}
