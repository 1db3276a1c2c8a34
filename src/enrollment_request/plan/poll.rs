//! Poll: the attempt is concluded, and only the progress of the job is polled.

use super::input::{Input, Step};
use super::pending::is_send_pending;
use super::revoke;
use crate::api::{EnrollmentRequestStatus, Phase};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::LastPoll;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::{job_state, phase};
use crate::reconcile::{End, FailureKind, Requeue};

pub(super) fn rule(input: &Input<'_>) -> Option<Step> {
    if is_send_pending(input) {
        return None;
    }
    if input.observed.holds_send_slot && !input.object().fresh {
        // The request was about to send and no longer needs to, and other requests wait to know that. Only the API
        // server knows whether its write-ahead record is stored.
        return Some(Step::Refresh);
    }
    Some(follow(input, input.status).unwrap_or_else(|step| step))
}

fn follow(input: &Input<'_>, status: &EnrollmentRequestStatus) -> Result<Step, Step> {
    let is_complete = job_state::is_complete(status.state.as_deref());
    // A job in a final state is read once more on an explicit reconcile request.
    if status.skipped.is_some() || (is_complete && input.lifecycle().reconcile_requested.is_none()) {
        return Ok(Step::End(End::with_phase(phase::of_status(input), Requeue::OnChange)));
    }
    let Some(job) = revoke::named(status) else {
        // The status was modified outside the operator. There is no job to poll, and another send would be worse.
        return Ok(missing(input, Requeue::OnChange));
    };
    if let Some(end) = not_due(input) {
        return Ok(Step::End(end));
    }
    let reference = revoke::open(input).map_err(|step| unmoved(input, step))?;
    if let Some(failure) = input.observed.job_failures.get(&job.job_id) {
        return Err(unmoved(input, input.failed(failure)));
    }
    Ok(match input.observed.read.get(&job.job_id) {
        None => Step::Fetch(Query::Job(reference.clone(), job)),
        // A bound passkey remains, even if the service no longer has the job.
        Some(None) if is_complete => Step::End(End::with_phase(phase::of_status(input), Requeue::OnChange)),
        Some(None) => {
            // Another endpoint may belong to another service, which never had the job.
            input.same_realm(reference, None, status.endpoint.as_deref())?;
            missing(input, Requeue::OnChange)
        }
        Some(Some(read)) => {
            if let Some(endpoint) = input.moved(reference) {
                return Ok(Step::Record(Change::FoundAt { job_id: job.job_id, endpoint }));
            }
            let change = Change::UpdateFrom(Box::new(read.clone()));
            // A write without a change would be planned again without end.
            if change.changes(status) {
                Step::Record(change)
            } else {
                Step::End(End::with_phase(phase::of_status(input), Requeue::OnChange))
            }
        }
    })
}

fn missing(input: &Input<'_>, requeue: Requeue) -> Step {
    Step::End(End::with_phase(phase::of_missing_job(input), requeue))
}

/// A failed poll does not change the conditions of a settled request. Otherwise one expired token would mark
/// thousands of requests as failed. Only for a spec that no condition covers yet are they set from the status.
fn unmoved(input: &Input<'_>, step: Step) -> Step {
    let Step::End(end @ End { failure: Some(kind), .. }) = step else { return step };
    if kind == FailureKind::Mismatch {
        return Step::End(end);
    }
    Step::End(End { phase: (!input.is_seen()).then(|| as_last_seen(input)), ..end })
}

/// The phase that the last poll found.
fn as_last_seen(input: &Input<'_>) -> Phase {
    match input.observed.poll {
        Some(LastPoll { found: false, .. }) => phase::of_missing_job(input),
        _ => phase::of_status(input),
    }
}

/// The end of a reconcile that may not read the job yet. The watcher enqueues the request when it may.
fn not_due(input: &Input<'_>) -> Option<End> {
    let is_read = input.status.job_id.as_ref().is_some_and(|id| input.observed.read.contains_key(id));
    if is_read || input.observed.may_poll || input.lifecycle().reconcile_requested.is_some() {
        return None;
    }
    // Only this process knows whether the job was found. A new one keeps what the conditions say until it has read it.
    let is_known = input.observed.poll.is_some() || !input.is_seen();
    let phase = is_known.then(|| as_last_seen(input));
    Some(End { phase, ..End::keeping_conditions(Requeue::OnChange) })
}
