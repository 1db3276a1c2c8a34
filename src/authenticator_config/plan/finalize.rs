//! Finalize: the remote configuration of a deleted object is deleted, once no request refers to the object any more.
//! A create in doubt is settled first.

use std::time::Duration;

use super::input::{Input, NO_FORMER, Step};
use crate::api::phase::why;
use crate::api::{AuthenticatorConfigStatus, Phase, Reason};
use crate::authenticator_config::step::{Action, Query};
use crate::reconcile::deletion::delay_deletion_by;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{End, Fact, Leftover, Requeue};

/// The maximum number of referrers that a message names.
const NAMED: usize = 3;

pub(in crate::authenticator_config) fn rule(input: &Input<'_>) -> Step {
    let id = input.status.id.as_deref().unwrap_or_default();
    let what = format!("authenticator configuration {id} is not deleted in Beyond Identity yet");
    finish(input).unwrap_or_else(|step| delay_deletion_by(input, step, &what))
}

/// Converts a step that settles a doubt into the step of an object that is being deleted.
pub(in crate::authenticator_config) fn delayed_by_doubt(input: &Input<'_>, step: Step) -> Step {
    delay_deletion_by(input, step, "it is not known whether the authenticator configuration was created")
}

fn finish(input: &Input<'_>) -> Result<Step, Step> {
    const REMOVE_FINALIZER: Step = Step::RemoveFinalizer { leftover: None };
    let Some(id) = config_to_delete(input)? else { return Ok(REMOVE_FINALIZER) };
    if input.desired.observe && input.lifecycle().undecodable.is_some() {
        // This version cannot decode whether the configuration was only observed.
        let what = format!(
            "Authenticator configuration {id} stays in Beyond Identity because this version cannot decode whether to \
             delete it; delete it there if it is no longer needed"
        );
        return Ok(Step::RemoveFinalizer { leftover: Some(Leftover::Retained(what)) });
    }
    if input.desired.observe {
        return Ok(REMOVE_FINALIZER);
    }
    if input.lifecycle().orphan {
        shown(input)?;
        let cause = match (&input.desired.resource_id, input.desired.deletion_policy) {
            (Some(_), None) => "because spec.resourceID names it and spec.deletionPolicy is not Delete",
            _ => "because of spec.deletionPolicy or --orphan-on-delete",
        };
        let what = format!("Authenticator configuration {id} stays in Beyond Identity {cause}");
        return Ok(Step::RemoveFinalizer { leftover: Some(Leftover::Retained(what)) });
    }
    match &input.observed.deleted {
        // A success response is not proof: only a read by id confirms the deletion.
        Some(Ok(())) => {
            return if input.current(id)?.is_none() { Ok(REMOVE_FINALIZER) } else { Err(still_there(input, id)) };
        }
        Some(Err(failure)) => return Err(input.failed(failure)),
        None => {}
    }
    unused(input)?;
    input.destination(input.recorded_realm().as_ref())?;
    input.resource_id_allowed()?;
    let Some(current) = input.current(id)? else {
        input.confirm_not_found(id)?;
        return Ok(REMOVE_FINALIZER);
    };
    if input.foreign_mark_in(current).is_some() {
        // Another object has adopted the configuration, so this object must not delete it.
        return Ok(REMOVE_FINALIZER);
    }
    if !input.object().fresh {
        // The watch may be behind: the object may be paused by now, or its configuration may have to stay.
        return Ok(Step::Refresh);
    }
    if !input.object().may_call_service {
        return Err(input.shutting_down(Reason::Deleting));
    }
    Ok(Step::Act(Action::Delete(id.clone())))
}

fn still_there(input: &Input<'_>, id: &str) -> Step {
    let message = format!(
        "The API accepted the deletion of authenticator configuration {id}, but the configuration still exists; if this \
         lasts, delete it in Beyond Identity"
    );
    input.blocked(Reason::InconsistentAnswers, message)
}

/// The configuration that the status names. If the status can no longer be written, the configuration that the create
/// in doubt created.
fn config_to_delete<'a>(input: &Input<'a>) -> Result<Option<&'a String>, Step> {
    match (input.status, &input.observed.listed) {
        (AuthenticatorConfigStatus { id: Some(id), .. }, _) => Ok(Some(id)),
        (AuthenticatorConfigStatus { create: Some(_), .. }, Fact::Known(listed)) => {
            Ok(input.ours(listed, NO_FORMER)?.map(|(config, _)| &config.id))
        }
        _ => Ok(None),
    }
}

/// Waits while a request that is not being deleted refers to the object. When the last such request is deleted, the
/// object is enqueued.
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
    Err(Step::End(End::with_phase(phase, Requeue::After(input.times.resync))))
}

/// Waits until every list must show a configuration that is kept. The next object of this name finds it by a list,
/// and would otherwise create another one. One list that shows it is not enough, because the next list may come from
/// another source.
fn shown(input: &Input<'_>) -> Result<(), Step> {
    let left = match (input.status, &input.observed.listed) {
        // The id could not be recorded. Only the time for which its create has been in doubt is known.
        (AuthenticatorConfigStatus { id: None, create: Some(record), .. }, Fact::Known(listed)) => {
            match absent(listed.age, record.timeout(), input.times.settle) {
                Absent::ListAgainIn(left) => left,
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
    Err(Step::End(End::with_phase(phase, Requeue::After(left))))
}
