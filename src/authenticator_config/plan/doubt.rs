//! Doubt: the write-ahead record exists, so the configuration may exist. This rule looks up the configuration by its
//! mark, and never creates one.

use super::input::{Input, NO_FORMER, Step};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::Query;
use crate::reconcile::doubt::{Absent, absent};
use crate::reconcile::plan::{LISTS, refused};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{Destination, End, RealmIds, Requeue};

/// The reason and the message of a create in doubt.
pub(in crate::authenticator_config) const IN_DOUBT: (Reason, &str) = (
    Reason::CreateInDoubt,
    "The service did not clearly confirm or refuse the create, so the configuration may exist; it is being looked up \
     by its ownership mark, and none is created meanwhile",
);

/// Looks up the configuration of a create in doubt.
pub(in crate::authenticator_config) fn resolve(input: &Input<'_>, record: &CreateRecord) -> Result<Step, Step> {
    let recorded = RealmIds { tenant_id: record.tenant_id.clone(), realm_id: record.realm_id.clone() };
    let Destination { realm, endpoint } = input.destination_at(Some(&recorded), record.endpoint.as_deref())?;
    let listed = input.listed()?;
    if let Some((config, duplicates)) = input.ours(listed, NO_FORMER)? {
        let (id, realm, endpoint) = (config.id.clone(), realm.clone(), Some(endpoint.clone()));
        let (create_id, created_generation) = (Some(record.id.clone()), None);
        let change = Change::Adopt { create_id, id, realm, endpoint, created_generation, duplicates };
        // The next step corrects differences, before any condition is set.
        return Ok(Step::Record(change));
    }
    Ok(match absent(listed.age, record.timeout(), input.times.settle) {
        Absent::ListAgainIn(pause) => {
            Step::End(End::with_phase(Phase::InDoubt(why(IN_DOUBT.0, IN_DOUBT.1)), Requeue::After(pause)))
        }
        // A list can miss an existing configuration, for example while its pages shift. Two lists do not miss the
        // same one.
        Absent::Never if listed.lists < LISTS => Step::Fetch(Query::Configs),
        Absent::Never => {
            let phase = input.object().refusal.as_deref().map(|message| refused(message).phase());
            Step::Withdraw { record_id: record.id.clone(), phase }
        }
    })
}
