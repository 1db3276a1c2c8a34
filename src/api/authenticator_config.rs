//! AuthenticatorConfig: how an identity's passkey will be bound, kept in Beyond Identity as the spec says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::config_spec::{ConfigSpec, ConfigType};
use super::status::{Common, CommonMut, CommonStatus};
use super::{ID_PATTERN, NO_INVISIBLE, NO_INVISIBLE_MESSAGE, ProviderConfigRef, STATUS_TEXT, Undecodable};

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
    derive = "PartialEq",
    doc = "An authenticator configuration of a Beyond Identity realm.",
    validation = Rule::new(
        "!has(self.status) || !(has(self.status.id) || has(self.status.create)) \
         || (self.spec.config.type == oldSelf.spec.config.type \
             && self.spec.providerConfigRef == oldSelf.spec.providerConfigRef \
             && has(self.spec.resourceID) == has(oldSelf.spec.resourceID) \
             && (!has(self.spec.resourceID) || self.spec.resourceID == oldSelf.spec.resourceID))"
    ).message("spec.config.type, spec.providerConfigRef and spec.resourceID are immutable once the configuration was created \
               or adopted: create another AuthenticatorConfig"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = ".spec.config.type", name = "Type", type_ = "string"),
    printcolumn(json_path = ".status.id", name = "ID", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Message", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.managementPolicy != 'Observe' || has(self.resourceID)")
        .message("managementPolicy Observe requires resourceID, the id of the configuration to observe"),
    validation = Rule::new("self.managementPolicy == 'Observe' || self.config.type != 'embedded' \
                            || (has(self.config.invokeURL) && has(self.config.trustedOrigins))")
        .message("config.type embedded requires config.invokeURL and config.trustedOrigins"),
    validation = Rule::new("self.managementPolicy == 'Observe' || self.config.type != 'console' \
                            || has(self.config.onboardingConfiguration)")
        .message("config.type console requires config.onboardingConfiguration")
)]
pub struct AuthenticatorConfigSpec {
    /// The provider config to use.
    #[serde(default)]
    pub provider_config_ref: ProviderConfigRef,
    /// Display name in the Admin Console. The operator appends an ownership mark that names this object.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new(NO_INVISIBLE).message(NO_INVISIBLE_MESSAGE))]
    #[x_kube(validation = Rule::new(r"!self.matches('[(){}\\[\\]<>;:?\\\\/|*^%$#=~`!]')").message(
        r"must not contain any of (){}[]<>;:?\/|*^%$#=~`! (rejected by the API; parentheses are reserved for the ownership mark)"
    ))]
    #[x_kube(validation = Rule::new(
        r"!self.matches('[\\x{ff08}\\x{ff09}\\x{fe59}\\x{fe5a}\\x{207d}\\x{207e}\\x{208d}\\x{208e}\\x{2768}-\\x{276b}\\x{fe35}\\x{fe36}]')"
    ).message("must not contain characters that look like parentheses, which are reserved for the ownership mark"))]
    pub display_name: Option<String>,
    /// Settings of the configuration, with the values of the Beyond Identity API.
    pub config: ConfigSpec,
    /// Id of an existing configuration to adopt or to observe. If unset, a configuration is created.
    #[serde(rename = "resourceID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub resource_id: Option<String>,
    /// Whether the operator manages the configuration or only observes it.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What happens to the configuration when this object is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}

/// Whether the operator writes to the Beyond Identity API.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum ManagementPolicy {
    /// The operator creates or adopts the configuration, keeps it in line with the spec, and deletes it.
    #[default]
    Manage,
    /// The operator only checks that the configuration `resourceID` exists.
    Observe,
}

/// What happens to the configuration when this object is deleted. If unset, it is `Orphan` with `resourceID`, because that
/// configuration existed before this object, and `Delete` without it. An observed configuration is never deleted.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The configuration is deleted.
    Delete,
    /// The configuration remains, with its ownership mark.
    Orphan,
}

/// Observed state of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorConfigStatus {
    /// The generation that the conditions describe. −1 means not reconciled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Id of the configuration in the realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub id: Option<String>,
    /// Base URL of the API that has the configuration. A 404 from any other URL does not count as its deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// Id of the realm that has the configuration.
    #[serde(rename = "realmID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: Option<String>,
    /// Id of the tenant that has the configuration.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: Option<String>,
    /// Write-ahead record of a create. While it is present, the configuration may have been created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateRecord>,
    /// Fields of the spec that this object sets or has set on the configuration. One that is removed from the spec is unset
    /// there, and then leaves this list. Fields that are not in it are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub set_fields: Vec<String>,
    /// Values that the service keeps otherwise than they were sent. They are not sent again for the same generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["field"])
    )]
    pub other_values: Vec<OtherValue>,
    /// When the current recoverable failure began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_since: Option<String>,
    /// The last handled value of the annotation `beyondidentity.dev/reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub last_handled_reconcile_at: Option<String>,
    /// Current conditions, by the Kubernetes API conventions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// A value that the service keeps otherwise than it was sent.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OtherValue {
    /// Name of the field in the spec.
    #[schemars(length(max = 64))]
    pub field: String,
    /// The generation of the spec that was sent.
    pub generation: i64,
    /// Hash of the value that the service keeps. Any other value is drift.
    #[schemars(length(max = 64))]
    pub hash: String,
}

/// The write-ahead record of a create, written before the call that it announces.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CreateRecord {
    /// Random id of this create.
    #[schemars(length(max = 64))]
    pub id: String,
    /// Base URL of the API that receives the create. Only that API knows whether the configuration was created. If unset, as
    /// in records of earlier versions, it is the URL of the provider config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// Id of the tenant.
    #[serde(rename = "tenantID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: String,
    /// Id of the realm.
    #[serde(rename = "realmID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: String,
    /// Timeout of the call in seconds, counted from just before this record was written.
    #[schemars(range(min = 0, max = 3600))]
    pub timeout_seconds: i64,
    /// Fields of the spec that the create sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub set_fields: Vec<String>,
}

impl CommonStatus for AuthenticatorConfigStatus {
    fn common(&self) -> Common<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        Common { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }

    fn common_mut(&mut self) -> CommonMut<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        CommonMut { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }
}
