//! Leave: a request that is being deleted takes its link with it, and is let go. (One whose send is in doubt
//! is settled first.)

use super::Facts;
use super::revoke::{self, UntilDead};
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::enrollment_request::observed::Observed;
use crate::enrollment_request::step::{Question, Step};
use crate::reconcile::deletion::held_up;
use crate::reconcile::{Fact, Left, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    match (facts.desired.deleting, facts.observed.finalizer) {
        (false, _) => None,
        (true, false) => Some(Step::Wait(Wait { say: None, until: Until::Change })),
        (true, true) => Some(leave(facts).unwrap_or_else(|step| holding_up(facts, step, &link_is_out(facts)))),
    }
}

fn leave(facts: &Facts<'_>) -> Result<Step, Step> {
    let status = &facts.observed.status;
    for job in revoke::earlier(status).chain(revoke::current(status)).filter(|_| !facts.desired.orphan) {
        match revoke::until_dead(facts, job) {
            UntilDead::Do(step) => return Err(step),
            UntilDead::Refused(said) => {
                return Err(facts.blocked(Reason::RevokeRefused, said));
            }
            UntilDead::NotOurs => {}
        }
    }
    shown(facts)?;
    let kept: Vec<_> = outstanding(facts.observed).filter(|_| facts.desired.orphan).collect();
    let left = (!kept.is_empty()).then(|| {
        let jobs = kept.join(", ");
        Left::Kept(format!(
            "the link of credential binding job {jobs} stays valid, as spec.deletionPolicy or --orphan-on-delete says"
        ))
    });
    Ok(Step::Release { left })
}

/// What is still to be done.
fn link_is_out(facts: &Facts<'_>) -> String {
    let jobs: Vec<_> = outstanding(facts.observed).collect();
    format!("the link of credential binding job {} is not revoked yet", jobs.join(", "))
}

/// The jobs whose links are out.
fn outstanding(observed: &Observed) -> impl Iterator<Item = String> {
    revoke::earlier(&observed.status).chain(revoke::current(&observed.status)).map(|job| job.job_id)
}

/// Waits until a list has shown the last job, or must have: the next request of this name could otherwise take
/// it for its own.
fn shown(facts: &Facts<'_>) -> Result<(), Step> {
    let (Some(job_id), Some(identity_id)) = (&facts.observed.status.job_id, &facts.observed.status.identity_id) else {
        return Ok(());
    };
    let left = facts.times.settle.saturating_sub(facts.observed.job_known_for);
    if left.is_zero() {
        return Ok(());
    }
    let listed = match (revoke::open(facts), &facts.observed.jobs) {
        (Err(Step::Learn(question)), _) => return Err(Step::Learn(question)),
        (Ok(()), Fact::Unknown) => return Err(Step::Learn(Question::Jobs(identity_id.clone()))),
        (Ok(()), Fact::Known(listed)) => listed.jobs.iter().any(|job| &job.id == job_id),
        (Err(_), _) | (Ok(()), Fact::Failed(_)) => false,
    };
    if listed {
        return Ok(());
    }
    let message = "the deletion waits until a list of jobs must have shown the last one";
    let phase = Phase::Deleting { why: why(Reason::Deleting, message), blocked: false };
    Err(Step::Wait(Wait::saying(phase, Until::After(left))))
}

/// Says of a wait that it holds up the deletion, and what is still to be done.
pub(super) fn holding_up(facts: &Facts<'_>, step: Step, what: &str) -> Step {
    let Step::Wait(wait) = step else { return step };
    if let Some(phase @ (Phase::JobGone(_) | Phase::Revoked { .. })) = &wait.say {
        // The status does not say where its job is.
        return Step::Release { left: Some(Left::Behind(phase.why().message.clone())) };
    }
    match held_up(wait, facts.observed.patience, what) {
        Ok(wait) => Step::Wait(wait),
        Err(left) => Step::Release { left: Some(left) },
    }
}
