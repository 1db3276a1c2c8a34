//! The backend of this process: the real API server and the real service.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;

use crate::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, ProviderConfigRef};
use crate::beyond_identity::RealmClient;
use crate::kubernetes::KubeObjects;
use crate::kubernetes::lenient::Salvage;
use crate::kubernetes::referrers::KubeReferrers;
use crate::realm::KubeRealms;
use crate::reconcile::{Caller, EventToEmit, Failure, Objects, Realms, Referrers, Resolved, WriteError};

/// The real implementation of all ports.
pub(crate) struct KubeBackend {
    pub(crate) configs: KubeObjects<AuthenticatorConfig>,
    pub(crate) requests: KubeObjects<EnrollmentRequest>,
    pub(crate) referrers: KubeReferrers,
    pub(crate) realms: Arc<KubeRealms>,
}

/// Access to the objects of a kind.
pub(crate) trait HasObjects<K: Resource<DynamicType = ()> + 'static> {
    fn objects(&self) -> &KubeObjects<K>;
}

impl HasObjects<AuthenticatorConfig> for KubeBackend {
    fn objects(&self) -> &KubeObjects<AuthenticatorConfig> {
        &self.configs
    }
}

impl HasObjects<EnrollmentRequest> for KubeBackend {
    fn objects(&self) -> &KubeObjects<EnrollmentRequest> {
        &self.requests
    }
}

impl<K> Objects<K> for KubeBackend
where
    Self: HasObjects<K>,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Salvage + Debug + Send + Sync + HasStatus + 'static,
{
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.objects().cached(namespace, name)
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        self.objects().read(namespace, name).await
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        self.objects().write_status(object).await
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        self.objects().set_finalizer(object, present).await
    }

    fn emit_event(&self, object: &K, event: EventToEmit) {
        self.objects().emit_event(object, event);
    }
}

impl Referrers for KubeBackend {
    async fn referrers_of(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        self.referrers.referrers_of(namespace, name).await
    }
}

impl Realms for KubeBackend {
    type Remote = RealmClient;

    async fn resolve(&self, caller: Caller, reference: &ProviderConfigRef) -> Result<Resolved<RealmClient>, Failure> {
        self.realms.resolve(caller, reference).await
    }
}
