//! What an AuthenticatorConfig asks for, as the API would write it. Pure.

use std::collections::BTreeSet;

use kube::ResourceExt;
use serde_json::{Value, json};

use super::mark::Mark;
use crate::api::authenticator_config::ConfigSpec;
use crate::api::{AuthenticatorConfig, ProviderConfigRef};
use crate::beyond_identity::types::{
    AuthenticatorConfig as RemoteConfig, AuthenticatorConfigPatch, Fields, NewAuthenticatorConfig,
};
use crate::reconcile::annotations::look_asked_for;

/// What an AuthenticatorConfig asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The provider config to go through.
    pub provider_config_ref: ProviderConfigRef,
    /// Whose the remote configuration is.
    pub mark: Mark,
    /// The display name to send, the mark included.
    pub display_name: String,
    /// The type, as the API writes it.
    pub type_: &'static str,
    /// The settings to send, `type` included; only those that the spec sets.
    pub fields: Fields,
    /// The generation of the spec.
    pub generation: i64,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// Whether the remote configuration stays when the object is deleted.
    pub orphan: bool,
    /// The look that somebody asked for, and that was not made yet.
    pub look_asked_for: Option<String>,
}

impl Desired {
    /// Reads what `config`, in the cluster of this name, asks for.
    pub fn of(config: &AuthenticatorConfig, cluster: &str) -> Self {
        let spec = &config.spec;
        let mark = Mark::of(cluster, &config.namespace().unwrap_or_default(), &config.name_any());
        Self {
            provider_config_ref: spec.provider_config_ref.clone(),
            display_name: mark.behind(spec.display_name.as_deref()),
            mark,
            type_: spec.config.type_.as_str(),
            fields: fields(&spec.config),
            generation: config.metadata.generation.unwrap_or_default(),
            deleting: config.metadata.deletion_timestamp.is_some(),
            orphan: false,
            look_asked_for: look_asked_for(config),
        }
    }

    /// The same, where the operator may be told that no deletion touches the remote side.
    pub fn orphaned_by(self, orphan_on_delete: bool) -> Self {
        Self { orphan: self.orphan || orphan_on_delete, ..self }
    }

    /// The body of a create.
    pub fn create(&self) -> NewAuthenticatorConfig {
        NewAuthenticatorConfig { display_name: Some(self.display_name.clone()), config: self.fields.clone() }
    }

    /// The body of a PATCH that makes `current` what is asked for: only what the spec sets, and of that only
    /// what differs. `None` when nothing does.
    pub fn patch(&self, current: &RemoteConfig) -> Option<AuthenticatorConfigPatch> {
        // An answer without a display name does not show it; there is nothing to compare.
        let display_name =
            current.display_name.as_ref().filter(|name| **name != self.display_name).map(|_| self.display_name.clone());
        let have = |key: &str| current.config.as_ref().and_then(|fields| fields.get(key));
        let differing: Fields = self
            .fields
            .iter()
            .filter(|(key, wanted)| key.as_str() != "type" && !have(key).is_some_and(|have| same(have, wanted)))
            .map(|(key, wanted)| (key.clone(), wanted.clone()))
            .collect();
        let config = (!differing.is_empty()).then(|| {
            let mut config = differing;
            config.insert("type".to_owned(), json!(self.type_));
            config
        });
        (display_name.is_some() || config.is_some()).then_some(AuthenticatorConfigPatch { display_name, config })
    }

    /// Whether `current` bears this object's mark and is of its type.
    pub fn is_ours(&self, current: &RemoteConfig) -> bool {
        current.display_name.as_deref().is_some_and(|name| self.mark.is_on(name))
            && current.config_type().is_none_or(|type_| type_ == self.type_)
    }
}

/// The settings as the API writes them.
fn fields(config: &ConfigSpec) -> Fields {
    let ConfigSpec { type_, authentication_methods, trusted_origins } = config;
    let settings = [
        ("type", Some(json!(type_))),
        ("authentication_methods", authentication_methods.as_ref().map(|methods| json!(methods))),
        ("trusted_origins", trusted_origins.as_ref().map(|origins| json!(origins))),
    ];
    settings.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Whether two values are the same; lists are sets.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            let set = |items: &[Value]| items.iter().map(Value::to_string).collect::<BTreeSet<_>>();
            set(a) == set(b)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator_config::testing::{desired, remote};

    #[test]
    fn what_is_sent_is_what_the_spec_sets_under_the_names_of_the_api() {
        let created = json!(desired().create());
        assert_eq!(
            created,
            json!({
                "display_name": desired().display_name,
                "config": {
                    "type": "hosted_web",
                    "authentication_methods": [{"type": "webauthn_passkey"}, {"type": "software_passkey"}],
                    "trusted_origins": ["https://a.example.com"],
                }
            })
        );
    }

    #[test]
    fn a_patch_carries_the_type_and_only_what_differs() {
        let mut current = remote();
        assert_eq!(desired().patch(&current), None);
        current.config.as_mut().unwrap().insert("trusted_origins".to_owned(), json!([]));
        assert_eq!(
            json!(desired().patch(&current)),
            json!({"config": {"type": "hosted_web", "trusted_origins": ["https://a.example.com"]}})
        );
        current = RemoteConfig { display_name: Some("somebody's idea".to_owned()), ..remote() };
        assert_eq!(json!(desired().patch(&current)), json!({"display_name": desired().display_name}));
    }

    #[test]
    fn lists_are_sets_and_what_the_spec_does_not_set_is_left_alone() {
        let mut current = remote();
        let fields = current.config.as_mut().unwrap();
        fields.insert(
            "authentication_methods".to_owned(),
            json!([{"type": "software_passkey"}, {"type": "webauthn_passkey"}]),
        );
        fields.insert("something_new".to_owned(), json!(true));
        current.display_name = None;
        assert_eq!(desired().patch(&current), None);
    }

    #[test]
    fn a_configuration_is_ours_by_its_mark_and_its_type() {
        assert!(desired().is_ours(&remote()));
        assert!(!desired().is_ours(&RemoteConfig { display_name: None, ..remote() }));
        let mut other_type = remote();
        other_type.config.as_mut().unwrap().insert("type".to_owned(), json!("embedded"));
        assert!(!desired().is_ours(&other_type));
    }
}
