//! The differences between the desired and the current configuration. Pure.

use serde_json::{Value, json};

use super::desired::{DISPLAY_NAME, Desired, ROAMING_AUTH_CONFIG, spec_name};
use super::mark::{OwnershipMark, without_mark};
use super::meaning::{same, same_name};
use crate::api::AuthenticatorConfigStatus;
use crate::beyond_identity::types::{AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, Fields};

/// A field that differs from the desired state.
pub(super) struct Difference {
    /// Its name in the spec.
    pub field: &'static str,
    /// Its name in the settings of the API; `None` for the display name.
    pub key: Option<&'static str>,
    /// The desired value.
    pub wanted: Value,
    /// The current value; `Null` if there is none.
    pub have: Value,
}

impl Desired {
    /// The body of a PATCH that changes `current` to the desired state. It contains only what differs, except values that
    /// the service keeps in a form of its own. `None` if nothing else differs.
    pub fn patch(
        &self,
        current: &RemoteConfig,
        status: &AuthenticatorConfigStatus,
    ) -> Option<AuthenticatorConfigPatch> {
        let mut differences = self.differences(current, &status.set_fields);
        differences.retain(|it| !status.other_values.contains(&it.other_value(self.lifecycle.generation)));
        let (mut display_name, mut config) = (None, Fields::new());
        for Difference { key, wanted, .. } in differences {
            match key {
                None => display_name = wanted.as_str().map(str::to_owned),
                Some(key) => _ = config.insert(key.to_owned(), sent(key, wanted, current)),
            }
        }
        let mut config = Some(config).filter(|config| !config.is_empty());
        config.iter_mut().for_each(|config| _ = config.insert("type".to_owned(), json!(self.type_)));
        (display_name.is_some() || config.is_some()).then_some(AuthenticatorConfigPatch { display_name, config })
    }

    /// Where `current` differs from the desired state, in the fields that the spec sets, or that it no longer sets although
    /// they are recorded in `set_fields`.
    pub(super) fn differences(&self, current: &RemoteConfig, set_fields: &[String]) -> Vec<Difference> {
        let name = self.other_name(current, set_fields).map(|wanted| Difference {
            field: DISPLAY_NAME,
            key: None,
            wanted: json!(wanted),
            have: json!(current.display_name),
        });
        let differs = |(key, wanted): (String, Value)| {
            let (key, field) = spec_name(&key)?;
            let have = current.config.as_ref().and_then(|fields| fields.get(*key));
            let is_same = have.is_some_and(|have| same(key, &wanted, have));
            (!is_same).then(|| Difference { field, key: Some(key), wanted, have: have.cloned().unwrap_or_default() })
        };
        name.into_iter().chain(self.settings(set_fields, current).into_iter().filter_map(differs)).collect()
    }

    /// The desired display name, if `current` differs from it. It ends in the mark. If the spec never set a name, the
    /// text before the mark stays unchanged. A mark of a former cluster is replaced: the old cluster, if it still runs,
    /// then changes and deletes nothing, and the configuration stays ours when the former cluster is no longer named.
    fn other_name(&self, current: &RemoteConfig, set_fields: &[String]) -> Option<String> {
        let is_ours = self.is_named || self.unsets_name(set_fields, current);
        match current.display_name.as_deref() {
            // Without a returned name there is nothing to compare. An adopted configuration may not have had a name.
            None => self.resource_id.is_some().then(|| self.display_name.clone()),
            Some(name) if is_ours => (!same_name(&self.display_name, name)).then(|| self.display_name.clone()),
            Some(name) => (!self.mark.is_in(name)).then(|| self.mark.behind(Some(without_mark(name)))),
        }
    }

    /// Whether `current` has this object's mark, or its mark in one of the clusters `former`, and its type.
    pub fn is_ours(&self, current: &RemoteConfig, former: &[String]) -> bool {
        self.other_type(current).is_none() && (self.is_marked(current) || self.has_former_mark(current, former))
    }

    /// Whether `current` has this object's mark.
    pub fn is_marked(&self, current: &RemoteConfig) -> bool {
        current.display_name.as_deref().is_some_and(|name| self.mark.is_in(name))
    }

