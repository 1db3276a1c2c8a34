//! Adopt or create: no configuration is recorded yet. The rule adopts the configuration that the spec names or that
//! has this object's mark. Otherwise it writes a create ahead.

use super::input::{Input, Step};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::Query;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::plan::LISTS;
use crate::reconcile::{Destination, End};

pub(super) fn rule(input: &Input<'_>) -> Step {
    establish(input).unwrap_or_else(|step| step)
}

fn establish(input: &Input<'_>) -> Result<Step, Step> {
    if !input.object().fresh {
        return Ok(Step::Refresh);
    }
    let Destination { realm, endpoint } = input.destination(input.recorded_realm().as_ref())?;
    input.allowed(&input.desired.provider_config_ref)?;
    input.settings_allowed()?;
    let found = match &input.desired.resource_id {
        Some(id) => Some((named(input, id)?, Vec::new())),
        None => input.ours(input.listed()?, input.former_clusters())?,
    };
    if let Some((config, duplicates)) = found {
        // The next step corrects differences, before any condition is set.
        let (id, realm, endpoint) = (config.id.clone(), realm.clone(), Some(endpoint.clone()));
        let (create_id, created_generation) = (None, None);
        return Ok(Step::Record(Change::Adopt { create_id, id, realm, endpoint, created_generation, duplicates }));
    }
    let listed = input.listed()?;
    input.realm_not_in_use(listed)?;
    if listed.lists < LISTS {
        return Ok(Step::Fetch(Query::Configs));
    }
    if !input.object().may_call_service {
        return Ok(input.shutting_down(Reason::Creating));
    }
    // A configuration is not created if its record cannot be stored.
    if let Some(unwritable) = &input.object().unwritable {
        return Ok(Step::End(End::unwritable(unwritable)));
    }
    let record = CreateRecord {
        id: input.object().nonce.clone(),
        endpoint: Some(endpoint.clone()),
        tenant_id: realm.tenant_id.clone(),
        realm_id: realm.realm_id.clone(),
        timeout_seconds: input.times.record_timeout_seconds(),
        set_fields: input.desired.set_fields(),
    };
    let phase = Phase::InDoubt(why(Reason::Creating, "Creating the authenticator configuration"));
    Ok(Step::WriteAhead(Box::new(record), phase))
}

/// The configuration that the spec names, if it may be adopted.
fn named<'a>(input: &Input<'a>, id: &str) -> Result<&'a RemoteConfig, Step> {
    input.resource_id_allowed()?;
    let config = input.current(id)?.ok_or_else(|| not_found(input, id))?;
    input.adoptable(config)?;
    Ok(config)
}

/// A named configuration that does not exist is not created, because it would have another id.
fn not_found(input: &Input<'_>, id: &str) -> Step {
    input.blocked(
        Reason::ConfigurationNotFound,
        format!(
            "Authenticator configuration {id} does not exist in Beyond Identity; correct spec.resourceID, or remove \
             it to have one created"
        ),
    )
}
