//! AuthenticatorConfig: how an identity's passkey will be bound, kept on the remote side as the spec says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::config_spec::{ConfigSpec, ConfigType};
use super::status::{Common, CommonMut, CommonStatus};
use super::{ID_PATTERN, ProviderConfigRef, STATUS_TEXT, Undecodable};

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
    ).message("spec.config.type, spec.providerConfigRef and spec.resourceID cannot change once the configuration was made or \
               taken over: make another AuthenticatorConfig"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = ".spec.config.type", name = "Type", type_ = "string"),
    printcolumn(json_path = ".status.id", name = "ID", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Message", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.managementPolicy != 'Observe' || has(self.resourceID)")
        .message("managementPolicy Observe needs resourceID: the id of the configuration to observe"),
    validation = Rule::new("self.managementPolicy == 'Observe' || self.config.type != 'embedded' \
                            || (has(self.config.invokeURL) && has(self.config.trustedOrigins))")
        .message("config.type embedded needs config.invokeURL and config.trustedOrigins"),
    validation = Rule::new("self.managementPolicy == 'Observe' || self.config.type != 'console' \
                            || has(self.config.onboardingConfiguration)")
        .message("config.type console needs config.onboardingConfiguration")
)]
pub struct AuthenticatorConfigSpec {
    /// The provider config to go through.
    #[serde(default)]
    pub provider_config_ref: ProviderConfigRef,
    /// A name for people, shown in the Admin Console. A mark that names this object is added at its end.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\x00-\x1f]*$"))]
    #[x_kube(validation = Rule::new(r"!self.matches('[(){}\\[\\]<>;:?\\\\/|*^%$#=~`!]')").message(
        r"must have none of (){}[]<>;:?\/|*^%$#=~`! (the service refuses them, and parentheses are the mark's)"
    ))]
    pub display_name: Option<String>,
    /// The settings of the configuration, written as the Beyond Identity API writes their values.
    pub config: ConfigSpec,
    /// The id of a configuration that exists already, to take it over or to observe it. Absent: one is made.
    #[serde(rename = "resourceID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub resource_id: Option<String>,
    /// Whether the configuration is kept as this object says, or only observed.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// What becomes of the configuration when this object is deleted. One that is only observed stays in any case.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}

/// Whether the operator writes to the remote side.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum ManagementPolicy {
    /// It makes the configuration or takes it over, keeps it as the spec says, and deletes it.
    #[default]
    Manage,
    /// It only looks whether the configuration of `resourceID` is there.
    Observe,
}

/// What becomes of the remote configuration when its object is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, with its mark.
    Orphan,
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
    /// The base URL of the API that has the configuration. What answers at another one is not believed that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
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
    /// The base URL of the API that it is sent to. Only there can be found out whether the configuration was made. Absent in
    /// a record of an earlier version: the provider config leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
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
