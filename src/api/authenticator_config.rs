//! AuthenticatorConfig: how an identity's passkey will be bound, kept on the remote side as the spec says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ProviderConfigRef, STATUS_TEXT, has_status};

/// An authenticator configuration of a Beyond Identity realm.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "beyondidentity.dev",
    version = "v1alpha1",
    kind = "AuthenticatorConfig",
    plural = "authenticatorconfigs",
    shortname = "ac",
    category = "beyondidentity",
    namespaced,
    status = "AuthenticatorConfigStatus",
    doc = "An authenticator configuration of a Beyond Identity realm.",
    validation = Rule::new(
        "!has(self.status) || !(has(self.status.id) || has(self.status.create)) \
         || (self.spec.config.type == oldSelf.spec.config.type && self.spec.providerConfigRef == oldSelf.spec.providerConfigRef)"
    ).message("spec.config.type and spec.providerConfigRef cannot change once the configuration was made: make another AuthenticatorConfig"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = ".spec.config.type", name = "Type", type_ = "string"),
    printcolumn(json_path = ".status.id", name = "ID", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Message", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorConfigSpec {
    /// The provider config to go through.
    #[serde(default)]
    pub provider_config_ref: ProviderConfigRef,
    /// A name for people, shown in the Admin Console. A mark that names this object is added at its end.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^(){}\[\]<>;:?\\/|*^%$#=~`!\x00-\x1f]*$"))]
    pub display_name: Option<String>,
    /// The settings of the configuration, written as the Beyond Identity API writes their values.
    pub config: ConfigSpec,
}

/// The settings of an authenticator configuration.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSpec {
    /// The type of the configuration.
    #[serde(rename = "type")]
    pub type_: ConfigType,
    /// How a person may authenticate, in the hosted web page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub authentication_methods: Option<Vec<AuthenticationMethod>>,
    /// Origins that may call the API from a browser: scheme, host, and perhaps a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub trusted_origins: Option<Vec<String>>,
}

/// The types of configuration.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConfigType {
    /// The vendor's hosted web page: what enrolment emails lead to.
    HostedWeb,
}

impl ConfigType {
    /// The type as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostedWeb => "hosted_web",
        }
    }
}

/// One way to authenticate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AuthenticationMethod {
    /// The method, as the API writes it.
    #[serde(rename = "type")]
    pub type_: AuthenticationMethodType,
}

/// The ways to authenticate that the hosted web page offers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethodType {
    /// A passkey in the browser, backed by the device's hardware.
    WebauthnPasskey,
    /// A passkey kept in the browser.
    SoftwarePasskey,
    /// A one-time password by email.
    EmailOneTimePassword,
}

/// What the operator knows of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorConfigStatus {
    /// The generation of the spec that the conditions are about. −1: nobody has looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// The configuration's id in the realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub id: Option<String>,
    /// The realm that the configuration was made in.
    #[serde(rename = "realmID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: Option<String>,
    /// The tenant that the configuration was made in.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: Option<String>,
    /// The write-ahead record of a create. While it is there, the create may have happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateRecord>,
    /// Since when something is owed that could come right without a change of this object (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_since: Option<String>,
    /// The value of the annotation `beyondidentity.dev/reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub last_handled_reconcile_at: Option<String>,
    /// What is so, by the Kubernetes conventions for conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The write-ahead record of a create, written before the call that it announces.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CreateRecord {
    /// Drawn anew for each create.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The tenant.
    #[serde(rename = "tenantID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: String,
    /// The realm.
    #[serde(rename = "realmID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: String,
    /// For how many seconds, from just before this record was written, the call may run.
    #[schemars(range(min = 0, max = 3600))]
    pub timeout_seconds: i64,
}

has_status!(AuthenticatorConfig);
