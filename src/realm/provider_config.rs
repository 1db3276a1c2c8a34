//! A provider config of any kind: its realm and endpoint, its Secret, and the namespaces that may use it.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::access::{Access, NamespaceRules};
use super::secret::Credential;
use crate::api::cluster_provider_config::{ClientCredentials, Credentials, EndpointSpec, Region};
use crate::api::config_policy::ConfigPolicy;
use crate::api::enrollment_limits::EnrollmentLimits;
use crate::api::{self, ClusterProviderConfig, ProviderConfigKey, ProviderConfigKind, Undecodable};
use crate::kubernetes::lenient::Salvage;
use crate::reconcile::RealmRules;
use crate::reconcile::annotations::is_paused;

/// A provider config in the form that the operator uses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProviderConfig {
    /// Its key.
    pub(super) key: ProviderConfigKey,
    /// The tenant.
    pub(super) tenant_id: String,
    /// The realm.
    pub(super) realm_id: String,
    /// The region, if it names one.
    pub(super) region: Option<Region>,
    /// The endpoint, if it names one.
    pub(super) endpoint: Option<EndpointSpec>,
    /// Its credentials; `None` if it does not name exactly one kind of them.
    pub(super) credentials: Option<CredentialsRef>,
    /// Whether an annotation stops all sends through it.
    pub(super) is_paused: bool,
    /// The rules for the namespaces that use it; `None` for a namespaced kind, whose realm is that of its namespace.
    pub(super) access: Option<Access>,
    /// How many emails may be sent, and where they may lead.
    pub(super) enrollment: EnrollmentLimits,
    /// Which clusters may use its realm.
    pub(super) realm_rules: RealmRules,
}

/// The credentials that a provider config refers to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CredentialsRef {
    /// The Secret that holds them.
    pub(super) secret: ObjectRef<Secret>,
    /// Which credentials the Secret holds.
    pub(super) kind: CredentialsKind,
}

/// A kind of credentials.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CredentialsKind {
    /// An API token.
    ApiToken {
        /// The key in the Secret.
        key: String,
    },
    /// OAuth2 client credentials.
    Client(Application),
}

impl CredentialsKind {
    /// The field below `spec.credentials`.
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::ApiToken { .. } => "apiToken",
            Self::Client(_) => "clientCredentials",
        }
    }
}

/// The application that issues the tokens for client credentials.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(super) struct Application {
    /// Its id.
    pub(super) id: String,
    /// Its realm.
    pub(super) realm_id: String,
    /// The scopes to request.
    pub(super) scopes: Vec<String>,
}

impl CredentialsRef {
    /// The credentials of a provider config for this realm, whose Secret is in `namespace`.
    fn of(credentials: &Credentials, realm_id: &str, namespace: &str) -> Option<Self> {
        let (secret, kind) = match (&credentials.api_token, &credentials.client_credentials) {
            (Some(token), None) => {
                (&token.secret_ref.name, CredentialsKind::ApiToken { key: token.secret_ref.key.clone() })
            }
            (None, Some(client)) => {
                let ClientCredentials { application_id, realm_id: own, scopes, secret_ref } = client;
                let realm_id = own.as_deref().unwrap_or(realm_id).to_owned();
                let application = Application { id: application_id.clone(), realm_id, scopes: scopes.clone() };
                (&secret_ref.name, CredentialsKind::Client(application))
            }
            (Some(_), Some(_)) | (None, None) => return None,
        };
        Some(Self { secret: ObjectRef::new(secret).within(namespace), kind })
    }
}

