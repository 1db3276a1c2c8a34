//! Doubt: the write-ahead record exists, so the email may have been sent. This rule looks up the job of the send, and
//! never sends.

use jiff::Timestamp;

use super::input::{Input, Step};
use super::recognize;
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::matching;
use crate::enrollment_request::observed::JobList;
use crate::enrollment_request::step::Query;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::plan::{LISTS, refused};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{End, Fact, RealmIds, Requeue};

/// The reason and the message of a send in doubt.
pub(in crate::enrollment_request) const IN_DOUBT: (Reason, &str) = (
    Reason::SendInDoubt,
    "The service did not clearly confirm or refuse the send, so the email may have been sent; its job is being looked \
     up, and nothing is sent meanwhile",
);

/// Looks up the job of a send in doubt.
pub(in crate::enrollment_request) fn resolve(input: &Input<'_>, send: &SendRecord) -> Result<Step, Step> {
    if let Some(field) = invalid_field(send) {
        let phase = if input.lifecycle().undecodable.is_some() { unreadable(field) } else { edited(field) };
        return Ok(Step::End(End::with_phase(phase, Requeue::After(input.times.resync))));
    }
    let recorded = RealmIds { tenant_id: send.tenant_id.clone(), realm_id: send.realm_id.clone() };
    let reference = &send.provider_config_ref;
    input.same_realm(reference, Some(&recorded), send.endpoint.as_deref())?;
    let listed = input.jobs(reference, &send.identity_id)?;
    if let [job, others @ ..] = made(input, send).as_slice() {
        let change = Change::Conclude {
            send_id: send.id.clone(),
            job: Box::new((*job).clone()),
            answered: false,
            others: others.iter().map(|other| other.id.clone()).collect(),
        };
        return Ok(Step::Record(change));
    }
    Ok(match absent(listed.age, send.timeout(), input.times.settle) {
        Absent::ListAgainIn(pause) => {
            Step::End(End::with_phase(Phase::InDoubt(why(IN_DOUBT.0, IN_DOUBT.1)), Requeue::After(pause)))
        }
        Absent::Never => {
            // The service is recognized before the last list, so that the list comes from a recognized service.
            recognize::service(input, reference, &send.identity_id, &send.authenticator_config_id)?;
            if listed.lists < LISTS {
                // A list can miss an existing job, for example while its pages shift. Two lists do not miss the same
                // job.
                return Ok(Step::Fetch(Query::Jobs(reference.clone(), send.identity_id.clone())));
            }
            is_current(input, send, listed)?;
            let phase = input.object().refusal.as_deref().map(|message| refused(message).phase());
            Step::Withdraw { record_id: send.id.clone(), phase }
        }
    })
}

/// Checks that the lists are as new as the service's own clock must show by now. A list from a cache is older, and misses
/// the job.
fn is_current(input: &Input<'_>, send: &SendRecord, listed: &JobList) -> Result<(), Step> {
    let Some(listed_at) = listed.listed_at else { return Ok(()) };
    let settled = send.timeout().saturating_add(input.times.settle);
    let due = send.not_before.parse::<Timestamp>().ok().and_then(|at| at.checked_add(settled).ok());
    if due.is_some_and(|due| listed_at >= due) {
        return Ok(());
    }
    Err(input.blocked(
        Reason::InconsistentAnswers,
        format!(
            "A list of the identity's jobs is from {listed_at} by the service's clock, which is too early to show the \
             job of the send in doubt, so nothing is sent; a proxy may have returned it from a cache, or the clock is \
             wrong"
        ),
    ))
}

/// The jobs that the send in doubt may have created, as far as this reconcile knows them.
pub(super) fn made<'a>(input: &Input<'a>, send: &SendRecord) -> Vec<&'a CredentialBindingJob> {
    match &input.observed.jobs {
        Fact::Known(listed) => matching::created_by(listed, send, input.status),
        Fact::Unknown | Fact::Failed(_) => Vec::new(),
    }
}

/// The field of a record whose value the operator never writes. Such a record shows neither which job is its own nor
/// that no job is, so neither is concluded from it.
fn invalid_field(send: &SendRecord) -> Option<&'static str> {
    let SendRecord { id, tenant_id, realm_id, identity_id, authenticator_config_id, .. } = send;
    let ids = [
        ("id", id),
        ("tenantID", tenant_id),
        ("realmID", realm_id),
        ("identityID", identity_id),
        ("authenticatorConfigID", authenticator_config_id),
    ];
    let empty = ids.into_iter().find(|(_, id)| id.trim().is_empty()).map(|(field, _)| field);
    empty.or_else(|| send.not_before.parse::<Timestamp>().is_err().then_some("notBefore"))
}

/// The phase for a record that another version wrote.
fn unreadable(field: &str) -> Phase {
    Phase::Refused(why(
        Reason::StatusEdited,
        format!(
            "This version cannot decode status.send.{field}, which another version wrote, so the outcome of the send \
             is unknown and nothing is sent; run that version until the outcome is known"
        ),
    ))
}

fn edited(field: &str) -> Phase {
    Phase::Refused(why(
        Reason::StatusEdited,
        format!(
            "The field status.send.{field} was modified outside the operator, so the outcome of the send is unknown \
             and nothing is sent; with kubectl edit --subresource=status restore the field, or remove status.send if \
             no email was sent"
        ),
    ))
}
