//! Leave: an object that is being deleted takes its remote configuration with it, once nobody refers to it any more. (A
//! create in doubt is settled first.)

use std::time::Duration;

use super::Facts;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfigStatus, Phase, Reason};
use crate::authenticator_config::step::{Question, Step};
use crate::reconcile::deletion::held_up;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::write_ahead::Record;
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
    let Some(id) = to_leave(facts)? else { return Ok(RELEASE) };
    if facts.desired.observe && facts.desired.undecodable.is_some() {
        // Whether it was only to be observed cannot be read.
        let what = format!(
            "the authenticator configuration {id} stays in Beyond Identity, since this version cannot read whether it is to be \
             deleted: if it is not needed any more, delete it there"
        );
        return Ok(Step::Release { left: Some(Left::Kept(what)) });
    }
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
        // Whatever answered so: what its id says now is what counts.
        Some(Ok(())) => return if facts.current(id)?.is_none() { Ok(RELEASE) } else { Err(still_there(facts, id)) },
        Some(Err(trouble)) => return Err(facts.troubled(trouble)),
        None => {}
    }
    unused(facts)?;
    facts.destination(facts.home().as_ref())?;
    facts.resource_id_allowed()?;
    let Some(current) = facts.current(id)? else {
        facts.confirmed_gone(id)?;
        return Ok(RELEASE);
    };
    if facts.desired.stranger_on(current).is_some() {
        // Another object has taken it over: it is not this one's to delete.
        return Ok(RELEASE);
    }
    if facts.observed.may_write { Ok(Step::Delete(id.clone())) } else { Err(Facts::ending(Reason::Deleting)) }
}

fn still_there(facts: &Facts<'_>, id: &str) -> Step {
    let message = format!("the service accepted to delete the authenticator configuration {id}, and still has it");
    facts.blocked(Reason::InconsistentAnswers, message)
}

/// The configuration that the status names, or where that cannot be written any more the one that the create in doubt has
/// made.
fn to_leave<'a>(facts: &Facts<'a>) -> Result<Option<&'a String>, Step> {
    match (&facts.observed.status, &facts.observed.listed) {
        (AuthenticatorConfigStatus { id: Some(id), .. }, _) => Ok(Some(id)),
        (AuthenticatorConfigStatus { create: Some(_), .. }, Fact::Known(listed)) => {
            Ok(facts.ours(listed)?.map(|config| &config.id))
        }
        _ => Ok(None),
    }
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
    let left = match (&facts.observed.status, &facts.observed.listed) {
        // It could not be written down: what is known is for how long its create has been in doubt.
        (AuthenticatorConfigStatus { id: None, create: Some(record), .. }, Fact::Known(listed)) => {
            match absent(listed.age, record.timeout(), facts.times.settle) {
                Absent::LookAgainIn(left) => left,
                Absent::Never => Duration::ZERO,
            }
        }
        _ => facts.times.settle.saturating_sub(facts.observed.known_for),
    };
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
