//! The planner: the next step for an object of any kind.
//!
//! [`plan`] evaluates ordered rules, and the first rule that returns a step decides. Rules that all kinds share come
//! first: pause, undecodable spec, the outcome of a call, a call in doubt, deletion, finalizer. After them
//! [`Rules::proceed`] of the kind decides. The planner is pure: the same input gives the same step, and conditions are
//! not part of the input.

use super::end::{End, Requeue};
use super::failure::{Failure, FailureKind};
use super::outcome::Outcome;
use super::rules::{PlanInput, Rules};
use super::state::Sent;
use super::step::Step;
use super::write_ahead::Record;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::beyond_identity::MAY_HAVE_TAKEN_EFFECT;

/// How many lists must miss a remote resource before it counts as absent. One list can miss an existing object, for
/// example while its pages shift.
pub const LISTS: u32 = 2;

/// The next step.
pub fn plan<K: Rules>(input: &PlanInput<'_, K>) -> Step<K> {
    if let Some(step) = paused(input).or_else(|| undecodable(input)).or_else(|| sent(input)) {
        return step;
    }
    let step = doubt(input)
        .or_else(|| deletion(input))
        .or_else(|| ensure_finalizer(input))
        .unwrap_or_else(|| K::proceed(input));
    unless_unwritable(input, step)
}

/// A paused object makes no progress, not even with its deletion. The age of a call in doubt or in flight still counts
/// when work resumes.
fn paused<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    input.lifecycle().paused.then_some(Step::SetPaused)
}

/// A spec that this version cannot decode leads to no create, send, list or revocation. The outcome of a call that was
/// just made is recorded first. A deletion proceeds from the status.
fn undecodable<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    let object = input.object();
    let answered = object.sent.as_ref().is_some_and(|sent| !matches!(sent.outcome, Outcome::InDoubt));
    let goes_on = input.is_deleting() || object.ticket || answered;
    let why = input.lifecycle().undecodable.as_ref().filter(|_| !goes_on)?;
    Some(Step::End(End::undecodable(why)))
}

/// A ticket is used once, and the outcome of its call is recorded.
fn sent<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    let object = input.object();
    if object.ticket {
        return Some(Step::Send);
    }
    let standing = K::record(input.status).map(Record::id);
    if let Some(sent @ Sent { record, outcome }) = &object.sent {
        match outcome {
            Outcome::Done(created) => return Some(Step::Record(K::conclude(sent, created))),
            Outcome::NotDone(failure) if standing == Some(record.id()) => {
                return Some(Step::Withdraw { record_id: record.id().to_owned(), phase: Some(failure.phase()) });
            }
            Outcome::NotDone(failure) => return Some(input.failed(failure)),
            Outcome::InDoubt => {}
        }
    }
    // The service refused the call but left it in doubt, and the doubt is now settled: it was a refusal.
    let is_over = standing.is_none() && K::is_send_pending(input) && !input.is_deleting();
    let refusal = object.refusal.as_deref().filter(|_| is_over)?;
    Some(input.failed(&refused(refusal)))
}

/// The failure of a call in doubt that turned out to be refused.
pub fn refused(refusal: &str) -> Failure {
    Failure::refused(Reason::Refused, refusal.replace(MAY_HAVE_TAKEN_EFFECT, "; it had no effect"))
}

/// A write-ahead record means that the call may have been made: find the remote resource it created, and never repeat it.
fn doubt<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    let record = K::record(input.status)?;
    let object = input.object();
    let step = if object.fresh { K::resolve_doubt(input, record).unwrap_or_else(|step| step) } else { Step::Refresh };
    if !input.is_deleting() {
        return Some(still_in_doubt(step));
    }
    if object.unwritable.is_some() && matches!(step, Step::Record(_) | Step::Withdraw { .. }) {
        // The outcome is known but cannot be recorded. The remote resource is revoked or deleted all the same.
        return None;
    }
    Some(K::delay_deletion(input, step))
}

/// An outage does not hide the doubt: the conditions still report that the call may have been made.
fn still_in_doubt<K: Rules>(step: Step<K>) -> Step<K> {
    let Step::End(end @ End { failure: Some(FailureKind::Transient | FailureKind::RateLimited), .. }) = step else {
        return step;
    };
    let (reason, message) = K::IN_DOUBT;
    // The same text with and without a phase, or it would be written twice.
    let phase = end.phase.as_ref().filter(|_| end.failure == Some(FailureKind::Transient));
    let cause = phase.map_or("the service limits the request rate", |phase| &phase.why().message);
    let phase = Phase::InDoubt(why(reason, format!("{message}: {cause}")));
    Step::End(End { phase: Some(phase), ..end })
}

/// Deletes or revokes the remote resources of an object that is being deleted. An object that only foreign finalizers
/// retain is left to their owners.
fn deletion<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    if !input.is_deleting() {
        return None;
    }
    Some(if input.object().finalizer {
        K::finalize(input)
    } else {
        Step::End(End::keeping_conditions(Requeue::OnChange))
    })
}

/// Nothing is created or sent for an object without a finalizer, since it could be deleted unnoticed.
fn ensure_finalizer<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    (!input.object().finalizer).then_some(Step::AddFinalizer)
}

/// Skips a write that the API server refuses, which would otherwise repeat at each reconcile. A deletion continues
/// without it.
fn unless_unwritable<K: Rules>(input: &PlanInput<'_, K>, step: Step<K>) -> Step<K> {
    match (&input.object().unwritable, step) {
        (Some(unwritable), Step::Record(_) | Step::Withdraw { .. }) if !input.is_deleting() => {
            Step::End(End::unwritable(unwritable))
        }
        (_, step) => step,
    }
}
