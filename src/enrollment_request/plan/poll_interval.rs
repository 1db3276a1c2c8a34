//! The interval until the next read of a job.

use std::time::Duration;

use jiff::Timestamp;

use super::input::Input;
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::enrollment_request::job_state;
use crate::reconcile::PlanInput;
use crate::reconcile::times::Times;

/// The interval until the next read of a job that was just read as `job`; `None` means on the next change. A job that no
/// longer exists (`job` is `None`) is read at the resync interval. A job without a create time is as old as this process
/// has `known` it.
pub fn interval(input: &Input<'_>, job: Option<&CredentialBindingJob>, known: Duration) -> Option<Duration> {
    let PlanInput { times, now, .. } = *input;
    let Some(job) = job else { return Some(times.resync) };
    if job_state::is_complete(job.state.as_ref().map(JobState::as_str)) {
        return None;
    }
    Some(of(time(job.create_time.as_deref()), time(job.expire_time.as_deref()), known, times, now))
}

/// A tenth of the job's age, because people click within minutes or after days. The job is read once more when its link
/// expires.
pub fn of(
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    known: Duration,
    times: &Times,
    now: Timestamp,
) -> Duration {
    let since = |earlier: Timestamp, later: Timestamp| Duration::try_from(later.duration_since(earlier)).ok();
    let age = created.and_then(|created| since(created, now)).unwrap_or(known);
    let max = times.job_poll_max.max(times.job_poll_min);
    let pause = (age / 10).clamp(times.job_poll_min, max);
    // After the expiry by the minimum interval, because the service's clock may be behind.
    let over = expires.and_then(|at| at.checked_add(times.job_poll_min).ok());
    let left = over.and_then(|over| since(now, over)).filter(|left| !left.is_zero());
    left.map_or(pause, |left| pause.min(left.max(times.job_poll_min)))
}

/// A time of the service.
pub fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}
