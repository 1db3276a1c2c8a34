//! Authenticator configurations: create, read, update, delete.

use serde_json::{Map, Value};

use super::super::call::Call;
use super::super::model::{Config, long_id};
use super::super::paging::{Sizes, View, page};
use super::super::reply::{Reply, Violation};
use super::super::state::Realm;
use super::config_rules::normalized;
use super::{NOT_FOUND, envelope, missing, shown, violation};

const PAGES: Sizes = Sizes { default: 100, max: 100 };
const KEY: &str = "authenticator_config";

pub(super) fn create(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let requested = envelope(call, KEY)?;
    let display_name = display_name(&requested).map_err(invalid)?;
    let settings =
        settings(&requested).map_err(invalid)?.ok_or_else(|| invalid(missing("authenticator_config.config")))?;
    let config = normalized(&settings, realm.ambiguities).map_err(|violations| Reply::invalid(&violations))?;
    let mut config = Config { id: long_id(), display_name, config };
    keep_in_form(realm, &mut config);
    let reply = Reply::json(200, &shown(realm, &config));
    realm.configs.put(&config.id.clone(), config);
    Ok(reply)
}

pub(super) fn list(realm: &Realm, call: &Call, view: View) -> Reply {
    let configs = realm.configs.listed(view.lag, |_| true).into_iter().map(|config| shown(realm, config)).collect();
    page("authenticator_configs", configs, &call.query, PAGES, view)
}

pub(super) fn get(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let config = realm.configs.get(call.id(0)).ok_or_else(not_found)?;
    Ok(Reply::json(200, &shown(realm, config)))
}

/// Missing fields stay as they are, at the top level and in the settings. Settings must contain the type, which is
/// immutable.
pub(super) fn update(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    let mut updated = realm.configs.get(call.id(0)).ok_or_else(not_found)?.clone();
    let requested = envelope(call, KEY)?;
    if let Some(name) = display_name(&requested).map_err(invalid)? {
        updated.display_name = Some(name);
    }
    if let Some(settings) = settings(&requested).map_err(invalid)? {
        const TYPE: &str = "authenticator_config.config.type";
        match settings.get("type") {
            None if realm.ambiguities.patches_without_type => {}
            None | Some(Value::Null) => return Err(invalid(missing(TYPE))),
            kind if kind != updated.config.get("type") => {
                return Err(invalid(violation(TYPE, "immutable")));
            }
            Some(_) => {}
        }
        updated.config.extend(settings.into_iter().filter(|(_, value)| !value.is_null()));
        updated.config =
            normalized(&updated.config, realm.ambiguities).map_err(|violations| Reply::invalid(&violations))?;
    }
    keep_in_form(realm, &mut updated);
    let reply = Reply::json(200, &shown(realm, &updated));
    if let Some(config) = realm.configs.get_mut(call.id(0)) {
        *config = updated;
    }
    Ok(reply)
}

fn keep_in_form(realm: &Realm, config: &mut Config) {
    realm.config_form.iter().for_each(|form| form(config));
}

pub(super) fn delete(realm: &mut Realm, call: &Call) -> Result<Reply, Reply> {
    realm.configs.take(call.id(0)).ok_or_else(not_found)?;
    Ok(Reply::empty(200))
}

/// The API reference has no limits for this name. These are the limits of all other display names in the API.
fn display_name(requested: &Map<String, Value>) -> Result<Option<String>, Violation> {
    const FIELD: &str = "authenticator_config.display_name";
    match requested.get("display_name") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) if name.is_empty() => Err(violation(FIELD, "empty string")),
        Some(Value::String(name)) if name.chars().count() > 64 => Err(violation(FIELD, "longer than 64 characters")),
        Some(Value::String(name)) if name.contains(|c| r"{}[]<>;:?\/|*^%$#=~`!".contains(c)) => {
            Err(violation(FIELD, "invalid character"))
        }
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(_) => Err(violation(FIELD, "not a string")),
    }
}

fn settings(requested: &Map<String, Value>) -> Result<Option<Map<String, Value>>, Violation> {
    match requested.get("config") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(settings)) => Ok(Some(settings.clone())),
        Some(_) => Err(violation("authenticator_config.config", "not an object")),
    }
}

fn invalid(violation: Violation) -> Reply {
    Reply::invalid(&[violation])
}

fn not_found() -> Reply {
    Reply::error(404, "not_found", NOT_FOUND)
}
