//! The operations: authorization first, then the effect.

mod config_rules;
mod configs;
mod identities;
mod jobs;
mod tokens;

use serde_json::{Map, Value};

use super::call::{Call, Operation};
use super::paging::View;
use super::reply::{Reply, Violation};
use super::state::{Realm, World};

/// Carries out a request, and returns the answer of the service.
pub(super) fn carry_out(world: &mut World, call: &Call, view: View) -> Reply {
    if call.operation == Operation::RequestToken {
        return tokens::issue(world, call).unwrap_or_else(|error| error);
    }
    let realm = match authorize(world, call) {
        Ok(realm) => realm,
        Err(reply) => return reply,
    };
    let answer = match call.carried_out {
        Operation::CreateConfig => configs::create(realm, call),
        Operation::ListConfigs => Ok(configs::list(realm, call, view)),
        Operation::GetConfig => configs::get(realm, call),
        Operation::UpdateConfig => configs::update(realm, call),
        Operation::DeleteConfig => configs::delete(realm, call),
        Operation::ListIdentities => identities::list(realm, call, view),
        Operation::GetIdentity => identities::get(realm, call),
        Operation::CreateJob => jobs::create(realm, call),
        Operation::ListJobs | Operation::ListAllJobs => Ok(jobs::list(realm, call, view)),
        Operation::GetJob => jobs::get(realm, call),
        Operation::RevokeJob => jobs::revoke(realm, call),
        Operation::Check | Operation::RequestToken | Operation::Unknown => {
            Err(Reply::error(404, "not_found", NOT_FOUND))
        }
    };
    answer.unwrap_or_else(|error| error)
}

const NOT_FOUND: &str = "The requested resource was not found.";

/// An unknown or revoked token is 401. An expired token, or one of another realm, is 403. A realm that does not exist in the token's tenant is 404.
fn authorize<'w>(world: &'w mut World, call: &Call) -> Result<&'w mut Realm, Reply> {
    let mut with_token = world.realms.values().filter(|realm| realm.knows(call.token())).peekable();
    if with_token.peek().is_none() {
        return Err(Reply::error(401, "unauthorized", "unauthorized"));
    }
    let is_in_own_tenant = with_token.any(|realm| realm.tenant == call.tenant);
    match world.realms.get_mut(&(call.tenant.clone(), call.realm.clone())) {
        Some(realm) if realm.accepts(call.token()) => Ok(realm),
        None if is_in_own_tenant => Err(no_such_realm(call)),
        _ => Err(Reply::error(403, "forbidden", "forbidden")),
    }
}

/// In the vendor's examples, the 404 names the realm for identities, and has no details for configurations.
fn no_such_realm(call: &Call) -> Reply {
    match call.carried_out {
        Operation::CreateConfig
        | Operation::ListConfigs
        | Operation::GetConfig
        | Operation::UpdateConfig
        | Operation::DeleteConfig
        | Operation::Check
        | Operation::RequestToken
        | Operation::Unknown => Reply::error(404, "not_found", NOT_FOUND),
        Operation::ListIdentities
        | Operation::GetIdentity
        | Operation::CreateJob
        | Operation::ListJobs
        | Operation::ListAllJobs
        | Operation::GetJob
        | Operation::RevokeJob => Reply::realm_not_found(&call.realm),
    }
}

/// The object under the key of a body. Other keys are ignored.
fn envelope(call: &Call, key: &str) -> Result<Map<String, Value>, Reply> {
    let malformed = || Reply::error(400, "bad_request", "invalid request");
    let body = call.is_json.then(|| serde_json::from_slice(&call.body).ok()).flatten();
    let Some(Value::Object(mut body)) = body else {
        return Err(malformed());
    };
    match body.remove(key) {
        Some(Value::Object(inner)) => Ok(inner),
        None | Some(Value::Null) => Err(Reply::invalid(&[missing(key)])),
        Some(_) => Err(malformed()),
    }
}

/// An object as the API returns it: with its tenant and realm.
fn shown(realm: &Realm, object: &impl serde::Serialize) -> Value {
    let mut shown = serde_json::to_value(object).unwrap_or_default();
    if let Value::Object(fields) = &mut shown {
        fields.insert("tenant_id".to_owned(), Value::from(realm.tenant.as_str()));
        fields.insert("realm_id".to_owned(), Value::from(realm.id.as_str()));
    }
    shown
}

fn missing(field: &str) -> Violation {
    violation(field, "missing")
}

fn violation(field: &str, description: &str) -> Violation {
    (field.to_owned(), description.to_owned())
}