    /// Whether `current` has the mark that this object had in one of the clusters `former`.
    fn has_former_mark(&self, current: &RemoteConfig, former: &[String]) -> bool {
        let is_in = |name: &str| {
            former.iter().any(|cluster| OwnershipMark::of(cluster, &self.namespace, &self.name).is_in(name))
        };
        current.display_name.as_deref().is_some_and(is_in)
    }

    /// The type of `current`, if it differs from the desired type.
    pub fn other_type<'a>(&self, current: &'a RemoteConfig) -> Option<&'a str> {
        current.config_type().filter(|type_| *type_ != self.type_)
    }

    /// The mark on `current`, if it is another object's mark. A mark of this object in one of the clusters `former` is its
    /// own.
    pub fn foreign_mark_in<'a>(&self, current: &'a RemoteConfig, former: &[String]) -> Option<&'a str> {
        let mark = current.display_name.as_deref().and_then(|name| self.mark.foreign_mark_in(name))?;
        (!self.has_former_mark(current, former)).then_some(mark)
    }
}

/// The value of the setting `key` to send. The API does not say whether a PATCH replaces a nested setting as a whole, so
/// the fields in it that the spec does not set are sent as they are.
fn sent(key: &str, wanted: Value, current: &RemoteConfig) -> Value {
    const ROAMING: [&str; 5] =
        ["enabled", "allow_unknown_user", "allowed_source_ips", "allowed_user_group_ids", "allowed_user_ids"];
    let have = current.config.as_ref().and_then(|fields| fields.get(key)?.as_object());
    let (Some(have), Value::Object(mut wanted)) = (have.filter(|_| key == ROAMING_AUTH_CONFIG.0), wanted.clone())
    else {
        return wanted;
    };
    for (field, value) in have.iter().filter(|(field, value)| ROAMING.contains(&field.as_str()) && !value.is_null()) {
        wanted.entry(field.as_str()).or_insert_with(|| value.clone());
    }
    Value::Object(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator_config::testing::{desired, remote};

    fn status() -> AuthenticatorConfigStatus {
        AuthenticatorConfigStatus::default()
    }

    /// The settings of the PATCH for a remote configuration with these settings.
    fn patch_of(desired: &Desired, config: &Value) -> Value {
        let Value::Object(config) = config.clone() else { panic!("no settings: {config}") };
        let current = RemoteConfig { config: Some(config), ..remote() };
        desired.patch(&current, &status()).map_or(Value::Null, |patch| json!(patch.config))
    }

    #[test]
    fn patch_has_the_type_and_differing_fields_only() {
        let mut current = remote();
        assert_eq!(desired().patch(&current, &status()), None);
        current.config.as_mut().unwrap().insert("trusted_origins".to_owned(), json!([]));
        assert_eq!(
            json!(desired().patch(&current, &status())),
            json!({"config": {"type": "hosted_web", "trusted_origins": ["https://a.example.com"]}})
        );
        current = RemoteConfig { display_name: Some("Another name".to_owned()), ..remote() };
        assert_eq!(json!(desired().patch(&current, &status())), json!({"display_name": desired().display_name}));
    }

    #[test]
    fn lists_compare_as_sets_and_unset_fields_are_ignored() {
        let methods = json!([{"type": "software_passkey"}, {"type": "webauthn_passkey", "something_new": 1}]);
        let origins = json!(["https://a.example.com"]);
        let settings = json!({"authentication_methods": methods, "trusted_origins": origins, "something_new": true});
        assert_eq!(patch_of(&desired(), &settings), Value::Null);
        assert_eq!(desired().patch(&RemoteConfig { display_name: None, ..remote() }, &status()), None);
        for methods in [json!([{"type": "webauthn_passkey"}]), json!(null)] {
            let settings = json!({"authentication_methods": methods, "trusted_origins": origins});
            assert_ne!(patch_of(&desired(), &settings), Value::Null, "{settings}");
        }
    }

    #[test]
    fn nested_fields_compare_only_where_spec_sets_them() {
        let wanted = json!({"enabled": true, "allow_unknown_user": false, "allowed_user_ids": ["a", "b"]});
        let fields = Fields::from_iter([
            ("type".to_owned(), json!("platform")),
            ("roaming_auth_config".to_owned(), wanted.clone()),
        ]);
        let platform = Desired { type_: "platform", fields, ..desired() };
        let more = json!({
            "enabled": true, "allow_unknown_user": false, "allowed_user_ids": ["b", "a"], "allowed_source_ips": ["192.0.2.1"],
        });
        assert_eq!(patch_of(&platform, &json!({"type": "platform", "roaming_auth_config": more})), Value::Null);
        for other in [json!({"enabled": true}), json!({"enabled": false, "allow_unknown_user": false}), json!(null)] {
            let patch = patch_of(&platform, &json!({"type": "platform", "roaming_auth_config": other}));
            assert_eq!(patch, json!({"type": "platform", "roaming_auth_config": wanted}), "{other}");
        }
        // It is sent again, since the API may replace the whole setting.
        let restricted = json!({"enabled": false, "allowed_source_ips": ["192.0.2.1"], "something_new": 1});
        let mut sent = wanted;
        sent["allowed_source_ips"] = json!(["192.0.2.1"]);
        let patch = patch_of(&platform, &json!({"type": "platform", "roaming_auth_config": restricted}));
        assert_eq!(patch["roaming_auth_config"], sent);
    }

    #[test]
    fn empty_list_equals_null() {
        let mut desired = desired();
        desired.fields.insert("trusted_origins".to_owned(), json!([]));
        let settings =
            json!({"authentication_methods": desired.fields["authentication_methods"], "trusted_origins": null});
        assert_eq!(patch_of(&desired, &settings), Value::Null);
    }

    #[test]
    fn unnamed_spec_keeps_the_remote_name_before_the_mark() {
        let mark = OwnershipMark::of("demo", "identity", "hosted-web").to_string();
        let unnamed = Desired { is_named: false, display_name: mark.clone(), ..desired() };
        let taken = Desired { resource_id: Some("4e129fc8".to_owned()), ..unnamed.clone() };
        let name = |desired: &Desired, name: Option<&str>| {
            let current = RemoteConfig { display_name: name.map(str::to_owned), ..remote() };
            desired.patch(&current, &status()).and_then(|patch| patch.display_name)
        };
        assert_eq!(name(&taken, Some("Theirs")), Some(format!("Theirs {mark}")));
        assert_eq!(name(&taken, Some(&format!("Theirs {mark}"))), None);
        assert_eq!(name(&taken, None), Some(mark.clone()), "an adopted configuration is marked");
        assert_eq!(name(&unnamed, None), None, "the API may omit display names");
        let named = Desired { resource_id: taken.resource_id.clone(), ..desired() };
        assert_eq!(name(&named, Some("Theirs")), Some(format!("Hosted web {mark}")));
    }

    #[test]
    fn mark_of_a_former_cluster_is_ours_and_is_replaced() {
        let former = ["west".to_owned(), "east".to_owned()];
        let of = |cluster: &str, name: &str| {
            let mark = OwnershipMark::of(cluster, "identity", name).behind(Some("Hosted web"));
            RemoteConfig { display_name: Some(mark), ..remote() }
        };
        let (moved, another) = (of("east", "hosted-web"), of("east", "another"));
        assert!(desired().is_ours(&moved, &former) && !desired().is_marked(&moved));
        assert_eq!(desired().foreign_mark_in(&moved, &former), None);
        assert!(!desired().is_ours(&moved, &[]) && desired().foreign_mark_in(&moved, &[]).is_some());
        assert!(!desired().is_ours(&another, &former) && desired().foreign_mark_in(&another, &former).is_some());
        for desired in [desired(), Desired { is_named: false, ..desired() }] {
            let patch = desired.patch(&moved, &status()).unwrap();
            assert_eq!((patch.display_name, patch.config), (remote().display_name, None));
        }
    }

    #[test]
    fn configuration_is_ours_by_mark_and_type() {
        assert!(desired().is_ours(&remote(), &[]));
        assert!(!desired().is_ours(&RemoteConfig { display_name: None, ..remote() }, &[]));
        let mut other_type = remote();
        other_type.config.as_mut().unwrap().insert("type".to_owned(), json!("embedded"));
        assert!(!desired().is_ours(&other_type, &[]));
        assert_eq!((desired().other_type(&remote()), desired().other_type(&other_type)), (None, Some("embedded")));
    }
}
