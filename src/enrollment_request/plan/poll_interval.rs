//! The interval until the next read of a job. It is calculated once, when the job is read.

use std::time::Duration;

use jiff::Timestamp;

use super::input::Input;
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::enrollment_request::job_state;
use crate::reconcile::PlanInput;

/// The interval until the next read of a job that was just read as `job`; `None` means on the next change. The
/// interval is a tenth of the job's age, because people click within minutes or after days. The job is read once more
/// when its link expires. A job that no longer exists (`job` is `None`) is read at the resync interval. A job without
/// a create time is as old as this process has `known` it.
pub fn interval(input: &Input<'_>, job: Option<&CredentialBindingJob>, known: Duration) -> Option<Duration> {
    let PlanInput { times, now, .. } = *input;
    let Some(job) = job else { return Some(times.resync) };
    if job_state::is_complete(job.state.as_ref().map(JobState::as_str)) {
        return None;
    }
    let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let since = |earlier: Timestamp, later: Timestamp| Duration::try_from(later.duration_since(earlier)).ok();
    let age = time(&job.create_time).and_then(|created| since(created, now)).unwrap_or(known);
    let max = times.job_poll_max.max(times.job_poll_min);
    let pause = (age / 10).clamp(times.job_poll_min, max);
    // After the expiry by the minimum interval, because the service's clock may be behind.
    let over = time(&job.expire_time).and_then(|at| at.checked_add(times.job_poll_min).ok());
    let left = over.and_then(|over| since(now, over)).filter(|left| !left.is_zero());
    Some(left.map_or(pause, |left| pause.min(left.max(times.job_poll_min))))
}
