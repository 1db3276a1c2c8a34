//! Doubt: the write-ahead record stands, so the configuration may have been made. Look for it by its mark,
//! and never create.

use super::create::refused;
use super::leave::holding_up;
use super::{Facts, LISTS};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::{Question, Step};
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::home::Home;
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{Destination, RealmIds, Until, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    let record = facts.observed.status.create.as_ref()?;
    let step = look(facts, record).unwrap_or_else(|step| step);
    let deleting = facts.desired.is_deleting();
    if deleting && facts.observed.unwritable.is_some() && matches!(step, Step::Record(..)) {
        // It is known what became of it, and cannot be written down: what is there is deleted all the same.
        return None;
    }
    const WHAT: &str = "it is not known whether the authenticator configuration was made";
    Some(if deleting { holding_up(facts, step, WHAT) } else { step })
}

fn look(facts: &Facts<'_>, record: &CreateRecord) -> Result<Step, Step> {
    if !facts.observed.fresh {
        return Ok(Step::Refresh);
    }
    let home = RealmIds { tenant_id: record.tenant_id.clone(), realm_id: record.realm_id.clone() };
    let Destination { realm, endpoint } =
        facts.destination_at(Home { realm: Some(&home), endpoint: record.endpoint.as_deref() })?;
    let listed = facts.listed()?;
    if let Some(config) = facts.ours(listed)? {
        let (id, realm, endpoint) = (config.id.clone(), realm.clone(), Some(endpoint.clone()));
        let change = Change::Take { create_id: Some(record.id.clone()), id, realm, endpoint };
        // What differs is mended next, before anything is said of it.
        return Ok(Step::Record(change, None));
    }
    Ok(match absent(listed.age, record.timeout(), facts.times.settle) {
        Absent::LookAgainIn(pause) => Step::Wait(Wait::saying(
            Phase::InDoubt(why(
                Reason::CreateInDoubt,
                "the service did not answer clearly when the configuration was to be made, so it may have been; it is \
                 being looked for by its mark, and none is made meanwhile",
            )),
            Until::After(pause),
        )),
        // A list can miss a configuration that is there, such as while its pages shift; two of them do not miss the same.
        Absent::Never if listed.lists < LISTS => Step::Learn(Question::Configs),
        Absent::Never => {
            let refused = facts.observed.refusal.as_deref().map(refused);
            Step::Record(Change::Withdraw { create_id: record.id.clone() }, refused)
        }
    })
}
