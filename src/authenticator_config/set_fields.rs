//! The fields of the spec that an object sets or has set, and how one that is removed from the spec is unset. Pure.

use serde_json::{Value, json};

use super::desired::{self, Desired};
use super::mark::without_mark;
use super::meaning::same;
use crate::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, Fields};

/// A field of the spec that can be removed from it.
struct Field {
    /// Its name in the spec.
    name: &'static str,
    /// Its place in the settings of the API; empty for the display name.
    path: &'static [&'static str],
    /// The value that unsets it; `Null` if the API has none.
    unset: fn() -> Value,
}

const ROAMING: &str = desired::ROAMING_AUTH_CONFIG.0;

/// An outer field precedes the fields in it.
const FIELDS: [Field; 10] = [
    Field { name: desired::DISPLAY_NAME, path: &[], unset: || json!("") },
    // An empty list has no documented meaning. It could lock everybody out.
    setting(&desired::AUTHENTICATION_METHODS, &[desired::AUTHENTICATION_METHODS.0], || Value::Null),
    setting(&desired::TRUSTED_ORIGINS, &[desired::TRUSTED_ORIGINS.0], || json!([])),
    setting(&desired::INVOKE_URL, &[desired::INVOKE_URL.0], || Value::Null),
    setting(&desired::INVOCATION_TYPE, &[desired::INVOCATION_TYPE.0], || json!("automatic")),
    setting(&desired::ONBOARDING_CONFIGURATION, &[desired::ONBOARDING_CONFIGURATION.0], || Value::Null),
    setting(&desired::ROAMING_AUTH_CONFIG, &[ROAMING], || json!({"enabled": false, "allow_unknown_user": false})),
    list("config.roamingAuthConfig.allowedSourceIPs", &[ROAMING, "allowed_source_ips"]),
    list("config.roamingAuthConfig.allowedUserGroupIDs", &[ROAMING, "allowed_user_group_ids"]),
    list("config.roamingAuthConfig.allowedUserIDs", &[ROAMING, "allowed_user_ids"]),
];

const fn setting(names: &desired::Setting, path: &'static [&'static str], unset: fn() -> Value) -> Field {
    Field { name: names.1, path, unset }
}

const fn list(name: &'static str, path: &'static [&'static str]) -> Field {
    Field { name, path, unset: || json!([]) }
}

impl Desired {
    /// The fields that the spec sets, by their names in the spec.
    pub fn set_fields(&self) -> Vec<String> {
        FIELDS.iter().filter(|field| self.sets(field)).map(|field| field.name.to_owned()).collect()
    }

    /// The fields that status must record of an object whose status records `recorded`: those that the spec sets, and
    /// those that it no longer sets, but that `current` still has.
    pub fn set_fields_of(&self, recorded: &[String], current: &RemoteConfig) -> Vec<String> {
        let is_set = |field: &&Field| self.sets(field) || (is_in(field, recorded) && field.is_set_on(current));
        FIELDS.iter().filter(is_set).map(|field| field.name.to_owned()).collect()
    }

    /// The recorded fields that the spec no longer sets, by their names in the spec.
    pub fn removed_fields(&self, recorded: &[String]) -> Vec<&'static str> {
        let is_removed = |field: &&Field| is_in(field, recorded) && !self.sets(field);
        FIELDS.iter().filter(is_removed).map(|field| field.name).collect()
    }

    /// The settings that `current` should have: those of the spec, and the values that unset the recorded fields that the
    /// spec no longer sets.
    pub(super) fn settings(&self, recorded: &[String], current: &RemoteConfig) -> Fields {
        let mut settings = self.fields.clone();
        for field in FIELDS.iter().filter(|field| self.unsets(field, recorded, current)) {
            match field.path {
                [key] => _ = settings.insert((*key).to_owned(), (field.unset)()),
                [outer, key] => {
                    if let Value::Object(outer) = settings.entry(*outer).or_insert_with(|| json!({})) {
                        outer.insert((*key).to_owned(), (field.unset)());
                    }
                }
                _ => {}
            }
        }
        settings
    }

    /// Whether the display name was removed from the spec, and `current` still has it.
    pub(super) fn unsets_name(&self, recorded: &[String], current: &RemoteConfig) -> bool {
        FIELDS.iter().any(|field| field.path.is_empty() && self.unsets(field, recorded, current))
    }

    fn unsets(&self, field: &Field, recorded: &[String], current: &RemoteConfig) -> bool {
        !self.sets(field) && is_in(field, recorded) && field.is_set_on(current) && !(field.unset)().is_null()
    }

    fn sets(&self, field: &Field) -> bool {
        if field.path.is_empty() { self.is_named } else { field.value_in(&self.fields).is_some() }
    }
}

fn is_in(field: &Field, recorded: &[String]) -> bool {
    recorded.iter().any(|name| name == field.name)
}

