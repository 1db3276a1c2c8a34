//! Finalize: the links of a deleted request are revoked, and then its finalizer is removed. A send in doubt is
//! settled first.

use std::time::Duration;

use super::input::{Input, SERVICE_CLOCK_MARGIN, Step};
use super::{doubt, revoke};
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::enrollment_request::job_state::is_outstanding;
use crate::enrollment_request::step::JobRef;
use crate::reconcile::deletion::delay_deletion_by;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{End, Fact, Leftover, Requeue};

pub(in crate::enrollment_request) fn rule(input: &Input<'_>) -> Step {
    finish(input).unwrap_or_else(|step| delaying(input, step, &active_links_message(input)))
}

/// Converts a step that settles a doubt into the step of a request that is being deleted.
pub(in crate::enrollment_request) fn delayed_by_doubt(input: &Input<'_>, step: Step) -> Step {
    let unknown = "it is not known whether the email was sent";
    match delaying(input, step, unknown) {
        // The jobs that the status names are revoked nevertheless.
        Step::RemoveFinalizer { leftover: Some(left) } => giving_up(input, &left),
        step => step,
    }
}

/// Removes the finalizer of a request that leaves `unknown` behind in any case. Before that, everything possible is
/// done about the jobs in its status.
fn giving_up(input: &Input<'_>, unknown: &Leftover) -> Step {
    match finish(input).unwrap_or_else(|step| delaying(input, step, &active_links_message(input))) {
        Step::RemoveFinalizer { leftover: None } => Step::RemoveFinalizer { leftover: Some(unknown.clone()) },
        Step::RemoveFinalizer { leftover: Some(Leftover::Retained(what) | Leftover::NotRemoved(what)) } => {
            let (Leftover::Retained(unknown) | Leftover::NotRemoved(unknown)) = unknown;
            Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(format!("{unknown}. {what}."))) }
        }
        step => step,
    }
}

fn finish(input: &Input<'_>) -> Result<Step, Step> {
    let jobs: Vec<JobRef> = outstanding(input).collect();
    let (kept, because) = if input.lifecycle().orphan {
        (jobs, "because of spec.deletionPolicy or --orphan-on-delete")
    } else {
        let (kept, to_revoke) = left_alone(input, jobs)?;
        let (ends, refused) = revoke::every(input, to_revoke)?;
        if let Some(end) = waited_for(input, ends, &refused) {
            return Err(Step::End(end));
        }
        (kept, "because it was adopted through a configuration that is only observed")
    };
    settled(input)?;
    let leftover = (!kept.is_empty()).then(|| {
        let jobs = kept.into_iter().map(|job| job.job_id).collect::<Vec<_>>().join(", ");
        Leftover::Retained(format!("The link of credential binding job {jobs} stays active {because}"))
    });
    Ok(Step::RemoveFinalizer { leftover })
}

/// The jobs that the deletion leaves alone, and the others.
fn left_alone(input: &Input<'_>, jobs: Vec<JobRef>) -> Result<(Vec<JobRef>, Vec<JobRef>), Step> {
    let (mut kept, mut others) = (Vec::new(), Vec::new());
    for job in jobs {
        let list = if revoke::is_left_alone(input, &job)? { &mut kept } else { &mut others };
        list.push(job);
    }
    Ok((kept, others))
}

/// What the deletion waits for. A problem that can resolve without manual action is waited for without a limit. So a
/// job that cannot be revoked does not end the wait for another job that can.
fn waited_for(input: &Input<'_>, ends: Vec<End>, refused: &[String]) -> Option<End> {
    let mut ends = ends;
    if !refused.is_empty()
        && let Step::End(end) = input.blocked(Reason::RevokeRefused, refused.join("; "))
    {
        ends.push(end);
    }
    let requeue = ends.iter().map(|end| end.requeue).reduce(Requeue::or_sooner)?;
    let needs_user_action = |end: &End| end.phase.as_ref().is_some_and(Phase::needs_user_action);
    let first = ends.iter().position(|end| !needs_user_action(end)).unwrap_or(0);
    Some(End { requeue, ..ends.swap_remove(first) })
}

