//! Revoke: revokes active links that are no longer wanted, by the job ids in status. Each job is handled separately:
//! one that cannot be revoked does not keep another link alive.

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
use crate::reconcile::{End, Fact, RealmIds, Requeue};

/// The jobs of earlier attempts that have active links. Each request may have only one active link.
pub(super) fn earlier(status: &EnrollmentRequestStatus) -> impl Iterator<Item = JobRef> {
    let outstanding = status.previous_jobs.iter().filter(|job| is_outstanding(job.state.as_deref()));
    outstanding.map(|job| JobRef {
        identity_id: job.identity_id.clone(),
        job_id: job.id.clone(),
        endpoint: job.endpoint.clone(),
        expired: job.expired == Some(true),
        adopted_through_observe: job.adopted_through_observe == Some(true),
    })
}

/// The job in status. Its ids may have been modified outside the operator.
pub(in crate::enrollment_request) fn named(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    let id = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    let (identity_id, job_id) = (id(&status.identity_id)?, id(&status.job_id)?);
    let (endpoint, expired) = (status.endpoint.clone(), status.expired == Some(true));
    let adopted_through_observe = status.adopted_through_observe == Some(true);
    Some(JobRef { identity_id, job_id, endpoint, expired, adopted_through_observe })
}

/// The job in status, if its link is active.
pub(super) fn current(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    named(status).filter(|_| is_outstanding(status.state.as_deref()))
}

/// The job in status, if its link is active and the spec or an annotation requests its revocation.
fn unwanted(input: &Input<'_>) -> Option<JobRef> {
    current(input.status).filter(|_| input.desired.wants_revocation(input.status))
}

/// The jobs with active links that must be revoked.
pub fn to_revoke(input: &Input<'_>) -> Vec<JobRef> {
    let leaves = input.is_deleting() && !input.lifecycle().orphan;
    let current = if leaves { current(input.status) } else { unwanted(input) };
    earlier(input.status).chain(current).collect()
}

/// Revokes unwanted links regardless of other work: earlier links as soon as status names a newer link, and the
/// current link on request. `Err` is the next step. `Ok` is when to retry the links that cannot be revoked now. Such
/// links do not affect the progress of the request.
pub(super) fn rule(input: &Input<'_>) -> Result<Requeue, Step> {
    let (mut again, mut refused) = (Requeue::OnChange, false);
    for job in earlier(input.status) {
        match revoke_job(input, job.clone()) {
            Ok(RevokeOutcome::Inactive) => {}
            Ok(RevokeOutcome::Refused(_)) => refused = true,
            Err(Step::End(End { phase: Some(phase), .. })) if phase.needs_user_action() => {
                // The other conditions of the request stay unchanged. A separate condition reports that an unwanted
                // link is still active.
                return Err(Step::Act(Action::CannotRevoke(job, phase.why().message.clone())));
            }
            Err(Step::End(end)) => again = again.or_sooner(end.requeue),
            Err(step) => return Err(step),
        }
    }
    if refused {
        again = again.or_sooner(Requeue::After(input.times.resync));
    }
    // A request to revoke the link applies regardless of pending sends.
    let (unwanted_waits, refused) = every(input, unwanted(input))?;
    if !refused.is_empty() {
        again = again.or_sooner(Requeue::After(input.times.resync));
    }
    match unwanted_waits.into_iter().next() {
        Some(end) => Err(Step::End(End { requeue: end.requeue.or_sooner(again), ..end })),
        None => Ok(again),
    }
}

/// Handles each of `jobs`: `Err` is the next step for one of them. If no job has a next step, returns the waits, and
/// why the other jobs cannot be revoked.
pub(super) fn every(
    input: &Input<'_>,
    jobs: impl IntoIterator<Item = JobRef>,
) -> Result<(Vec<End>, Vec<String>), Step> {
    let (mut ends, mut refused) = (Vec::new(), Vec::new());
    for job in jobs {
        match revoke_job(input, job) {
            Ok(RevokeOutcome::Inactive) => {}
            Ok(RevokeOutcome::Refused(message)) => refused.push(message),
            Err(Step::End(end)) => ends.push(end),
            Err(step) => return Err(step),
        }
    }
    Ok((ends, refused))
}

/// The result for a job that needs no further step.
enum RevokeOutcome {
    /// Its link no longer works, or belongs to another request.
    Inactive,
    /// The job was recently found not to be revocable.
    Refused(String),
}

