//! Leave: an object that is being deleted takes its remote configuration with it, once nobody refers to it any more. (A
//! create in doubt is settled first.)

use super::Facts;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::step::{Question, Step};
use crate::reconcile::deletion::held_up;
use crate::reconcile::{Fact, Left, Until, Wait};

/// How many of those who refer to an object are named.
const NAMED: usize = 3;

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    if !facts.desired.is_deleting() {
        return None;
    }
    if !facts.observed.finalizer {
        return Some(Step::Wait(Wait { say: None, until: Until::Change }));
    }
    let id = facts.observed.status.id.as_deref().unwrap_or_default();
    let what = format!("the authenticator configuration {id} is still to be deleted in Beyond Identity");
    Some(leave(facts).unwrap_or_else(|step| holding_up(facts, step, &what)))
}

fn leave(facts: &Facts<'_>) -> Result<Step, Step> {
    const RELEASE: Step = Step::Release { left: None };
    let Some(id) = &facts.observed.status.id else { return Ok(RELEASE) };
    if facts.desired.observe {
        return Ok(RELEASE);
    }
    if facts.desired.orphan {
        shown(facts)?;
        let what = format!(
            "the authenticator configuration {id} stays in Beyond Identity, as spec.deletionPolicy or --orphan-on-delete says"
        );
        return Ok(Step::Release { left: Some(Left::Kept(what)) });
    }
    match &facts.observed.deleted {
        Some(Ok(())) => return Ok(RELEASE),
        Some(Err(trouble)) => return Err(facts.troubled(trouble)),
        None => {}
    }
    unused(facts)?;
    facts.realm(facts.home().as_ref())?;
    facts.resource_id_allowed()?;
    let Some(current) = facts.current(id)? else { return Ok(RELEASE) };
    if facts.desired.stranger_on(current).is_some() {
        // Another object has taken it over: it is not this one's to delete.
        return Ok(RELEASE);
    }
    if facts.observed.may_write { Ok(Step::Delete(id.clone())) } else { Err(Facts::ending(Reason::Deleting)) }
}

/// Waits while a request refers to the object that is not being deleted itself; the last one that goes wakes it.
fn unused(facts: &Facts<'_>) -> Result<(), Step> {
    let users = match &facts.observed.users {
        Fact::Unknown => return Err(Step::Learn(Question::Users)),
        Fact::Failed(trouble) => return Err(facts.troubled(trouble)),
        Fact::Known(users) if users.is_empty() => return Ok(()),
        Fact::Known(users) => users,
    };
    let named = users.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if users.len() > NAMED { " and others" } else { "" };
    let message = format!(
        "the deletion waits while this AuthenticatorConfig is referred to by EnrollmentRequest {named}{more}: delete what \
         refers to it first, or set deletionPolicy: Orphan to leave the configuration in Beyond Identity"
    );
    let phase = Phase::Deleting { why: why(Reason::InUse, message), blocked: false };
    Err(Step::Wait(Wait::saying(phase, Until::After(facts.times.resync))))
}

/// Waits until every list must show a configuration that is left: the next object of this name finds it by a list, and
/// would otherwise make another one. That one list has shown it is not enough, since the next may come from elsewhere.
fn shown(facts: &Facts<'_>) -> Result<(), Step> {
    let left = facts.times.settle.saturating_sub(facts.observed.known_for);
    if left.is_zero() {
        return Ok(());
    }
    let message = "the deletion waits until every list must show the configuration that is left in Beyond Identity";
    let phase = Phase::Deleting { why: why(Reason::Deleting, message), blocked: false };
    Err(Step::Wait(Wait::saying(phase, Until::After(left))))
}

/// Says of a wait that it holds up the deletion, and what is still to be done.
pub(super) fn holding_up(facts: &Facts<'_>, step: Step, what: &str) -> Step {
    let Step::Wait(wait) = step else { return step };
    match held_up(wait, facts.observed.patience, what) {
        Ok(wait) => Step::Wait(wait),
        Err(left) => Step::Release { left: Some(left) },
    }
}