/// The pending revocations, as a message.
fn active_links_message(input: &Input<'_>) -> String {
    let observed = input.observed;
    let works = |job: &JobRef| match observed.read.get(&job.job_id) {
        Some(Some(read)) => is_outstanding(read.item.state.as_ref().map(|state| state.as_str())),
        Some(None) | None => true,
    };
    let jobs: Vec<_> = outstanding(input).filter(works).map(|job| job.job_id).collect();
    format!("the link of credential binding job {} is not revoked", jobs.join(", "))
}

/// The jobs with active links that the status names. If the status can no longer be written, a job that the send in
/// doubt created is also included.
fn outstanding(input: &Input<'_>) -> impl Iterator<Item = JobRef> {
    let status = input.status;
    let unrecorded = status.send.iter().filter(|_| input.object().unwritable.is_some());
    let in_doubt = unrecorded.flat_map(|send| {
        let (identity_id, endpoint) = (&send.identity_id, &send.endpoint);
        let job = |job_id: String| JobRef { endpoint: endpoint.clone(), ..JobRef::new(identity_id, &job_id) };
        let made = doubt::made(input, send).into_iter().take(1);
        made.filter(|job| is_outstanding(job.state.as_ref().map(|state| state.as_str())))
            .map(move |made| job(made.id.clone()))
            .collect::<Vec<_>>()
    });
    revoke::earlier(status).chain(revoke::current(status)).chain(in_doubt)
}

/// Waits until every list must show the last job. Otherwise the next request of this name could take the job for its
/// own, or miss it and send again. One list that shows the job proves nothing about the next list, which may come
/// from another source. If the service itself reports the age of the job, a restart does not repeat the wait.
fn settled(input: &Input<'_>) -> Result<(), Step> {
    let status = input.status;
    if input.object().unwritable.is_some()
        && let (Some(send), Fact::Known(listed)) = (&status.send, &input.observed.jobs)
        && let Absent::ListAgainIn(left) = absent(listed.age, send.timeout(), input.times.settle)
    {
        return Err(wait_for_lists(left, input.times.settle));
    }
    let Some(job) = revoke::named(status) else { return Ok(()) };
    let left = input.times.settle.saturating_sub(input.observed.job_known_for);
    if left.is_zero() {
        return Ok(());
    }
    let wait = || Err(wait_for_lists(left, input.times.settle));
    let Some(created) = input.time(status.create_time.as_deref()) else { return wait() };
    let listed = match revoke::open(input).and_then(|reference| input.jobs(reference, &job.identity_id)) {
        Err(step @ (Step::Resolve(_) | Step::Fetch(_))) => return Err(step),
        Err(_) => return wait(),
        Ok(listed) => listed,
    };
    let age = listed.listed_at.and_then(|now| Duration::try_from(now.duration_since(created)).ok());
    if age.is_some_and(|age| age >= input.times.settle.saturating_add(SERVICE_CLOCK_MARGIN)) { Ok(()) } else { wait() }
}

fn wait_for_lists(left: Duration, settle: Duration) -> Step {
    let seconds = settle.as_secs();
    let message = format!(
        "Keeping the finalizer for at most {seconds} s, so that the next request of this name finds this job in the list"
    );
    let phase = Phase::Deleting { why: why(Reason::Deleting, message), blocked: false };
    Step::End(End::with_phase(phase, Requeue::After(left)))
}

/// Reports that a wait delays the deletion, and what is still pending.
fn delaying(input: &Input<'_>, step: Step, what: &str) -> Step {
    if let Step::End(End { phase: Some(Phase::JobNotFound(_) | Phase::Revoked { .. }), .. }) = step {
        let jobs: Vec<_> = outstanding(input).map(|job| job.job_id).collect();
        let left = format!(
            "The status does not name the realm of its jobs, so nothing was revoked, and the link of credential \
             binding job {} may still be valid; revoke it in Beyond Identity",
            jobs.join(", ")
        );
        return Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(left)) };
    }
    delay_deletion_by(input, step, what)
}
