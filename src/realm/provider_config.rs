//! A provider config of any kind: its realm and endpoint, its Secret, and the namespaces that may use it.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::cluster_provider_config::{EndpointSpec, Region, SecretKeyRef};
use crate::api::config_policy::ConfigPolicy;
use crate::api::{self, ClusterProviderConfig, ProviderConfigKey, ProviderConfigKind, Undecodable};
use crate::beyond_identity::ApiToken;
use crate::kubernetes::lenient::Salvage;
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
    /// The Secret with the token.
    pub(super) secret: ObjectRef<Secret>,
    /// The key in that Secret.
    pub(super) secret_key: String,
    /// Whether an annotation stops all sends through it.
    pub(super) is_paused: bool,
    /// The rules for the namespaces that use it; `None` for a namespaced kind, whose realm is that of its namespace.
    pub(super) access: Option<Access>,
}

/// Which namespaces may use a cluster-scoped provider config, and for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Access {
    /// The namespaces that may use it.
    pub(super) allowed_namespaces: Vec<String>,
    /// Whether these namespaces may adopt any configuration of the realm by its id.
    pub(super) allow_resource_ids: bool,
    /// Which configurations these namespaces may create or change.
    pub(super) config_policy: ConfigPolicy,
}

impl ProviderConfig {
    /// A hash of everything that decides whether its calls succeed: where they go, and the token.
    pub(super) fn version(&self, token: &ApiToken) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.region, self.endpoint.as_ref().map(|endpoint| &endpoint.api)).hash(&mut hasher);
        (&self.tenant_id, &self.realm_id).hash(&mut hasher);
        token.hash_into(&mut hasher);
        hasher.finish()
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
        let SecretKeyRef { name, key } = &spec.credentials.api_token.secret_ref;
        Ok(ProviderConfig {
            key: self.key(),
            tenant_id: spec.tenant_id.clone(),
            realm_id: spec.realm_id.clone(),
            region: spec.region,
            endpoint: spec.endpoint.clone(),
            secret: ObjectRef::new(name).within(operator_namespace),
            secret_key: key.clone(),
            is_paused: is_paused(self),
            access: Some(Access {
                allowed_namespaces: spec.allowed_namespaces.names.clone(),
                allow_resource_ids: spec.allow_resource_ids,
                config_policy: ConfigPolicy {
                    types: spec.allowed_config_types.clone(),
                    invoke_urls: spec.allowed_invoke_urls.clone(),
                    trusted_origins: spec.allowed_trusted_origins.clone(),
                },
            }),
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
        let SecretKeyRef { name, key } = &spec.credentials.api_token.secret_ref;
        Ok(ProviderConfig {
            key: self.key(),
            tenant_id: spec.tenant_id.clone(),
            realm_id: spec.realm_id.clone(),
            region: Some(spec.region),
            endpoint: None,
            secret: ObjectRef::new(name).within(&self.namespace().unwrap_or_default()),
            secret_key: key.clone(),
            is_paused: is_paused(self),
            access: None,
        })
    }
}
