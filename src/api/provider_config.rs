//! ProviderConfig: the tenant, the realm and the credentials of one namespace.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::cluster_provider_config::{Credentials, Region};
use super::enrollment_limits::EnrollmentLimits;
use super::provider_config_status::ProviderConfigStatus;
use super::{CLUSTER_PATTERN, ID_PATTERN, Undecodable};

/// Connection of a namespace to a Beyond Identity realm: tenant, region and credentials.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "beyondidentity.dev",
    version = "v1alpha1",
    kind = "ProviderConfig",
    plural = "providerconfigs",
    shortname = "pc",
    category = "beyondidentity",
    namespaced,
    status = "ProviderConfigStatus",
    derive = "PartialEq",
    doc = "Connection of a namespace to a Beyond Identity realm: tenant, region and credentials.",
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = ".spec.tenantID", name = "Tenant", type_ = "string"),
    printcolumn(json_path = ".spec.realmID", name = "Realm", type_ = "string"),
    printcolumn(json_path = ".spec.region", name = "Region", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        name = "Message",
        type_ = "string",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "!has(oldSelf.tenantID) || !has(oldSelf.realmID) \
         || (self.tenantID == oldSelf.tenantID && self.realmID == oldSelf.realmID)"
    )
        .message("tenantID and realmID are immutable: create another ProviderConfig for another realm")
)]
pub struct ProviderConfigSpec {
    /// Id of the tenant, as shown in the Admin Console.
    #[serde(rename = "tenantID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub tenant_id: String,
    /// Id of the realm, as shown in the Admin Console.
    #[serde(rename = "realmID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub realm_id: String,
    /// Region that hosts the tenant.
    pub region: Region,
    /// Credentials of the operator. Their Secret is in the namespace of this object.
    pub credentials: Credentials,
    /// Limits on the enrolment emails that are sent through this provider config.
    #[serde(default)]
    pub enrollment: EnrollmentLimits,
    /// Whether other clusters may have configurations in this realm. Otherwise nothing is created or sent there while a
    /// configuration has the ownership mark of another cluster, because each of the two may email every identity.
    #[serde(default)]
    pub shared_realm: bool,
    /// Names of clusters that this one replaces. Their ownership marks count as those of this cluster: an
    /// AuthenticatorConfig adopts the configuration of the one with its namespace and name there, and marks it anew.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 32), regex(pattern = CLUSTER_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub former_cluster_names: Vec<String>,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}