impl Field {
    fn value_in<'a>(&self, settings: &'a Fields) -> Option<&'a Value> {
        let (key, inner) = self.path.split_first()?;
        inner.iter().try_fold(settings.get(*key)?, |value, key| value.get(key))
    }

    /// Whether `current` has another value than the one that unsets the field.
    fn is_set_on(&self, current: &RemoteConfig) -> bool {
        if self.path.is_empty() {
            return current.display_name.as_deref().is_some_and(|name| !without_mark(name).is_empty());
        }
        let value = current.config.as_ref().and_then(|settings| self.value_in(settings));
        let key = self.path.last().copied().unwrap_or_default();
        value.is_some_and(|value| !value.is_null() && *value != json!([]) && !same(key, &(self.unset)(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AuthenticatorConfigStatus;
    use crate::authenticator_config::testing::{desired, object_with, remote};
    use crate::reconcile::testing::options;

    fn of(config: Value) -> Desired {
        Desired::of(&object_with(json!({ "config": config })), &options())
    }

    fn on(config: &Value) -> RemoteConfig {
        RemoteConfig { config: config.as_object().cloned(), display_name: None, ..remote() }
    }

    /// The settings of the PATCH of an object that has set everything.
    fn patch(desired: &Desired, current: &RemoteConfig) -> Value {
        let set_fields = FIELDS.iter().map(|field| field.name.to_owned()).collect();
        let status = AuthenticatorConfigStatus { set_fields, ..AuthenticatorConfigStatus::default() };
        desired.patch(current, &status).map_or(Value::Null, |patch| json!(patch.config))
    }

    #[test]
    fn recorded_names_are_those_of_the_crd() {
        let schemas = crate::api::crds::schemas();
        let (_, schema) = schemas.iter().find(|(kind, _)| kind == "AuthenticatorConfig").unwrap();
        for field in &FIELDS {
            let pointer = format!("/properties/spec/properties/{}", field.name.replace('.', "/properties/"));
            assert!(schema.pointer(&pointer).is_some(), "{pointer}");
        }
        assert!(FIELDS.len() <= 32 && FIELDS.iter().all(|field| field.name.len() <= 64), "as the CRD allows");
        assert_eq!(desired().set_fields(), ["displayName", "config.authenticationMethods", "config.trustedOrigins"]);
    }

    #[test]
    fn removed_field_is_unset_where_it_is_set() {
        let roaming = |lists: Value| {
            let mut roaming = json!({"enabled": true, "allow_unknown_user": false});
            roaming.as_object_mut().unwrap().extend(lists.as_object().unwrap().clone());
            json!({"type": "platform", "roaming_auth_config": roaming})
        };
        let off = json!({"enabled": false, "allow_unknown_user": false});
        let mut off_and_empty = off.clone();
        off_and_empty["allowed_user_ids"] = json!([]);
        let platform = json!({"type": "platform"});
        let with_roaming =
            json!({"type": "platform", "roamingAuthConfig": {"enabled": true, "allowUnknownUser": false}});
        for (spec, current, expected) in [
            (
                json!({"type": "hosted_web"}),
                json!({"type": "hosted_web", "trusted_origins": ["https://a.example.com"]}),
                json!({"type": "hosted_web", "trusted_origins": []}),
            ),
            (json!({"type": "hosted_web"}), json!({"type": "hosted_web", "trusted_origins": []}), Value::Null),
            (json!({"type": "hosted_web"}), json!({"type": "hosted_web", "trusted_origins": null}), Value::Null),
            (json!({"type": "hosted_web"}), json!({"type": "hosted_web"}), Value::Null),
            (
                json!({"type": "hosted_web"}),
                json!({"type": "hosted_web", "authentication_methods": [{"type": "webauthn_passkey"}]}),
                Value::Null,
            ),
            (
                json!({"type": "embedded"}),
                json!({"type": "embedded", "invocation_type": "manual", "invoke_url": "https://a.example.com"}),
                json!({"type": "embedded", "invocation_type": "automatic"}),
            ),
            (platform.clone(), roaming(json!({})), json!({"type": "platform", "roaming_auth_config": off})),
            (
                platform.clone(),
                roaming(json!({"allowed_user_ids": ["jane"]})),
                json!({"type": "platform", "roaming_auth_config": off_and_empty}),
            ),
            (
                platform.clone(),
                json!({"type": "platform", "roaming_auth_config":
                    {"enabled": false, "allow_unknown_user": false, "allowed_user_ids": ["jane"]}}),
                json!({"type": "platform", "roaming_auth_config": off_and_empty}),
            ),
            (with_roaming.clone(), roaming(json!({})), Value::Null),
            (
                with_roaming.clone(),
                roaming(json!({"allowed_user_ids": ["jane"]})),
                roaming(json!({"allowed_user_ids": []})),
            ),
        ] {
            assert_eq!(patch(&of(spec), &on(&current)), expected, "{current}");
        }
    }

    #[test]
    fn field_that_this_object_never_set_is_left_alone() {
        let current = on(&json!({"type": "hosted_web", "trusted_origins": ["https://theirs.example.com"]}));
        let desired = of(json!({"type": "hosted_web"}));
        assert_eq!(desired.patch(&current, &AuthenticatorConfigStatus::default()), None);
        let recorded = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(desired.set_fields_of(&[], &current), recorded(&[]));
        let unknown = recorded(&["config.somethingNew", "config.trustedOrigins", "config.trustedOrigins"]);
        assert_eq!(desired.set_fields_of(&unknown, &current), ["config.trustedOrigins"]);
        assert_eq!(desired.removed_fields(&unknown), ["config.trustedOrigins"]);
    }

    #[test]
    fn removed_display_name_leaves_the_mark_only() {
        let unnamed = Desired { is_named: false, display_name: desired().mark.to_string(), ..desired() };
        let status = |set_fields| AuthenticatorConfigStatus { set_fields, ..AuthenticatorConfigStatus::default() };
        let name = |set_fields: Vec<String>, current: &RemoteConfig| {
            unnamed.patch(current, &status(set_fields)).and_then(|patch| patch.display_name)
        };
        assert_eq!(name(desired().set_fields(), &remote()), Some(unnamed.display_name.clone()));
        assert_eq!(name(Vec::new(), &remote()), None, "somebody else's name stays");
        let bare = RemoteConfig { display_name: Some(unnamed.display_name.clone()), ..remote() };
        assert_eq!(name(desired().set_fields(), &bare), None);
    }
}
