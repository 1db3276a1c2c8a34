//! Send: the ticket in hand is used, once, and what came of it is written down.

use super::Facts;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::Sent;
use crate::enrollment_request::step::Step;
use crate::reconcile::{Outcome, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let observed = facts.observed;
    if observed.ticket {
        return Some(Step::Post);
    }
    let record = observed.status.send.as_ref().map(|send| &send.id);
    if let Some(Sent { send_id, outcome }) = &observed.sent {
        match outcome {
            Outcome::Done(job) => {
                let job = Box::new(job.clone());
                let change = Change::Conclude { send_id: send_id.clone(), job, answered: true, others: vec![] };
                return Some(Step::Record(change));
            }
            Outcome::NotDone(trouble) if record == Some(send_id) => {
                let say = Some(trouble.phase.clone());
                return Some(Step::Withdraw { send_id: send_id.clone(), say });
            }
            Outcome::NotDone(trouble) => return Some(facts.troubled(trouble)),
            Outcome::InDoubt => {}
        }
    }
    // The service said no in a way that left a doubt, and the doubt is settled: it meant no.
    let refusal =
        observed.refusal.as_deref().filter(|_| record.is_none() && facts.is_owed() && !facts.desired.deleting)?;
    Some(Step::Wait(Wait::saying(refused(refusal), Until::After(facts.times.resync))))
}

/// What is said when a send in doubt turned out to have been refused.
pub(super) fn refused(refusal: &str) -> Phase {
    Phase::Refused(why(Reason::Refused, refusal))
}
