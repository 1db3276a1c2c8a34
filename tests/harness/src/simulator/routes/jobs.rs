//! Credential binding jobs: create with an email, get, list, and revoke.

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::model::Job;
use super::super::paging::{Sizes, View, page};
use super::super::reply::{Reply, Violation};
use super::super::state::Realm;
use super::{envelope, identities, missing, shown, violation};

const KIND: &str = "CredentialBindingJob";

const PAGES: Sizes = Sizes { default: 20, max: 200 };

pub(super) fn create(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let requested = envelope(call, "job")?;
    let id = call.id(0);
    let identity = realm.identities.get(id).ok_or_else(|| identities::not_found(id))?;
    let job = read(realm, id, &requested).map_err(|violations| Reply::invalid(&violations))?;
    if identity.status.as_deref().is_some_and(|status| status != "active") {
        return Err(Reply::error(400, "bad_request", "identity is not active"));
    }
    if job.delivery_method == "EMAIL" && identity.email.is_none() {
        let message = "Identity missing email address";
        return Err(Reply::resource_error(422, "unprocessable_entity", message, "Identity", id));
    }
    realm.send(&job);
    let mut body = json!({"credential_binding_job": shown(realm, &job)});
    if job.delivery_method == "RETURN" {
        body["credential_binding_link"] =
            json!(format!("http://example.com{}/{}:invokeAuthenticator", call.path, job.id));
    }
    Ok(Reply::json(200, &body))
}

/// There is no 404: the list of an unknown identity is empty.
pub(super) fn list(realm: &mut Realm, call: &Call, view: View) -> Reply {
    let identity = call.id(0);
    let of_identity = |job: &Job| identity == "-" || job.identity_id == identity;
    realm.expire(of_identity);
    let jobs = realm.jobs.listed(view.lag, of_identity).into_iter().map(|job| shown(realm, job)).collect();
    page("credential_binding_jobs", jobs, &call.query, PAGES, view)
}

pub(super) fn get(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let job = find(realm, call)?.clone();
    Ok(Reply::json(200, &shown(realm, &job)))
}

/// A job with an unknown state, or none, may be outstanding, so it can be revoked.
pub(super) fn revoke(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let id = call.id(1);
    match realm.refuse_revoke {
        None => {}
        Some(401) => return Err(Reply::error(401, "unauthorized", "unauthorized")),
        Some(status) => return Err(Reply::resource_error(status, "forbidden", "forbidden", KIND, id)),
    }
    let requested: Option<Map<String, Value>> = serde_json::from_slice(&call.body).ok();
    if !call.body.is_empty() && (requested.is_none() || !call.is_json) {
        return Err(Reply::error(400, "bad_request", "invalid request"));
    }
    let revokes_failed_jobs = realm.ambiguities.revokes_failed_jobs;
    let state = find(realm, call)?.state.as_deref();
    let is_finished = matches!(state, Some("COMPLETE" | "EXPIRED" | "FAILED_TO_SEND" | "REVOKED"));
    if is_finished && !(revokes_failed_jobs && state == Some("FAILED_TO_SEND")) {
        let message = "credential binding job is not outstanding";
        return Err(Reply::resource_error(409, "conflict", message, KIND, id));
    }
    realm.set_job_state(id, "REVOKED");
    get(realm, call)
}

fn find<'r>(realm: &'r mut Realm, call: &Call) -> Result<&'r Job, Reply> {
    let (identity, id) = (call.id(0), call.id(1));
    let missing = || Reply::resource_error(404, "not_found", "credential binding job not found", KIND, id);
    realm.job(id).filter(|job| job.identity_id == identity).ok_or_else(missing)
}

fn read(realm: &Realm, identity: &str, requested: &Map<String, Value>) -> Result<Job, Vec<Violation>> {
    let mut violations = Vec::new();
    let delivery_method = match text(requested, "delivery_method", &mut violations) {
        Some(method @ ("EMAIL" | "RETURN")) => method,
        Some(_) => {
            violations.push(violation("job.delivery_method", "invalid value"));
            ""
        }
        None => {
            violations.push(missing("job.delivery_method"));
            ""
        }
    };
    let config = text(requested, "authenticator_config_id", &mut violations).unwrap_or_default();
    if config.is_empty() {
        violations.push(violation("job.authenticator_config_id", "empty string"));
    } else if realm.configs.get(config).is_none() {
        violations.push(violation("job.authenticator_config_id", "not found"));
    }
    let redirect = text(requested, "post_binding_redirect_uri", &mut violations).map(str::to_owned);
    if redirect.as_ref().is_some_and(|uri| !uri.contains("://")) {
        violations.push(violation("job.post_binding_redirect_uri", "invalid URI"));
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(Job {
        delivery_method: delivery_method.to_owned(),
        post_binding_redirect_uri: redirect,
        ..realm.new_job(identity, config)
    })
}

fn text<'a>(requested: &'a Map<String, Value>, name: &str, violations: &mut Vec<Violation>) -> Option<&'a str> {
    match requested.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            violations.push(violation(&format!("job.{name}"), "not a string"));
            None
        }
    }
}