impl ProviderConfig {
    /// A hash of everything that decides whether its calls succeed: where they go, and the credentials. A renewed access
    /// token does not change it.
    pub(super) fn version(&self, credential: &Credential) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.region, self.endpoint.as_ref().map(|endpoint| &endpoint.api)).hash(&mut hasher);
        (&self.tenant_id, &self.realm_id).hash(&mut hasher);
        match credential {
            Credential::Token(token) => token.hash_into(&mut hasher),
            Credential::Client(application, client) => {
                (self.endpoint.as_ref().map(|endpoint| &endpoint.auth), application).hash(&mut hasher);
                client.hash_into(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The Secret with its credentials.
    pub(super) fn secret(&self) -> Option<&ObjectRef<Secret>> {
        self.credentials.as_ref().map(|credentials| &credentials.secret)
    }

    /// Whether both have the same region, endpoint, tenant and realm. Access rules are not compared.
    pub(super) fn has_same_destination(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.region, it.endpoint.clone(), it.tenant_id.clone(), it.realm_id.clone());
        place(self) == place(other)
    }
}

/// A kind of provider config.
pub(crate) trait ProviderConfigResource: Salvage + Debug + Send + Sync + 'static {
    /// The name of the kind.
    const KIND: ProviderConfigKind;

    /// The key of this object.
    fn key(&self) -> ProviderConfigKey {
        ProviderConfigKey { kind: Self::KIND, namespace: self.namespace(), name: self.name_any() }
    }

    /// Reads the object, or returns why this version cannot decode it; it is not used then. The Secrets of
    /// cluster-scoped kinds are in `operator_namespace`.
    fn read(&self, operator_namespace: &str) -> Result<ProviderConfig, &Undecodable>;
}

impl ProviderConfigResource for ClusterProviderConfig {
    const KIND: ProviderConfigKind = ProviderConfigKind::ClusterProviderConfig;

    fn read(&self, operator_namespace: &str) -> Result<ProviderConfig, &Undecodable> {
        let spec = &self.spec;
        if let Some(undecodable) = &spec.undecodable {
            return Err(undecodable);
        }
        Ok(ProviderConfig {
            key: self.key(),
            tenant_id: spec.tenant_id.clone(),
            realm_id: spec.realm_id.clone(),
            region: spec.region,
            endpoint: spec.endpoint.clone(),
            credentials: CredentialsRef::of(&spec.credentials, &spec.realm_id, operator_namespace),
            is_paused: is_paused(self),
            access: Some(Access {
                namespaces: NamespaceRules::of(&spec.allowed_namespaces),
                allow_resource_ids: spec.allow_resource_ids,
                allow_revoking_adopted_links: spec.allow_revoking_adopted_links,
                config_policy: ConfigPolicy {
                    types: spec.allowed_config_types.clone(),
                    invoke_urls: spec.allowed_invoke_urls.clone(),
                    trusted_origins: spec.allowed_trusted_origins.clone(),
                },
            }),
            enrollment: spec.enrollment.clone(),
            realm_rules: RealmRules {
                is_shared: spec.shared_realm,
                former_clusters: spec.former_cluster_names.clone(),
            },
        })
    }
}

impl ProviderConfigResource for api::ProviderConfig {
    const KIND: ProviderConfigKind = ProviderConfigKind::ProviderConfig;

    fn read(&self, _: &str) -> Result<ProviderConfig, &Undecodable> {
        let spec = &self.spec;
        if let Some(undecodable) = &spec.undecodable {
            return Err(undecodable);
        }
        Ok(ProviderConfig {
            key: self.key(),
            tenant_id: spec.tenant_id.clone(),
            realm_id: spec.realm_id.clone(),
            region: Some(spec.region),
            endpoint: None,
            credentials: CredentialsRef::of(&spec.credentials, &spec.realm_id, &self.namespace().unwrap_or_default()),
            is_paused: is_paused(self),
            access: None,
            enrollment: spec.enrollment.clone(),
            realm_rules: RealmRules {
                is_shared: spec.shared_realm,
                former_clusters: spec.former_cluster_names.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn exactly_one_kind_of_credentials_is_used() {
        let token = json!({"secretRef": {"name": "a", "key": "token"}});
        let client = json!({"applicationID": "application", "secretRef": {"name": "b"}});
        let of = |credentials: Value| {
            let credentials: Credentials = serde_json::from_value(credentials).unwrap();
            CredentialsRef::of(&credentials, "realm", "operator")
        };
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"apiToken": token, "clientCredentials": client})), None);
        assert_eq!(of(json!({"apiToken": token})).unwrap().secret, ObjectRef::new("a").within("operator"));
        let credentials = of(json!({"clientCredentials": client})).unwrap();
        assert_eq!(credentials.secret, ObjectRef::new("b").within("operator"));
        let application =
            Application { id: "application".to_owned(), realm_id: "realm".to_owned(), scopes: Vec::new() };
        assert_eq!(credentials.kind, CredentialsKind::Client(application), "by default, it is in the same realm");
    }
}