/// The next step until the link of `job` no longer works: revoke the job, and then read it.
fn revoke_job(input: &Input<'_>, job: JobRef) -> Result<RevokeOutcome, Step> {
    let observed = input.observed;
    if let Some(message) = observed.revoke_refused.get(&job.job_id) {
        // Revocation was tried. A link that has expired by the service's own clock no longer works.
        return Ok(if job.expired { RevokeOutcome::Inactive } else { RevokeOutcome::Refused(message.clone()) });
    }
    if observed.shared.contains(&job.job_id) {
        return Ok(RevokeOutcome::Inactive);
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
    // The watch may be behind: the job may be revoked by now, or its revocation may no longer be requested.
    let object = input.object();
    Err(match not_ours(input, &reference, &job) {
        _ if !object.fresh => Step::Refresh,
        Some(message) => Step::Act(Action::CannotRevoke(job, message)),
        None if object.may_call_service => Step::Act(Action::Revoke(reference, job)),
        None => being_revoked(),
    })
}

/// Whether a deletion leaves this job alone, because another team may have sent it: the provider config does not allow its
/// revocation, or cannot say so until somebody repairs it.
pub(super) fn is_left_alone(input: &Input<'_>, job: &JobRef) -> Result<bool, Step> {
    if !job.adopted_through_observe {
        return Ok(false);
    }
    match open(input) {
        Ok(reference) => Ok(not_ours(input, reference, job).is_some()),
        Err(Step::End(End { phase: Some(phase), .. })) if phase.needs_user_action() => Ok(true),
        Err(step) => Err(step),
    }
}

/// Why the provider config does not allow revoking this job, which another team may have sent.
fn not_ours(input: &Input<'_>, reference: &ProviderConfigRef, job: &JobRef) -> Option<String> {
    let permissions = &input.resolved(reference)?.permissions;
    let refusal = permissions.no_revoking_adopted.as_ref().filter(|_| job.adopted_through_observe)?;
    Some(refusal.why.message.clone())
}

/// The result for a job that was read after its revocation.
fn as_read(input: &Input<'_>, read: &ReadJob) -> Result<RevokeOutcome, Step> {
    let change = Change::UpdateFrom(Box::new(read.clone()));
    let is_out = is_outstanding(read.item.state.as_ref().map(JobState::as_str));
    if !skips_status(input) && change.changes(input.status) {
        Err(Step::Record(change))
    } else if is_out {
        // The service may accept a revocation before the job shows it.
        Err(being_revoked())
    } else {
        // The result can no longer be recorded.
        Ok(RevokeOutcome::Inactive)
    }
}

/// Whether a deletion continues without recording its results, because they are not stored.
fn skips_status(input: &Input<'_>) -> bool {
    input.is_deleting() && input.object().unwritable.is_some()
}

/// The result for a job that the service does not find by its id.
fn gone(input: &Input<'_>, job: JobRef) -> Result<RevokeOutcome, Step> {
    confirm_not_found(input, &job)?;
    let is_current = input.status.job_id.as_ref() == Some(&job.job_id);
    if is_current || skips_status(input) {
        return Ok(RevokeOutcome::Inactive);
    }
    Err(Step::Record(Change::Forget { job_id: job.job_id }))
}

/// Returns `Ok` if a list from the service that keeps the job confirms that the job no longer exists. A 404 for its
/// id is not enough for an irreversible action, because another service may have responded.
fn confirm_not_found(input: &Input<'_>, job: &JobRef) -> Result<(), Step> {
    let reference = open(input)?;
    // Another endpoint may belong to another service, which never had the job.
    input.same_realm(reference, None, job.endpoint.as_deref())?;
    let config_id = input.status.authenticator_config_id.as_deref();
    let recognized = recognize::service(input, reference, &job.identity_id, config_id.unwrap_or_default())?;
    if !recognized.identity {
        // The identity was deleted, and its jobs with it. The list of configurations has shown that the right service
        // responded.
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
    let phase = Phase::Progressing(why(Reason::Revoking, "The link is being revoked"));
    Step::End(End::with_phase(phase, Requeue::Backoff(None)))
}

/// Ensures that the recorded realm is resolved, and returns its provider config. If no attempt is concluded yet, both
/// come from the send in doubt.
pub(super) fn open<'a>(input: &Input<'a>) -> Result<&'a ProviderConfigRef, Step> {
    let status = &input.status;
    let concluded = status.provider_config_ref.as_ref().zip(input.recorded_realm());
    let in_doubt = status.send.as_ref().map(|send| {
        (&send.provider_config_ref, RealmIds { tenant_id: send.tenant_id.clone(), realm_id: send.realm_id.clone() })
    });
    let Some((reference, recorded)) = concluded.or(in_doubt) else {
        // The status was modified outside the operator. The job cannot be reached, and another send would be worse.
        let phase = phase::of_missing_job(input);
        return Err(Step::End(End::with_phase(phase, Requeue::OnChange)));
    };
    input.same_realm(reference, Some(&recorded), None)?;
    Ok(reference)
}
