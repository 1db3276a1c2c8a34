//! Leave: an object that is being deleted takes its remote configuration with it, once nobody refers to it any more. (A
//! create in doubt is settled first.)

use std::time::Duration;

use super::input::{Input, Step};
use crate::api::phase::why;
use crate::api::{AuthenticatorConfigStatus, Phase, Reason};
use crate::authenticator_config::step::{Action, Query};
use crate::reconcile::deletion::held_up;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{Fact, Left, Until, Wait};

/// How many of those who refer to an object are named.
const NAMED: usize = 3;

pub(in crate::authenticator_config) fn rule(input: &Input<'_>) -> Step {
    let id = input.status.id.as_deref().unwrap_or_default();
    let what = format!("authenticator configuration {id} is not deleted in Beyond Identity yet");
    leave(input).unwrap_or_else(|step| held_up(input, step, &what))
}

/// What a step that settles a doubt means to an object that is being deleted.
pub(in crate::authenticator_config) fn delayed_by_doubt(input: &Input<'_>, step: Step) -> Step {
    held_up(input, step, "it is not known whether the authenticator configuration was created")
}

fn leave(input: &Input<'_>) -> Result<Step, Step> {
    const RELEASE: Step = Step::RemoveFinalizer { left: None };
    let Some(id) = to_leave(input)? else { return Ok(RELEASE) };
    if input.desired.observe && input.lifecycle().undecodable.is_some() {
        // Whether it was only to be observed cannot be read.
        let what = format!(
            "Authenticator configuration {id} stays in Beyond Identity because this version cannot decode whether to \
             delete it; delete it there if it is no longer needed"
        );
        return Ok(Step::RemoveFinalizer { left: Some(Left::Kept(what)) });
    }
    if input.desired.observe {
        return Ok(RELEASE);
    }
    if input.lifecycle().orphan {
        shown(input)?;
        let what = format!(
            "Authenticator configuration {id} stays in Beyond Identity because of spec.deletionPolicy or \
             --orphan-on-delete"
        );
        return Ok(Step::RemoveFinalizer { left: Some(Left::Kept(what)) });
    }
    match &input.observed.deleted {
        // Whatever answered so: what its id says now is what counts.
        Some(Ok(())) => return if input.current(id)?.is_none() { Ok(RELEASE) } else { Err(still_there(input, id)) },
        Some(Err(failure)) => return Err(input.failed(failure)),
        None => {}
    }
    unused(input)?;
    input.destination(input.recorded_realm().as_ref())?;
    input.resource_id_allowed()?;
    let Some(current) = input.current(id)? else {
        input.confirmed_gone(id)?;
        return Ok(RELEASE);
    };
    if input.desired.stranger_on(current).is_some() {
        // Another object has taken it over: it is not this one's to delete.
        return Ok(RELEASE);
    }
    if !input.object().fresh {
        // The watch may be behind: the object may be paused by now, or what it stands for may be to stay.
        return Ok(Step::Refresh);
    }
    if !input.object().may_write {
        return Err(input.shutting_down(Reason::Deleting));
    }
    Ok(Step::Act(Action::Delete(id.clone())))
}

fn still_there(input: &Input<'_>, id: &str) -> Step {
    let message = format!(
        "The API accepted the deletion of authenticator configuration {id}, but the configuration still exists"
    );
    input.blocked(Reason::InconsistentAnswers, message)
}

/// The configuration that the status names, or where that cannot be written any more the one that the create in doubt has
/// made.
fn to_leave<'a>(input: &Input<'a>) -> Result<Option<&'a String>, Step> {
    match (input.status, &input.observed.listed) {
        (AuthenticatorConfigStatus { id: Some(id), .. }, _) => Ok(Some(id)),
        (AuthenticatorConfigStatus { create: Some(_), .. }, Fact::Known(listed)) => {
            Ok(input.ours(listed)?.map(|config| &config.id))
        }
        _ => Ok(None),
    }
}

/// Waits while a request refers to the object that is not being deleted itself; the last one that goes wakes it.
fn unused(input: &Input<'_>) -> Result<(), Step> {
    let referrers = match &input.observed.referrers {
        Fact::Unknown => return Err(Step::Fetch(Query::Referrers)),
        Fact::Failed(failure) => return Err(input.failed(failure)),
        Fact::Known(referrers) if referrers.is_empty() => return Ok(()),
        Fact::Known(referrers) => referrers,
    };
    let named = referrers.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if referrers.len() > NAMED { " and others" } else { "" };
    let message = format!(
        "Deletion is waiting because this AuthenticatorConfig is referenced by EnrollmentRequest {named}{more}; \
         delete what refers to it first, or set spec.deletionPolicy to Orphan to leave the configuration in Beyond \
         Identity"
    );
    let phase = Phase::Deleting { why: why(Reason::InUse, message), blocked: false };
    Err(Step::Wait(Wait::saying(phase, Until::After(input.times.resync))))
}

/// Waits until every list must show a configuration that is left: the next object of this name finds it by a list, and
/// would otherwise make another one. That one list has shown it is not enough, since the next may come from elsewhere.
fn shown(input: &Input<'_>) -> Result<(), Step> {
    let left = match (input.status, &input.observed.listed) {
        // It could not be written down: what is known is for how long its create has been in doubt.
        (AuthenticatorConfigStatus { id: None, create: Some(record), .. }, Fact::Known(listed)) => {
            match absent(listed.age, record.timeout(), input.times.settle) {
                Absent::LookAgainIn(left) => left,
                Absent::Never => Duration::ZERO,
            }
        }
        _ => input.times.settle.saturating_sub(input.observed.known_for),
    };
    if left.is_zero() {
        return Ok(());
    }
    let message = "Waiting until the configuration that stays in Beyond Identity is visible in configuration lists";
    let phase = Phase::Deleting { why: why(Reason::Deleting, message), blocked: false };
    Err(Step::Wait(Wait::saying(phase, Until::After(left))))
}
