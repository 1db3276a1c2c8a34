//! How long a request takes until its email and its passkey, for the metrics.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::reconciler::RequestReconcile;
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::reconcile::Backend;

impl<B: Backend> RequestReconcile<'_, B> {
    /// The time since the creation of the request.
    pub(super) fn age(&self) -> Duration {
        let created = self.handle.object().metadata.creation_timestamp.as_ref();
        let age =
            created.and_then(|Time(created)| self.context.environment.now().duration_since(*created).try_into().ok());
        age.unwrap_or_default()
    }

    /// Counts the first passkey that a link of the request has bound. An adopted link may be older than the request.
    pub(super) fn count_enrolment(&self, job: &CredentialBindingJob) {
        let planned = &self.status;
        let is_current = planned.job_id.as_ref() == Some(&job.id) && planned.adopted != Some(true);
        let is_complete = |state: &Option<String>| state.as_deref() == Some(JobState::Complete.as_str());
        let before = is_complete(&planned.state) || planned.previous_jobs.iter().any(|job| is_complete(&job.state));
        if is_current && job.state == Some(JobState::Complete) && !before {
            self.context.environment.enrolled(self.age());
        }
    }
}
