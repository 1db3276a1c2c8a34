//! Doubt: the write-ahead record stands, so the email may have been sent. Look for its job, and never send.

use jiff::Timestamp;

use super::{Facts, leave};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::matching;
use crate::enrollment_request::step::{Question, Step};
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{Fact, RealmIds, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let send = facts.observed.status.send.as_ref()?;
    let step = look(facts, send).unwrap_or_else(|step| step);
    let unknown = "it is not known whether the email was sent";
    Some(if facts.desired.deleting { leave::holding_up(facts, step, unknown) } else { step })
}

fn look(facts: &Facts<'_>, send: &SendRecord) -> Result<Step, Step> {
    let status = &facts.observed.status;
    if !facts.observed.fresh {
        return Ok(Step::Refresh);
    }
    if let Some(field) = nonsense(send) {
        return Ok(Step::Wait(Wait::saying(edited(field), Until::After(facts.times.resync))));
    }
    let home = RealmIds { tenant_id: send.tenant_id.clone(), realm_id: send.realm_id.clone() };
    facts.same_realm(&send.provider_config_ref, &home)?;
    let listed = match &facts.observed.jobs {
        Fact::Unknown => return Ok(Step::Learn(Question::Jobs(send.identity_id.clone()))),
        Fact::Failed(trouble) => return Err(facts.troubled(trouble)),
        Fact::Known(listed) => listed,
    };
    let made = matching::made_by(listed, send, status);
    if let [job, others @ ..] = made.as_slice() {
        let change = Change::Conclude {
            send_id: send.id.clone(),
            job: Box::new((*job).clone()),
            others: others.iter().map(|other| other.id.clone()).collect(),
        };
        return Ok(Step::Record(change));
    }
    Ok(match absent(listed.age, send.timeout(), facts.times.settle) {
        Absent::LookAgainIn(pause) => Step::Wait(Wait::saying(
            Phase::InDoubt(why(
                Reason::SendInDoubt,
                "the service did not answer clearly when the email was to be sent, so it may have been; its job is \
                 being looked for, and nothing is sent meanwhile",
            )),
            Until::After(pause),
        )),
        Absent::Never => {
            let say = facts.observed.refusal.as_deref().map(super::send::refused);
            Step::Withdraw { send_id: send.id.clone(), say }
        }
    })
}

/// The field of a record that the operator does not write like this. By such a record nobody can tell which job is its
/// own, nor that none is: neither is concluded from it.
fn nonsense(send: &SendRecord) -> Option<&'static str> {
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

fn edited(field: &str) -> Phase {
    Phase::Refused(why(
        Reason::StatusEdited,
        format!(
            "somebody has edited status.send.{field}, so nobody can tell whether the email was sent, and none is: with \
             kubectl edit --subresource=status put back what stood there, or take status.send out where none was sent"
        ),
    ))
}
