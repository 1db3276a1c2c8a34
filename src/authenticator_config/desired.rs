//! The desired state of an AuthenticatorConfig, in the format of the API. Pure.

use kube::ResourceExt;
use serde_json::{Value, json};

use super::mark::OwnershipMark;
use crate::api::authenticator_config::{DeletionPolicy, ManagementPolicy};
use crate::api::config_spec::{ConfigSpec, OnboardingConfiguration, RoamingAuthConfig, VerificationMethod};
use crate::api::{AuthenticatorConfig, ProviderConfigRef};
use crate::beyond_identity::types::{AuthenticatorConfigPatch, Fields, NewAuthenticatorConfig};
use crate::reconcile::{Lifecycle, Options};

/// The desired state of an AuthenticatorConfig.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The provider config to use.
    pub provider_config_ref: ProviderConfigRef,
    /// The ownership mark of the remote configuration.
    pub mark: OwnershipMark,
    /// The display name to send, including the mark.
    pub display_name: String,
    /// Whether the spec sets a display name.
    pub is_named: bool,
    /// The type, as the API writes it.
    pub type_: &'static str,
    /// The settings to send, including `type`; only those that the spec sets.
    pub fields: Fields,
    /// The settings of the spec, as the provider config may allow them.
    pub config: ConfigSpec,
    /// The id of an existing configuration, which is to be adopted or observed.
    pub resource_id: Option<String>,
    /// What happens to the configuration at a deletion, if the spec says so.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether the operator must not write to the Beyond Identity API.
    pub observe: bool,
    /// The settings that objects of every kind have.
    pub lifecycle: Lifecycle,
}

impl Desired {
    /// Reads the desired state of `config`, in the cluster that `options` names.
    pub fn of(config: &AuthenticatorConfig, options: &Options) -> Self {
        let (namespace, name) = (config.namespace().unwrap_or_default(), config.name_any());
        let spec = &config.spec;
        let mark = OwnershipMark::of(&options.cluster, &namespace, &name);
        Self {
            namespace,
            name,
            provider_config_ref: spec.provider_config_ref.clone(),
            display_name: mark.behind(spec.display_name.as_deref()),
            is_named: spec.display_name.is_some(),
            mark,
            type_: spec.config.type_.as_str(),
            fields: fields(&spec.config),
            config: spec.config.clone(),
            resource_id: spec.resource_id.clone(),
            deletion_policy: spec.deletion_policy,
            observe: spec.management_policy == ManagementPolicy::Observe,
            lifecycle: Lifecycle::of(
                config,
                match spec.deletion_policy {
                    Some(policy) => policy == DeletionPolicy::Orphan,
                    // What this object did not create is not its to delete.
                    None => spec.resource_id.is_some(),
                } || options.orphan_on_delete,
                spec.undecodable.as_ref().map(|undecodable| undecodable.why.as_str()),
            ),
        }
    }

    /// The body of a create request.
    pub fn create(&self) -> NewAuthenticatorConfig {
        NewAuthenticatorConfig { display_name: Some(self.display_name.clone()), config: self.fields.clone() }
    }
}

/// The settings in the format of the API.
fn fields(config: &ConfigSpec) -> Fields {
    let ConfigSpec {
        type_,
        authentication_methods,
        trusted_origins,
        invoke_url,
        invocation_type,
        onboarding_configuration,
        roaming_auth_config,
    } = config;
    set([
        ("type", Some(json!(type_))),
        (AUTHENTICATION_METHODS.0, authentication_methods.as_ref().map(|methods| json!(methods))),
        (TRUSTED_ORIGINS.0, trusted_origins.as_ref().map(|origins| json!(origins))),
        (INVOKE_URL.0, invoke_url.as_ref().map(|url| json!(url))),
        (INVOCATION_TYPE.0, invocation_type.map(|type_| json!(type_))),
        (ONBOARDING_CONFIGURATION.0, onboarding_configuration.as_ref().map(onboarding)),
        (ROAMING_AUTH_CONFIG.0, roaming_auth_config.as_ref().map(roaming)),
    ])
}

fn onboarding(OnboardingConfiguration { verification_method }: &OnboardingConfiguration) -> Value {
    let VerificationMethod { type_, idp_id } = verification_method;
    let method = set([("type", Some(json!(type_))), ("idp_id", idp_id.as_ref().map(|id| json!(id)))]);
    json!({ "verification_method": method })
}

fn roaming(config: &RoamingAuthConfig) -> Value {
    let RoamingAuthConfig { enabled, allow_unknown_user, allowed_source_ips, allowed_user_group_ids, allowed_user_ids } =
        config;
    let list = |list: &Option<Vec<String>>| list.as_ref().map(|items| json!(items));
    Value::Object(set([
        ("enabled", Some(json!(enabled))),
        ("allow_unknown_user", Some(json!(allow_unknown_user))),
        ("allowed_source_ips", list(allowed_source_ips)),
        ("allowed_user_group_ids", list(allowed_user_group_ids)),
        ("allowed_user_ids", list(allowed_user_ids)),
    ]))
}

