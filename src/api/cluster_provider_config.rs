//! ClusterProviderConfig: which tenant and realm, where, with which credentials, and for which namespaces.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allowed_namespaces::AllowedNamespaces;
use super::config_spec::ConfigType;
use super::enrollment_limits::EnrollmentLimits;
use super::provider_config_status::ProviderConfigStatus;
use super::{
    CLUSTER_PATTERN, ID_PATTERN, NAME_PATTERN, NO_SLASH, NO_SLASH_MESSAGE, ORIGINS, ORIGINS_MESSAGE, Undecodable,
};

/// A scheme, and a host with an optional port where the scheme needs one. Nothing in which URL parsers could differ.
const ORIGIN_PATTERN: &str = r"^[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:\[\]-]*$";

/// A scope by RFC 6749, section 3.3.
const SCOPE_PATTERN: &str = r"^[\x21\x23-\x5B\x5D-\x7E]+$";

/// Connection to a Beyond Identity realm: tenant, API, credentials, and the namespaces that may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "beyondidentity.dev",
    version = "v1alpha1",
    kind = "ClusterProviderConfig",
    plural = "clusterproviderconfigs",
    shortname = "cpc",
    category = "beyondidentity",
    status = "ProviderConfigStatus",
    derive = "PartialEq",
    doc = "Connection to a Beyond Identity realm: tenant, API, credentials, and the namespaces that may use it.",
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
    validation = Rule::new("has(self.region) != has(self.endpoint)")
        .message("exactly one of region and endpoint must be set"),
    validation = Rule::new(
        "!has(self.endpoint) || has(self.endpoint.auth) || !has(self.credentials) || !has(self.credentials.clientCredentials)"
    )
    .message("endpoint.auth is required with credentials.clientCredentials: set it to the URL that issues tokens"),
    validation = Rule::new("self.tenantID == oldSelf.tenantID && self.realmID == oldSelf.realmID")
        .message("tenantID and realmID are immutable: create another ClusterProviderConfig for another realm")
)]
pub struct ClusterProviderConfigSpec {
    /// Id of the tenant, as shown in the Admin Console.
    #[serde(rename = "tenantID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub tenant_id: String,
    /// Id of the realm, as shown in the Admin Console.
    #[serde(rename = "realmID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub realm_id: String,
    /// Region that hosts the tenant. Mutually exclusive with `endpoint`.
    pub region: Option<Region>,
    /// Endpoint of the API, and of tokens. Mutually exclusive with `region`.
    pub endpoint: Option<EndpointSpec>,
    /// Credentials of the operator.
    pub credentials: Credentials,
    /// Namespaces that may refer to this provider config. If unset or empty, none may.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Whether these namespaces may adopt any configuration of the realm by its id (`resourceID`), and so change or delete
    /// it.
    #[serde(rename = "allowResourceIDs", default)]
    pub allow_resource_ids: bool,
    /// Whether these namespaces may revoke links that their requests adopted through an AuthenticatorConfig with
    /// `managementPolicy: Observe`. Another namespace, or a person in the console, may have sent them.
    #[serde(default)]
    pub allow_revoking_adopted_links: bool,
    /// Types of the configurations that these namespaces may create or change. If unset, only `hosted_web`. The emailed
    /// link of an `embedded` configuration leads to its `invokeURL`, with the enrolment token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub allowed_config_types: Option<Vec<ConfigType>>,
    /// Addresses that `config.invokeURL` may have: scheme, host and optional port (`https://app.example.com`), or the
    /// scheme of a native app (`myapp://`). If unset or empty, none.
    #[serde(rename = "allowedInvokeURLs", default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 4, max = 512), regex(pattern = ORIGIN_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_invoke_urls: Vec<String>,
    /// Origins that `config.trustedOrigins` may contain: scheme, host and optional port. If unset, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(min = 4, max = 512)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new(NO_SLASH).message(NO_SLASH_MESSAGE))]
    #[x_kube(validation = Rule::new(ORIGINS).message(ORIGINS_MESSAGE))]
    pub allowed_trusted_origins: Option<Vec<String>>,
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

/// Region that hosts the tenant. Mutually exclusive with `endpoint`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash)]
pub enum Region {
    /// United States.
    US,
    /// European Union.
    EU,
    /// United States, FedRAMP.
    USFedRAMP,
}

/// Endpoint of the API, and of tokens.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[x_kube(
    validation = Rule::new(r"!has(self.api) || self.api.matches('^[hH][tT][tT][pP][sS]?://[A-Za-z0-9._:\\[\\]-]+/?$')")
        .message("api must be https://HOST or https://HOST:PORT, without a user, path, query or fragment"),
    validation = Rule::new(r"!has(self.auth) || self.auth.matches('^[hH][tT][tT][pP][sS]?://[A-Za-z0-9._:\\[\\]-]+/?$')")
        .message("auth must be https://HOST or https://HOST:PORT, without a user, path, query or fragment")
)]
pub struct EndpointSpec {
    /// Base URL of the API: https, a host and an optional port, without a path.
    #[schemars(length(min = 1, max = 512))]
    pub api: String,
    /// Base URL of the token endpoint: https, a host and an optional port, without a path. Required with
    /// `clientCredentials`.
    #[schemars(length(min = 1, max = 512))]
    pub auth: Option<String>,
}

/// Credentials of the operator. Exactly one of the two must be set.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.apiToken) != has(self.clientCredentials)")
    .message("exactly one of apiToken and clientCredentials must be set"))]
pub struct Credentials {
    /// An API token created in the Admin Console. Mutually exclusive with `clientCredentials`.
    pub api_token: Option<ApiTokenCredentials>,
    /// OAuth2 client credentials of an application. The operator requests short-lived tokens with them. Mutually
    /// exclusive with `apiToken`.
    pub client_credentials: Option<ClientCredentials>,
}

/// An API token created in the Admin Console.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenCredentials {
    /// Secret that holds the token: in the operator's namespace for a ClusterProviderConfig, and in its own for a
    /// ProviderConfig.
    pub secret_ref: SecretKeyRef,
}

/// OAuth2 client credentials of an application.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentials {
    /// Id of the application, as shown in the Admin Console.
    #[serde(rename = "applicationID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub application_id: String,
    /// Id of the realm of the application. Defaults to the realm of the provider config. The application of the
    /// Management API is in the admin realm.
    #[serde(rename = "realmID")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub realm_id: Option<String>,
    /// Scopes to request. If unset or empty, the scopes of the application apply.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 128), regex(pattern = SCOPE_PATTERN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub scopes: Vec<String>,
    /// Secret that holds the client id and the client secret, under the keys `clientID` and `clientSecret`: in the
    /// operator's namespace for a ClusterProviderConfig, and in its own for a ProviderConfig.
    pub secret_ref: SecretRef,
}

/// A Secret.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// A key of a Secret.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Key in the data of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}
