//! Update: the configuration exists. At each change of the spec, and at the resync interval, it is compared with the
//! spec, and differences are corrected.

use super::input::{Input, Step};
use crate::api::Reason;
use crate::api::authenticator_config::OtherValue;
use crate::authenticator_config::change::Change;
use crate::authenticator_config::observed::Patched;
use crate::authenticator_config::phase::available;
use crate::authenticator_config::step::Action;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::{Destination, End, FailureKind, RealmIds, Requeue};

pub(super) fn rule(input: &Input<'_>) -> Option<Step> {
    let id = input.status.id.as_ref()?;
    Some(correct(input, id).unwrap_or_else(|step| settled(input, step)))
}

fn correct(input: &Input<'_>, id: &str) -> Result<Step, Step> {
    let recorded = input.recorded_realm();
    if let Err(step) = input.settings_allowed() {
        // It is no longer Available, so nothing is sent through it.
        return Ok(step);
    }
    if let (Some(left), Some(recorded), None) = (input.observed.compared, &recorded, &input.observed.patched) {
        return Ok(Step::End(End::with_phase(available(recorded), Requeue::After(left))));
    }
    let Destination { realm, endpoint } = input.destination(recorded.as_ref())?;
    let patched = match &input.observed.patched {
        Some(Ok(None)) => return Ok(done(input, realm)),
        Some(Err(failure)) => return Ok(input.failed(failure)),
        Some(Ok(Some(patched))) => Some(patched),
        None => None,
    };
    // After a PATCH, this is its answer.
    let Some(current) = input.current(id)? else {
        input.confirm_not_found(id)?;
        return Ok(Step::Record(Change::Forget { id: id.to_owned() }));
    };
    if input.status.endpoint.as_ref().is_some_and(|known| known != endpoint) {
        // The service has moved, or an earlier version wrote the status.
        let (id, realm, endpoint) = (id.to_owned(), realm.clone(), Some(endpoint.clone()));
        let (create_id, created_generation, duplicates) = (None, None, Vec::new());
        return Ok(Step::Record(Change::Adopt { create_id, id, realm, endpoint, created_generation, duplicates }));
    }
    if let Err(step) = input.adoptable(current) {
        return Ok(step);
    }
    if input.desired.observe {
        return Ok(done(input, realm));
    }
    let patch = input.desired.patch(current, input.status).filter(|_| patched.is_none());
    let Some(patch) = patch else {
        let record = record_set_fields(input, current).or_else(|| record_other_values(input, patched?, current));
        return Ok(record.unwrap_or_else(|| done(input, realm)));
    };
    input.allowed(&input.desired.provider_config_ref)?;
    input.resource_id_allowed()?;
    if !input.object().fresh {
        // The watch may be behind: the object may be paused by now, or its spec may have changed.
        return Ok(Step::Refresh);
    }
    if !input.object().may_call_service {
        return Ok(input.shutting_down(Reason::Updating));
    }
    // The status knows of a field before the service does, so that a crash in between does not forget it.
    Ok(record_set_fields(input, current).unwrap_or_else(|| Step::Act(Action::Patch(id.to_owned(), Box::new(patch)))))
}

/// Records the fields that this object sets or has set, if the status differs.
fn record_set_fields(input: &Input<'_>, current: &RemoteConfig) -> Option<Step> {
    let (id, fields) = (current.id.clone(), input.desired.set_fields_of(&input.status.set_fields, current));
    if fields == input.status.set_fields {
        return None;
    }
    // The watch may be behind: the spec may have changed.
    Some(if input.object().fresh { Step::Record(Change::SetFields { id, fields }) } else { Step::Refresh })
}

/// Records the values that the service keeps otherwise than they were sent, if the status differs. Only the answer to a
/// PATCH shows that: a value that is read later may be another writer's.
fn record_other_values(input: &Input<'_>, patched: &Patched, answer: &RemoteConfig) -> Option<Step> {
    let recorded = &input.status.other_values;
    let differences = input.desired.differences(answer, &input.status.set_fields);
    let values = input.desired.other_values(recorded, patched, &differences);
    if values == *recorded {
        return None;
    }
    let (id, generation) = (answer.id.clone(), input.lifecycle().generation);
    let is_new = |value: &OtherValue| values.contains(value) && !recorded.contains(value);
    let new = differences.iter().filter(|it| is_new(&it.other_value(generation)));
    let sentences: Vec<_> = new.map(|it| it.sentence(&patched.shown)).collect();
    let note = (!sentences.is_empty()).then(|| {
        format!(
            "The service keeps another value in authenticator configuration {id} than was sent: {}; it is not sent again \
             until the spec or that value changes",
            sentences.join("; ")
        )
    });
    Some(Step::Record(Change::OtherValues { id, values, note }))
}

fn done(input: &Input<'_>, realm: &RealmIds) -> Step {
    Step::End(End::with_phase(available(realm), Requeue::After(input.times.resync)))
}

/// A failed reconcile does not change the conditions of an object whose spec has not changed. After a restart, it is
/// not known yet whether any work is pending. A manual fix enqueues the object, or the problem resolves unseen.
fn settled(input: &Input<'_>, step: Step) -> Step {
    let Step::End(End { failure: Some(kind), requeue, .. }) = step else { return step };
    let requeue = match kind {
        FailureKind::Mismatch => return step,
        _ if !input.is_seen() => return step,
        FailureKind::Blocked | FailureKind::Refused => Requeue::After(input.times.resync),
        FailureKind::Transient | FailureKind::RateLimited => requeue,
    };
    Step::End(End { failure: Some(kind), ..End::keeping_conditions(requeue) })
}
