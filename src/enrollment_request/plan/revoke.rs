//! Revoke: links that are out and should not be, by the ids in status. Each is worked on by itself: one that cannot be
//! revoked keeps no other one alive.

use super::input::{Input, Step};
use super::recognize;
use crate::api::phase::why;
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::JobState;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::job_state::is_outstanding;
use crate::enrollment_request::observed::ReadJob;
use crate::enrollment_request::phase;
use crate::enrollment_request::step::{Action, JobRef, Query};
use crate::reconcile::{Fact, RealmIds, Until, Wait};

/// The jobs of earlier attempts whose links are out. There is one live link for each request.
pub(super) fn earlier(status: &EnrollmentRequestStatus) -> impl Iterator<Item = JobRef> {
    let outstanding = status.previous_jobs.iter().filter(|job| is_outstanding(job.state.as_deref()));
    outstanding.map(|job| JobRef {
        identity_id: job.identity_id.clone(),
        job_id: job.id.clone(),
        endpoint: job.endpoint.clone(),
        expired: job.expired == Some(true),
    })
}

/// The job in status. Somebody may have edited what names it.
pub(super) fn named(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    let id = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    let (identity_id, job_id) = (id(&status.identity_id)?, id(&status.job_id)?);
    let (endpoint, expired) = (status.endpoint.clone(), status.expired == Some(true));
    Some(JobRef { identity_id, job_id, endpoint, expired })
}

/// The job in status, where its link is out.
pub(super) fn current(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    named(status).filter(|_| is_outstanding(status.state.as_deref()))
}

/// The job in status, where its link is out and the spec or an annotation asks for its end.
fn unwanted(input: &Input<'_>) -> Option<JobRef> {
    current(input.status).filter(|_| input.desired.wants_link_dead(input.status))
}

/// The jobs whose links are out and should not be.
pub fn to_revoke(input: &Input<'_>) -> Vec<JobRef> {
    let leaves = input.is_deleting() && !input.lifecycle().orphan;
    let current = if leaves { current(input.status) } else { unwanted(input) };
    earlier(input.status).chain(current).collect()
}

/// Revokes what has to be, whatever else there is to do: an earlier link as soon as a newer one stands in status, and the
/// current one where that is asked for. `Err` is the step to take; `Ok` says when to look again at those that cannot be
/// revoked just now, which does not change how the request gets on.
pub(super) fn rule(input: &Input<'_>) -> Result<Until, Step> {
    let (mut again, mut refused) = (Until::Change, false);
    for job in earlier(input.status) {
        match until_dead(input, job.clone()) {
            Ok(UntilDead::Dead) => {}
            Ok(UntilDead::Refused(_)) => refused = true,
            Err(Step::Wait(Wait { say: Some(phase), .. })) if phase.needs_a_person() => {
                // What is said of the request stays; that a link is out which should not be stands beside it.
                return Err(Step::Act(Action::CannotRevoke(job, phase.why().message.clone())));
            }
            Err(Step::Wait(wait)) => again = again.or_sooner(wait.until),
            Err(step) => return Err(step),
        }
    }
    if refused {
        again = again.or_sooner(Until::After(input.times.resync));
    }
    // Whoever names a link wants it dead, whatever else there is to send.
    let (unwanted_waits, refused) = every(input, unwanted(input))?;
    if !refused.is_empty() {
        again = again.or_sooner(Until::After(input.times.resync));
    }
    match unwanted_waits.into_iter().next() {
        Some(wait) => Err(Step::Wait(Wait { until: wait.until.or_sooner(again), ..wait })),
        None => Ok(again),
    }
}

/// Works on each of `jobs`: `Err` is the next thing to do for one of them. When nothing can be done for any of them,
/// answers what has to be waited for, and why the others cannot be revoked.
pub(super) fn every(
    input: &Input<'_>,
    jobs: impl IntoIterator<Item = JobRef>,
) -> Result<(Vec<Wait>, Vec<String>), Step> {
    let (mut waits, mut refused) = (Vec::new(), Vec::new());
    for job in jobs {
        match until_dead(input, job) {
            Ok(UntilDead::Dead) => {}
            Ok(UntilDead::Refused(said)) => refused.push(said),
            Err(Step::Wait(wait)) => waits.push(wait),
            Err(step) => return Err(step),
        }
    }
    Ok((waits, refused))
}

/// What there is to say of a job for which nothing is left to do.
enum UntilDead {
    /// Its link does not work any more, or is another request's.
    Dead,
    /// It cannot be revoked, as was found not long ago.
    Refused(String),
}

