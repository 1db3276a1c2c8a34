//! Create: the ticket in hand is used, once, and what came of it is written down.

use super::Facts;
use crate::api::Phase;
use crate::api::Reason;
use crate::api::phase::why;
use crate::authenticator_config::change::Change;
use crate::authenticator_config::observed::Created;
use crate::authenticator_config::step::Step;
use crate::reconcile::{Outcome, RealmIds, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let observed = facts.observed;
    if observed.ticket {
        return Some(Step::Create);
    }
    let standing = observed.status.create.as_ref().map(|record| &record.id);
    if let Some(Created { record, outcome }) = &observed.created {
        let create_id = record.id.clone();
        match outcome {
            Outcome::Done(config) => {
                let realm = RealmIds { tenant_id: record.tenant_id.clone(), realm_id: record.realm_id.clone() };
                let phase = available(&realm);
                let (id, endpoint) = (config.id.clone(), record.endpoint.clone());
                let change = Change::Take { create_id: Some(create_id), id, realm, endpoint };
                return Some(Step::Record(change, Some(phase)));
            }
            Outcome::NotDone(trouble) if standing == Some(&create_id) => {
                return Some(Step::Record(Change::Withdraw { create_id }, Some(trouble.phase.clone())));
            }
            Outcome::NotDone(trouble) => return Some(facts.troubled(trouble)),
            Outcome::InDoubt => {}
        }
    }
    // The service said no in a way that left a doubt, and the doubt is settled: it meant no.
    let refusal = observed
        .refusal
        .as_deref()
        .filter(|_| standing.is_none() && observed.status.id.is_none() && !facts.desired.is_deleting())?;
    Some(Step::Wait(Wait::saying(refused(refusal), Until::After(facts.times.resync))))
}

/// What is said when a create in doubt turned out to have been refused.
pub(super) fn refused(refusal: &str) -> Phase {
    Phase::Refused(why(Reason::Refused, refusal))
}

/// What is said when the remote side is as the spec says.
pub(super) fn available(realm: &RealmIds) -> Phase {
    let RealmIds { tenant_id, realm_id } = realm;
    Phase::Available(why(
        Reason::Available,
        format!("the configuration stands in realm {realm_id} of tenant {tenant_id}"),
    ))
}
