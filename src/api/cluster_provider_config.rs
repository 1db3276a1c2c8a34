//! ClusterProviderConfig: which tenant and realm, where, with which credentials, and for which namespaces.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID_PATTERN, NAME_PATTERN, Undecodable};

/// A tenant and realm of Beyond Identity, how to reach it, and which namespaces may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "beyondidentity.dev",
    version = "v1alpha1",
    kind = "ClusterProviderConfig",
    plural = "clusterproviderconfigs",
    shortname = "cpc",
    category = "beyondidentity",
    doc = "A tenant and realm of Beyond Identity, how to reach it, and which namespaces may use it.",
    printcolumn(json_path = ".spec.tenantID", name = "Tenant", type_ = "string"),
    printcolumn(json_path = ".spec.realmID", name = "Realm", type_ = "string"),
    printcolumn(json_path = ".spec.region", name = "Region", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.region) != has(self.endpoint)")
        .message("give exactly one of region and endpoint"),
    validation = Rule::new("self.tenantID == oldSelf.tenantID && self.realmID == oldSelf.realmID")
        .message("tenantID and realmID are immutable: make another ClusterProviderConfig for another realm")
)]
pub struct ClusterProviderConfigSpec {
    /// The tenant's id, as the Admin Console shows it.
    #[serde(rename = "tenantID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub tenant_id: String,
    /// The realm's id, as the Admin Console shows it.
    #[serde(rename = "realmID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub realm_id: String,
    /// The region in which the tenant is hosted. Give this, or `endpoint`.
    pub region: Option<Region>,
    /// Where the API is served, instead of `region`.
    pub endpoint: Option<EndpointSpec>,
    /// How the operator authenticates.
    pub credentials: Credentials,
    /// Which namespaces may refer to this provider config. Absent or empty: none.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Whether these namespaces may take over any configuration of the realm by its id (`resourceID`), and so change or
    /// delete it.
    #[serde(rename = "allowResourceIDs", default)]
    pub allow_resource_ids: bool,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}

/// The vendor's regions, each with fixed hosts.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum Region {
    /// United States.
    US,
    /// European Union.
    EU,
    /// United States, FedRAMP.
    USFedRAMP,
}

/// Where the API is served.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct EndpointSpec {
    /// Base URL of the API: https, a host, perhaps a port, and no path.
    #[schemars(length(min = 1, max = 512))]
    pub api: String,
}

/// How the operator authenticates.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A token made in the Admin Console.
    pub api_token: ApiTokenCredentials,
}

/// A token made in the Admin Console.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenCredentials {
    /// The Secret that holds the token. It lies in the operator's namespace.
    pub secret_ref: SecretKeyRef,
}

/// A key of a Secret in the operator's namespace.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// The key in the Secret's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Which namespaces may use a provider config.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AllowedNamespaces {
    /// The namespaces by name.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
}
