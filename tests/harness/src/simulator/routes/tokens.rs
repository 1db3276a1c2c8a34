//! The token endpoint: client credentials with HTTP Basic (RFC 6749, section 4.4).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::super::call::Call;
use super::super::model::Application;
use super::super::reply::Reply;
use super::super::state::{Issued, Registered, World};

/// Issues a token of an application.
pub fn issue(world: &mut World, call: &Call) -> Result<Reply, Reply> {
    let id = (call.tenant.clone(), call.id(1).to_owned(), call.id(0).to_owned());
    let Some(Registered { application, managed }) = world.applications.get(&id) else {
        return Err(Reply::error(404, "not_found", "application not found"));
    };
    let Application { client_id, client_secret, scopes, lifetime, .. } = application;
    if call.basic().as_ref() != Some(&(client_id.clone(), client_secret.clone())) {
        return Err(error(401, "invalid_client", "client authentication failed"));
    }
    let form = call.form();
    let is_known = |name: &String| matches!(name.as_str(), "grant_type" | "scope");
    if !call.is_form || !form.keys().all(is_known) {
        return Err(error(400, "invalid_request", "invalid form"));
    }
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return Err(error(400, "unsupported_grant_type", "unsupported grant type"));
    }
    let requested: Vec<&str> = form.get("scope").map_or_else(Vec::new, |scope| scope.split(' ').collect());
    if requested.iter().any(|scope| !scopes.iter().any(|own| own == scope)) {
        return Err(error(400, "invalid_scope", "the application does not have this scope"));
    }
    let scope = if requested.is_empty() { scopes.join(" ") } else { requested.join(" ") };
    // Recognizable in a log.
    let token = format!("access-token-{:032x}", rand::random::<u128>());
    let expires = Timestamp::now() + Duration::from_secs(*lifetime);
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": lifetime, "scope": scope});
    if let Some(realm) = world.realms.get_mut(managed) {
        realm.issued.push(Issued { token, expires });
    }
    Ok(Reply::json(200, &answer))
}

/// An error in the form of RFC 6749, section 5.2.
fn error(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}
