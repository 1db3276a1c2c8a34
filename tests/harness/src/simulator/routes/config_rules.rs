//! The settings of each type of authenticator configuration, and their validation.

use serde_json::{Map, Value, json};

use super::super::ambiguities::{Ambiguities, HostedWeb};
use super::super::reply::Violation;
use super::{missing, violation};

/// The fields of one type.
struct Fields {
    known: &'static [&'static str],
    required: &'static [&'static str],
}

/// The settings to store: without fields of other types, and with defaults.
pub(super) fn normalized(
    settings: &Map<String, Value>,
    ambiguities: Ambiguities,
) -> Result<Map<String, Value>, Vec<Violation>> {
    let kind = match settings.get("type") {
        None | Some(Value::Null) => return Err(vec![missing(&at("type"))]),
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return Err(vec![violation(&at("type"), "not a string")]),
    };
    let Some(Fields { known, required }) = fields(kind, ambiguities) else {
        return Err(vec![violation(&at("type"), "unknown type")]);
    };
    let kept = |name: &str, value: &Value| !value.is_null() && (name == "type" || known.contains(&name));
    let mut settings = settings.clone();
    settings.retain(|name, value| kept(name, value));

    let absent = required.iter().filter(|name| !settings.contains_key(**name)).map(|name| missing(&at(name)));
    let mut violations: Vec<Violation> = absent.collect();
    for (name, value) in &settings {
        violations.extend(problem(name, value, ambiguities));
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let methods = || METHODS.iter().map(|method| json!({"type": method})).collect();
    if kind == "embedded" {
        settings.entry("invocation_type").or_insert_with(|| json!("automatic"));
        settings.entry("authentication_methods").or_insert_with(methods);
    }
    if kind == "hosted_web" && ambiguities.hosted_web == HostedWeb::FilledIn {
        settings.entry("authentication_methods").or_insert_with(methods);
        settings.entry("trusted_origins").or_insert_with(|| json!([]));
    }
    Ok(settings)
}

const METHODS: [&str; 3] = ["email_one_time_password", "software_passkey", "webauthn_passkey"];

fn fields(kind: &str, ambiguities: Ambiguities) -> Option<Fields> {
    const HOSTED_WEB: &[&str] = &["authentication_methods", "trusted_origins"];
    Some(match kind {
        "hosted_web" => Fields {
            known: HOSTED_WEB,
            required: if ambiguities.hosted_web == HostedWeb::Refused { HOSTED_WEB } else { &[] },
        },
        "embedded" => Fields {
            known: &["invocation_type", "invoke_url", "trusted_origins", "authentication_methods"],
            required: if ambiguities.embedded_without_origins {
                &["invoke_url"]
            } else {
                &["invoke_url", "trusted_origins"]
            },
        },
        "console" => Fields { known: &["onboarding_configuration"], required: &["onboarding_configuration"] },
        "platform" => Fields { known: &["trusted_origins", "roaming_auth_config"], required: &[] },
        _ => return None,
    })
}

fn problem(name: &str, value: &Value, ambiguities: Ambiguities) -> Option<Violation> {
    let invalid = |below: &str, text: &str| Some(violation(&at(&format!("{name}{below}")), text));
    match name {
        "invoke_url" if !value.is_string() => invalid("", "not a string"),
        "invocation_type" if !one_of(value, &["automatic", "manual"]) => invalid("", "unknown value"),
        "trusted_origins" if !all(value, |origin| origin.as_str().is_some_and(is_origin)) => {
            invalid("", "invalid origin")
        }
        "authentication_methods" if !all(value, |method| one_of(&method["type"], &METHODS)) => {
            invalid("", "unknown authentication method")
        }
        "onboarding_configuration" => {
            let method = &value["verification_method"];
            match method["type"].as_str() {
                Some("none") => None,
                Some("idp") if method["idp_id"].is_string() => None,
                Some("idp") => invalid(".verification_method.idp_id", "missing"),
                _ => invalid(".verification_method.type", "unknown value"),
            }
        }
        "roaming_auth_config" if !value["enabled"].is_boolean() => invalid(".enabled", "missing"),
        "roaming_auth_config" if !is_boolean(&value["allow_unknown_user"], ambiguities.roaming_with_enabled_only) => {
            invalid(".allow_unknown_user", "missing")
        }
        "roaming_auth_config" => {
            let lists = ["allowed_source_ips", "allowed_user_group_ids", "allowed_user_ids"];
            let invalid_list =
                lists.iter().find(|list| !value[**list].is_null() && !all(&value[**list], Value::is_string));
            invalid_list.and_then(|list| invalid(&format!(".{list}"), "not an array of strings"))
        }
        _ => None,
    }
}

/// Whether it is a boolean; or absent, if it is `optional`.
fn is_boolean(value: &Value, optional: bool) -> bool {
    value.is_boolean() || (optional && value.is_null())
}

/// `SCHEME://HOST[:PORT]`, and no path.
fn is_origin(origin: &str) -> bool {
    matches!(origin.split_once("://"), Some((scheme, host)) if !scheme.is_empty() && !host.is_empty() && !host.contains('/'))
}

fn one_of(value: &Value, known: &[&str]) -> bool {
    value.as_str().is_some_and(|value| known.contains(&value))
}

fn all(value: &Value, matches: impl Fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(matches))
}

fn at(name: &str) -> String {
    format!("authenticator_config.config.{name}")
}
