//! Identities: get by id, and list by username.

use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::model::Identity;
use super::super::paging::{Sizes, View, filter, page};
use super::super::reply::Reply;
use super::super::state::Realm;
use super::{shown, violation};

const PAGES: Sizes = Sizes { default: 20, max: 200 };

pub(super) fn get(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let id = call.id(0);
    let identity = realm.identities.get(id).ok_or_else(|| not_found(id))?;
    Ok(Reply::json(200, &shown(realm, &api_object(identity))))
}

pub(super) fn list(realm: &Realm, call: &Call, view: View) -> Result<Reply, Reply> {
    let unknown = || Reply::invalid(&[violation("filter", "invalid filter")]);
    let username = filter(&call.query)?.map(|filter| username(&filter).ok_or_else(unknown)).transpose()?;
    let matches = |identity: &Identity| {
        username.as_ref().is_none_or(|filter| {
            identity.username.as_ref().is_some_and(|username| username.to_lowercase() == filter.to_lowercase())
        })
    };
    let found = realm.identities.listed(view.lag, matches);
    let found = found.into_iter().map(|identity| shown(realm, &api_object(identity))).collect();
    Ok(page("identities", found, &call.query, PAGES, view))
}

/// The username of `traits.username eq "USERNAME"`, the only supported filter. Names and operators are
/// case-insensitive, and the value is a JSON string, as in SCIM.
fn username(filter: &str) -> Option<String> {
    let (attribute, rest) = filter.trim().split_once(' ')?;
    let (operator, value) = rest.trim_start().split_once(' ')?;
    let known = attribute.eq_ignore_ascii_case("traits.username") && operator.eq_ignore_ascii_case("eq");
    known.then(|| serde_json::from_str(value).ok()).flatten()
}

pub(super) fn not_found(id: &str) -> Reply {
    Reply::resource_error(404, "not_found", "identity not found", "Identity", id)
}

fn api_object(identity: &Identity) -> Value {
    let Identity { id, status, email, username, enrollment_status, create_time } = identity;
    let mut traits = Map::from_iter([("type".to_owned(), json!("traits_v0"))]);
    set(&mut traits, "username", username.as_deref());
    set(&mut traits, "primary_email_address", email.as_deref());
    let mut fields = Map::from_iter([("id".to_owned(), json!(id)), ("traits".to_owned(), json!(traits))]);
    set(&mut fields, "display_name", username.as_deref());
    set(&mut fields, "status", status.as_deref());
    set(&mut fields, "enrollment_status", enrollment_status.as_deref());
    set(&mut fields, "create_time", Some(create_time));
    set(&mut fields, "update_time", Some(create_time));
    Value::Object(fields)
}

fn set(fields: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), Value::from(value));
    }
}
