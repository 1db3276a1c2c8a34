//! Leave: an object that is being deleted takes its remote configuration with it. (A create in doubt is
//! settled first.)

use super::Facts;
use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};
use crate::authenticator_config::step::Step;
use crate::reconcile::{Left, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    if !facts.desired.deleting {
        return None;
    }
    if !facts.observed.finalizer {
        return Some(Step::Wait(Wait { say: None, until: Until::Change }));
    }
    let id = facts.observed.status.id.as_deref().unwrap_or_default();
    let what = format!("the authenticator configuration {id} is still to be deleted in Beyond Identity");
    Some(leave(facts).unwrap_or_else(|step| holding_up(step, &what)))
}

fn leave(facts: &Facts<'_>) -> Result<Step, Step> {
    const NOTHING_LEFT: Step = Step::Release { left: None };
    let Some(id) = &facts.observed.status.id else { return Ok(NOTHING_LEFT) };
    if facts.desired.orphan {
        let what = format!("the authenticator configuration {id} stays in Beyond Identity, as --orphan-on-delete says");
        return Ok(Step::Release { left: Some(Left::Kept(what)) });
    }
    match &facts.observed.deleted {
        Some(Ok(())) => return Ok(NOTHING_LEFT),
        Some(Err(trouble)) => return Err(facts.troubled(trouble)),
        None => {}
    }
    facts.realm(facts.home().as_ref())?;
    let Some(current) = facts.current(id)? else { return Ok(NOTHING_LEFT) };
    if current.display_name.as_deref().and_then(|name| facts.desired.mark.stranger_on(name)).is_some() {
        // Another object has taken it over: it is not this one's to delete.
        return Ok(NOTHING_LEFT);
    }
    if facts.observed.may_write { Ok(Step::Delete(id.clone())) } else { Err(Facts::ending(Reason::Deleting)) }
}

/// Says of a wait that it holds up the deletion, and what is still to be done.
pub(super) fn holding_up(step: Step, what: &str) -> Step {
    let Step::Wait(Wait { say: Some(phase), until }) = step else { return step };
    let Why { reason, message } = phase.why();
    let blocked = matches!(phase, Phase::Blocked(_) | Phase::Refused(_));
    let reason = if blocked { Reason::DeletionBlocked } else { *reason };
    Step::Wait(Wait::saying(Phase::Deleting { why: why(reason, format!("{what}: {message}")), blocked }, until))
}
