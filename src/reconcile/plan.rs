//! The next step for an object of any kind: ordered rules, of which the first that has something to say decides. Pure: the
//! same input gives the same step, and conditions are no part of it.

use super::failure::Failure;
use super::outcome::Outcome;
use super::rules::{PlanInput, Rules};
use super::state::Sent;
use super::step::Step;
use super::wait::{Until, Wait};
use super::write_ahead::Record;
use crate::api::Reason;

/// How many lists have to miss a remote object before it counts as not there: either can miss one that is, such as while its
/// pages shift.
pub const LISTS: u32 = 2;

/// The next step.
pub fn plan<K: Rules>(input: &PlanInput<'_, K>) -> Step<K> {
    if let Some(step) = paused(input).or_else(|| undecodable(input)).or_else(|| sent(input)) {
        return step;
    }
    let step =
        doubt(input).or_else(|| deletion(input)).or_else(|| unprotected(input)).unwrap_or_else(|| K::proceed(input));
    unless_unwritable(input, step)
}

/// Nothing goes on while the object is paused, not even its deletion. What is in doubt or in flight is known as long as
/// before when work goes on.
fn paused<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    input.lifecycle().paused.then_some(Step::SetPaused)
}

/// By a spec that this version cannot decode, nothing is made, sent, looked for or revoked. What came of a call just now is
/// written down first. A deletion goes on by the status.
fn undecodable<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    let object = input.object();
    let answered = object.sent.as_ref().is_some_and(|sent| !matches!(sent.outcome, Outcome::InDoubt));
    let goes_on = input.is_deleting() || object.ticket || answered;
    let why = input.lifecycle().undecodable.as_ref().filter(|_| !goes_on)?;
    Some(Step::Wait(Wait::undecodable(why)))
}

/// The ticket in hand is used, once, and what came of it is written down.
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
                return Some(Step::Withdraw { record_id: record.id().to_owned(), say: Some(failure.phase()) });
            }
            Outcome::NotDone(failure) => return Some(input.failed(failure)),
            Outcome::InDoubt => {}
        }
    }
    // The service said no in a way that left a doubt, and the doubt is settled: it meant no.
    let is_over = standing.is_none() && K::is_send_pending(input) && !input.is_deleting();
    let refusal = object.refusal.as_deref().filter(|_| is_over)?;
    Some(input.failed(&refused(refusal)))
}

/// A call in doubt that turned out to have been refused.
pub fn refused(refusal: &str) -> Failure {
    Failure::refused(Reason::Refused, refusal)
}

/// The write-ahead record stands, so the call may have been made: look for what it made, and never make it again.
fn doubt<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    let record = K::record(input.status)?;
    let object = input.object();
    let step = if object.fresh { K::settle_doubt(input, record).unwrap_or_else(|step| step) } else { Step::Refresh };
    if !input.is_deleting() {
        return Some(step);
    }
    if object.unwritable.is_some() && matches!(step, Step::Record(_) | Step::Withdraw { .. }) {
        // It is known what became of it, and cannot be written down: what is there is revoked or deleted all the same.
        return None;
    }
    Some(K::delay_deletion(input, step))
}

/// An object that is being deleted takes what it stands for with it. One that only others keep is left to them.
fn deletion<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    if !input.is_deleting() {
        return None;
    }
    Some(if input.object().finalizer { K::finalize(input) } else { Step::Wait(Wait::silent(Until::Change)) })
}

/// Nothing is made or sent for an object that could vanish without a word.
fn unprotected<K: Rules>(input: &PlanInput<'_, K>) -> Option<Step<K>> {
    (!input.object().finalizer).then_some(Step::AddFinalizer)
}

/// What cannot be written down is not tried to be: it would be again at each reconcile. A deletion goes on without it.
fn unless_unwritable<K: Rules>(input: &PlanInput<'_, K>, step: Step<K>) -> Step<K> {
    match (&input.object().unwritable, step) {
        (Some(unwritable), Step::Record(_) | Step::Withdraw { .. }) if !input.is_deleting() => {
            Step::Wait(Wait::unwritable(unwritable))
        }
        (_, step) => step,
    }
}
