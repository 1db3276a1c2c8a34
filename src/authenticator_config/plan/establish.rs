//! Establish: there is no configuration yet. Take over the one that the spec names, or the one that bears this object's
//! mark, or write ahead that one is about to be made.

use super::{Facts, LISTS};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::authenticator_config::change::Change;
use crate::authenticator_config::step::{Question, Step};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::{Destination, Wait};

pub(super) fn rule(facts: &Facts<'_>) -> Step {
    establish(facts).unwrap_or_else(|step| step)
}

fn establish(facts: &Facts<'_>) -> Result<Step, Step> {
    if !facts.observed.fresh {
        return Ok(Step::Refresh);
    }
    let Destination { realm, endpoint } = facts.destination(facts.home().as_ref())?;
    facts.allowed()?;
    let found = match &facts.desired.resource_id {
        Some(id) => Some(named(facts, id)?),
        None => facts.ours(facts.listed()?)?,
    };
    if let Some(config) = found {
        // What differs is mended next, before anything is said of it.
        let (id, realm, endpoint) = (config.id.clone(), realm.clone(), Some(endpoint.clone()));
        return Ok(Step::Record(Change::Take { create_id: None, id, realm, endpoint }, None));
    }
    if facts.desired.resource_id.is_none() && facts.listed()?.lists < LISTS {
        return Ok(Step::Learn(Question::Configs));
    }
    if !facts.observed.may_write {
        return Ok(Facts::ending(Reason::Creating));
    }
    // What cannot be written down is not made.
    if let Some(unwritable) = &facts.observed.unwritable {
        return Ok(Step::Wait(Wait::unwritable(unwritable)));
    }
    let record = CreateRecord {
        id: facts.observed.nonce.clone(),
        endpoint: Some(endpoint.clone()),
        tenant_id: realm.tenant_id.clone(),
        realm_id: realm.realm_id.clone(),
        // A second more than the call itself, for writing the record.
        timeout_seconds: i64::try_from(facts.times.request_timeout.as_secs()).unwrap_or(i64::MAX).saturating_add(1),
    };
    Ok(Step::WriteAhead(record, Phase::InDoubt(why(Reason::Creating, "making the authenticator configuration"))))
}

/// The configuration that the spec names, where it may be taken over.
fn named<'a>(facts: &Facts<'a>, id: &str) -> Result<&'a RemoteConfig, Step> {
    facts.resource_id_allowed()?;
    let config = facts.current(id)?.ok_or_else(|| not_found(facts, id))?;
    facts.takeable(config)?;
    Ok(config)
}

/// None is made for one that is named and not there: it would have another id.
fn not_found(facts: &Facts<'_>, id: &str) -> Step {
    facts.blocked(
        Reason::ConfigurationNotFound,
        format!(
            "there is no authenticator configuration {id} in Beyond Identity, and spec.resourceID names it: correct that, or \
             take it out, and one is made"
        ),
    )
}