/// Keeps only the settings that are set.
fn set<const N: usize>(settings: [(&str, Option<Value>); N]) -> Fields {
    settings.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// The name of the display name in the spec.
pub(super) const DISPLAY_NAME: &str = "displayName";

/// The names of a setting in the API and in the spec.
pub(super) type Setting = (&'static str, &'static str);

pub(super) const AUTHENTICATION_METHODS: Setting = ("authentication_methods", "config.authenticationMethods");
pub(super) const TRUSTED_ORIGINS: Setting = ("trusted_origins", "config.trustedOrigins");
pub(super) const INVOKE_URL: Setting = ("invoke_url", "config.invokeURL");
pub(super) const INVOCATION_TYPE: Setting = ("invocation_type", "config.invocationType");
pub(super) const ONBOARDING_CONFIGURATION: Setting = ("onboarding_configuration", "config.onboardingConfiguration");
pub(super) const ROAMING_AUTH_CONFIG: Setting = ("roaming_auth_config", "config.roamingAuthConfig");

const SETTINGS: [Setting; 6] = [
    AUTHENTICATION_METHODS,
    TRUSTED_ORIGINS,
    INVOKE_URL,
    INVOCATION_TYPE,
    ONBOARDING_CONFIGURATION,
    ROAMING_AUTH_CONFIG,
];

/// The name in the spec of the setting `key` of the API.
pub(super) fn spec_name(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|(name, _)| *name == key)
}

/// Whether a PATCH changes this field, which has its name in the spec.
pub(super) fn is_in_patch(field: &str, patch: &AuthenticatorConfigPatch) -> bool {
    fields_of(patch).any(|name| name == field)
}

/// The fields that a PATCH changes, by their names in the spec.
pub fn changed_fields(patch: &AuthenticatorConfigPatch) -> String {
    fields_of(patch).collect::<Vec<_>>().join(", ")
}

fn fields_of(patch: &AuthenticatorConfigPatch) -> impl Iterator<Item = &'static str> {
    let config = patch.config.iter().flatten();
    let settings = config.filter_map(|(key, _)| spec_name(key)).map(|(_, name)| *name);
    patch.display_name.iter().map(|_| DISPLAY_NAME).chain(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator_config::testing::{desired, object_with};
    use crate::reconcile::testing::options;

    #[test]
    fn create_body_has_spec_fields_in_api_names() {
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
    fn each_type_is_serialized_as_the_api_writes_it() {
        for (config, sent) in [
            (json!({"type": "hosted_web"}), json!({"type": "hosted_web"})),
            (
                json!({
                    "type": "embedded",
                    "invokeURL": "https://app.example.com/bi",
                    "invocationType": "manual",
                    "trustedOrigins": [],
                    "authenticationMethods": [{"type": "email_one_time_password"}],
                }),
                json!({
                    "type": "embedded",
                    "invoke_url": "https://app.example.com/bi",
                    "invocation_type": "manual",
                    "trusted_origins": [],
                    "authentication_methods": [{"type": "email_one_time_password"}],
                }),
            ),
            (
                json!({
                    "type": "console",
                    "onboardingConfiguration": {"verificationMethod": {"type": "idp", "idpID": "an-id"}},
                }),
                json!({
                    "type": "console",
                    "onboarding_configuration": {"verification_method": {"type": "idp", "idp_id": "an-id"}},
                }),
            ),
            (
                json!({"type": "console", "onboardingConfiguration": {"verificationMethod": {"type": "none"}}}),
                json!({"type": "console", "onboarding_configuration": {"verification_method": {"type": "none"}}}),
            ),
            (
                json!({
                    "type": "platform",
                    "roamingAuthConfig": {
                        "enabled": true,
                        "allowUnknownUser": false,
                        "allowedSourceIPs": ["192.0.2.0/24"],
                        "allowedUserGroupIDs": ["group"],
                        "allowedUserIDs": ["jane"],
                    },
                }),
                json!({
                    "type": "platform",
                    "roaming_auth_config": {
                        "enabled": true,
                        "allow_unknown_user": false,
                        "allowed_source_ips": ["192.0.2.0/24"],
                        "allowed_user_group_ids": ["group"],
                        "allowed_user_ids": ["jane"],
                    },
                }),
            ),
        ] {
            let object = object_with(json!({"config": config}));
            assert_eq!(json!(Desired::of(&object, &options()).create().config), sent);
        }
    }

    #[test]
    fn deletion_without_a_policy_keeps_what_existed_before() {
        for (policy, resource_id, orphan) in [
            (None, None, false),
            (None, Some("an-id"), true),
            (Some("Delete"), None, false),
            (Some("Delete"), Some("an-id"), false),
            (Some("Orphan"), None, true),
            (Some("Orphan"), Some("an-id"), true),
        ] {
            let mut spec = json!({"config": {"type": "hosted_web"}});
            policy.iter().for_each(|policy| spec["deletionPolicy"] = json!(policy));
            resource_id.iter().for_each(|id| spec["resourceID"] = json!(id));
            let of = |orphan_on_delete| {
                Desired::of(&object_with(spec.clone()), &Options { orphan_on_delete, ..options() }).lifecycle.orphan
            };
            assert_eq!((of(false), of(true)), (orphan, true), "{spec}");
        }
    }

    #[test]
    fn changed_fields_have_their_spec_names() {
        let fields = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), json!(1))).collect::<Fields>();
        let patch = AuthenticatorConfigPatch {
            display_name: Some("x".to_owned()),
            config: Some(fields(&["type", "trusted_origins", "invoke_url"])),
        };
        assert_eq!(changed_fields(&patch), "displayName, config.invokeURL, config.trustedOrigins");
    }
}
