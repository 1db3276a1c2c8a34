//! Revoke: links that are out and should not be, by the ids in status.

use super::Facts;
use crate::api::phase::why;
use crate::api::{EnrollmentRequestStatus, Phase, Reason};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::desired::Desired;
use crate::enrollment_request::phase::{self, is_outstanding};
use crate::enrollment_request::step::{JobRef, Question, Step};
use crate::reconcile::{Until, Wait};

/// The jobs of earlier attempts whose links are out. There is one live link for each request.
pub(super) fn earlier(status: &EnrollmentRequestStatus) -> impl Iterator<Item = JobRef> {
    let outstanding = status.previous_jobs.iter().filter(|job| is_outstanding(job.state.as_deref()));
    outstanding.map(|job| JobRef { identity_id: job.identity_id.clone(), job_id: job.id.clone() })
}

/// The job in status. Somebody may have edited what names it.
pub(super) fn named(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    let id = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    Some(JobRef { identity_id: id(&status.identity_id)?, job_id: id(&status.job_id)? })
}

/// The job in status, where its link is out.
pub(super) fn current(status: &EnrollmentRequestStatus) -> Option<JobRef> {
    named(status).filter(|_| is_outstanding(status.state.as_deref()))
}

/// The job in status, where its link is out and the spec or an annotation asks for its end.
pub(super) fn unwanted(desired: &Desired, status: &EnrollmentRequestStatus) -> Option<JobRef> {
    current(status).filter(|_| desired.revoked || desired.wishes.revoke(status))
}

/// What it takes until a job is dead.
pub(super) enum UntilDead {
    /// This is to be done.
    Do(Step),
    /// Nothing: it is gone, or another request's.
    NotOurs,
    /// It cannot be revoked, as was found not long ago.
    Refused(String),
}

/// What to do until `job` is dead: revoke it, and read what became of it.
pub(super) fn until_dead(facts: &Facts<'_>, job: JobRef) -> UntilDead {
    match &facts.observed.revoke_refused {
        Some(said) => UntilDead::Refused(said.clone()),
        None => revoke(facts, job).unwrap_or_else(UntilDead::Do),
    }
}

fn revoke(facts: &Facts<'_>, job: JobRef) -> Result<UntilDead, Step> {
    let observed = facts.observed;
    if observed.shared.contains(&job.job_id) {
        return Ok(UntilDead::NotOurs);
    }
    open(facts)?;
    if let Some(trouble) = &observed.job_trouble {
        return Err(facts.troubled(trouble));
    }
    if !observed.revoked.contains(&job.job_id) {
        // The watch may be behind: the job may be revoked by now, or that may have been taken back.
        return Err(match (observed.fresh, observed.may_write) {
            (false, _) => Step::Refresh,
            (true, true) => Step::Revoke(job),
            (true, false) => being_revoked(),
        });
    }
    let is_current = observed.status.job_id.as_ref() == Some(&job.job_id);
    match observed.read.get(&job.job_id) {
        None => Err(Step::Learn(Question::Job(job))),
        Some(None) if is_current => Ok(UntilDead::NotOurs),
        Some(None) => Err(Step::Record(Change::Forget { job_id: job.job_id })),
        Some(Some(read)) => {
            let change = Change::Follow(Box::new(read.clone()));
            // The service may take a revocation, and the job not show it yet.
            Err(if change.changes(&observed.status) { Step::Record(change) } else { being_revoked() })
        }
    }
}

fn being_revoked() -> Step {
    let phase = Phase::AtWork(why(Reason::Revoking, "the link is being revoked"));
    Step::Wait(Wait::saying(phase, Until::Backoff(None)))
}

/// Makes sure that the realm in status is open.
pub(super) fn open(facts: &Facts<'_>) -> Result<(), Step> {
    let status = &facts.observed.status;
    let (Some(reference), Some(home)) = (&status.provider_config_ref, facts.home()) else {
        // Somebody has edited the status: there is no way to the job, and sending again would be worse.
        let phase = phase::of_missing_job(status, facts.desired);
        return Err(Step::Wait(Wait::saying(phase, Until::Change)));
    };
    facts.same_realm(reference, &home)
}