/// What to do until `job` is dead: revoke it, and read what became of it.
fn until_dead(input: &Input<'_>, job: JobRef) -> Result<UntilDead, Step> {
    let observed = input.observed;
    if let Some(said) = observed.revoke_refused.get(&job.job_id) {
        // It was tried; by the service's own clock the link does not work any more.
        return Ok(if job.expired { UntilDead::Dead } else { UntilDead::Refused(said.clone()) });
    }
    if observed.shared.contains(&job.job_id) {
        return Ok(UntilDead::Dead);
    }
    if let Some(failure) = observed.job_failures.get(&job.job_id) {
        return Err(input.failed(failure));
    }
    let was_revoked = observed.revoked.contains(&job.job_id);
    match observed.read.get(&job.job_id).filter(|_| was_revoked) {
        Some(Some(read)) => return as_read(input, read),
        Some(None) => return gone(input, job),
        None => {}
    }
    let reference = open(input)?.clone();
    if was_revoked {
        return Err(Step::Fetch(Query::Job(reference, job)));
    }
    // The watch may be behind: the job may be revoked by now, or that may have been taken back.
    Err(match (input.object().fresh, input.object().may_write) {
        (false, _) => Step::Refresh,
        (true, true) => Step::Act(Action::Revoke(reference, job)),
        (true, false) => being_revoked(),
    })
}

/// A job that was read after its revocation.
fn as_read(input: &Input<'_>, read: &ReadJob) -> Result<UntilDead, Step> {
    let change = Change::Follow(Box::new(read.clone()));
    let is_out = is_outstanding(read.item.state.as_ref().map(JobState::as_str));
    if !goes_unwritten(input) && change.changes(input.status) {
        Err(Step::Record(change))
    } else if is_out {
        // The service may take a revocation, and the job not show it yet.
        Err(being_revoked())
    } else {
        // It can be written down no more.
        Ok(UntilDead::Dead)
    }
}

/// Whether a deletion goes on without writing down what it has done, since that is not stored.
fn goes_unwritten(input: &Input<'_>) -> bool {
    input.is_deleting() && input.object().unwritable.is_some()
}

/// A job that the service does not know by its id.
fn gone(input: &Input<'_>, job: JobRef) -> Result<UntilDead, Step> {
    confirmed_gone(input, &job)?;
    let is_current = input.status.job_id.as_ref() == Some(&job.job_id);
    if is_current || goes_unwritten(input) {
        return Ok(UntilDead::Dead);
    }
    Err(Step::Record(Change::Forget { job_id: job.job_id }))
}

/// `Ok` when the service that keeps the job says by a list that it has it no more. That its id was answered with 404 is not
/// enough for what cannot be undone: what answers may be another service.
fn confirmed_gone(input: &Input<'_>, job: &JobRef) -> Result<(), Step> {
    let reference = open(input)?;
    // Another endpoint may be that of another service, which never had the job.
    input.same_realm(reference, None, job.endpoint.as_deref())?;
    let config_id = input.status.authenticator_config_id.as_deref();
    let recognized = recognize::service(input, reference, &job.identity_id, config_id.unwrap_or_default())?;
    if !recognized.identity {
        // The identity was removed, and its jobs with it; the list of configurations has shown whose answer that is.
        return Ok(());
    }
    match input.observed.listed.get(&job.job_id).unwrap_or(&Fact::Unknown) {
        Fact::Unknown => Err(Step::Fetch(Query::IsListed(reference.clone(), job.clone()))),
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Known(false) => Ok(()),
        Fact::Known(true) => Err(input.disagreeing(&job.job_id)),
    }
}

fn being_revoked() -> Step {
    let phase = Phase::AtWork(why(Reason::Revoking, "The link is being revoked"));
    Step::Wait(Wait::saying(phase, Until::Backoff(None)))
}

/// Makes sure that the realm in status is open, and answers the way there. Where nothing was concluded yet, that is the way of
/// the send in doubt.
pub(super) fn open<'a>(input: &Input<'a>) -> Result<&'a ProviderConfigRef, Step> {
    let status = &input.status;
    let concluded = status.provider_config_ref.as_ref().zip(input.recorded_realm());
    let in_doubt = status.send.as_ref().map(|send| {
        (&send.provider_config_ref, RealmIds { tenant_id: send.tenant_id.clone(), realm_id: send.realm_id.clone() })
    });
    let Some((reference, home)) = concluded.or(in_doubt) else {
        // Somebody has edited the status: there is no way to the job, and sending again would be worse.
        let phase = phase::of_missing_job(input);
        return Err(Step::Wait(Wait::saying(phase, Until::Change)));
    };
    input.same_realm(reference, Some(&home), None)?;
    Ok(reference)
}
