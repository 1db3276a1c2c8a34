//! The queues of all kinds. Changes enqueue objects by the rules of `triggers.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use crate::api::{
    AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest, ProviderConfig, ProviderConfigKey,
    ProviderConfigKind,
};
use crate::environment::wall_clock;
use crate::kubernetes::pack::Pack;
use crate::kubernetes::stores::Stores;
use crate::queue::fair::Bounds;
use crate::queue::{ReconcileQueue, class};
use crate::realm::ProviderStores;
use crate::reconcile::ObjectUid;
use crate::reconcile::{KindName, ObjectKey, Options};
use crate::triggers::{self, Cache, Enqueue};

/// The queues of all kinds. Clones share the same queues.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) configs: ReconcileQueue<AuthenticatorConfig>,
    pub(crate) requests: ReconcileQueue<EnrollmentRequest>,
    pub(crate) cluster_providers: ReconcileQueue<ClusterProviderConfig>,
    pub(crate) providers: ReconcileQueue<ProviderConfig>,
    config_stores: Stores<AuthenticatorConfig>,
    request_stores: Stores<EnrollmentRequest>,
    provider_stores: Stores<ProviderConfig>,
    options: Arc<Options>,
}

impl Queues {
    /// Empty queues for the objects of these stores.
    pub(crate) fn new(
        configs: &Stores<AuthenticatorConfig>,
        requests: &Stores<EnrollmentRequest>,
        providers: &ProviderStores,
        bounds: Bounds,
        options: Options,
    ) -> Self {
        let options = Arc::new(options);
        let (stores, by) = (configs.clone(), options.clone());
        let config_queue = ReconcileQueue::new(bounds, move |object, cause| {
            let config = stores.get(object)?;
            Some(class::of_config(&config, cause, &by, wall_clock()))
        });
        let (stores, named, by) = (requests.clone(), configs.clone(), options.clone());
        let request_queue = ReconcileQueue::new(bounds, move |object, cause| {
            let request = stores.get(object)?;
            let namespace = request.metadata.namespace.clone().unwrap_or_default();
            let config = |name: &str| named.get(&ObjectRef::new(name).within(&namespace));
            Some(class::of_request(&request, config, cause, &by, wall_clock()))
        });
        let stores = providers.cluster.clone();
        let cluster_providers = ReconcileQueue::new(bounds, move |object, cause| {
            Some(class::of_provider_config(&*stores.get(object)?, cause))
        });
        let (stores, namespaced) = (providers.namespaced.clone(), providers.namespaced.clone());
        let providers = ReconcileQueue::new(bounds, move |object, cause| {
            Some(class::of_provider_config(&*stores.get(object)?, cause))
        });
        Self {
            configs: config_queue,
            requests: request_queue,
            cluster_providers,
            providers,
            config_stores: configs.clone(),
            request_stores: requests.clone(),
            provider_stores: namespaced,
            options,
        }
    }

    /// Enqueues a request whose reservation became free, or that may send to its identity now.
    pub(crate) fn reservation_freed(&self, holder: &ObjectUid) {
        self.enqueue(triggers::reservation_freed(holder, self));
    }

    /// Enqueues a provider config that has changed, or whose Secret has, and its objects.
    pub(crate) fn provider_config_changed(&self, provider: &ProviderConfigKey) {
        self.check(provider);
        self.enqueue(triggers::provider_config_changed(provider, self));
    }

    /// Enqueues the provider configs that select namespaces by their labels, and their objects in these namespaces.
    pub(crate) fn namespaces_relabeled(&self, providers: &[ProviderConfigKey], namespaces: &BTreeSet<String>) {
        providers.iter().for_each(|provider| self.check(provider));
        self.enqueue(triggers::namespaces_relabeled(providers, namespaces, self));
    }

    /// Enqueues the objects that waited for a provider config.
    pub(crate) fn provider_config_ready(&self, provider: &ProviderConfigKey) {
        self.enqueue(triggers::provider_config_ready(provider, self));
    }

    /// Enqueues a provider config.
    pub(crate) fn check(&self, ProviderConfigKey { kind, namespace, name }: &ProviderConfigKey) {
        match kind {
            ProviderConfigKind::ClusterProviderConfig => self.cluster_providers.enqueue(ObjectRef::new(name)),
            ProviderConfigKind::ProviderConfig => {
                self.providers.enqueue(ObjectRef::new(name).within(namespace.as_deref().unwrap_or_default()));
            }
        }
    }

    /// Removes a deleted provider config.
    pub(crate) fn remove_provider_config(&self, ProviderConfigKey { kind, namespace, name }: &ProviderConfigKey) {
        match kind {
            ProviderConfigKind::ClusterProviderConfig => self.cluster_providers.remove(&ObjectRef::new(name)),
            ProviderConfigKind::ProviderConfig => {
                self.providers.remove(&ObjectRef::new(name).within(namespace.as_deref().unwrap_or_default()));
            }
        }
    }

    /// Enqueues a request whose job may be read.
    pub(crate) fn job_may_be_read(&self, request: &ObjectKey) {
        self.requests.enqueue(ObjectRef::new(&request.name).within(&request.namespace));
    }

    /// Enqueues an object at its turn to call its tenant.
    pub(crate) fn turn_granted(&self, ObjectKey { kind, namespace, name }: &ObjectKey) {
        match kind {
            KindName::AuthenticatorConfig => self.configs.grant_turn(ObjectRef::new(name).within(namespace)),
            KindName::EnrollmentRequest => self.requests.grant_turn(ObjectRef::new(name).within(namespace)),
        }
    }

    /// Enqueues all objects of a watched namespace.
    pub(crate) fn enqueue_namespace(&self, namespace: &Option<String>) {
        fn within<K>(stores: &Stores<K>, scope: &Option<String>) -> Vec<ObjectRef<K>>
        where
            K: Resource<DynamicType = ()> + Pack + 'static,
        {
            let mut within = Vec::new();
            stores.each(|object| {
                if scope.is_none() || object.meta().namespace == *scope {
                    within.push(ObjectRef::from_obj(&**object));
                }
            });
            within
        }
        within(&self.provider_stores, namespace).into_iter().for_each(|it| self.providers.enqueue(it));
        self.enqueue(Enqueue {
            configs: within(&self.config_stores, namespace),
            requests: within(&self.request_stores, namespace),
        });
    }

    /// Enqueues the objects of a trigger.
    pub(crate) fn enqueue(&self, Enqueue { configs, requests }: Enqueue) {
        configs.into_iter().for_each(|config| self.configs.enqueue(config));
        requests.into_iter().for_each(|request| self.requests.enqueue(request));
    }
}

impl Cache for Queues {
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>> {
        self.config_stores.state()
    }

    fn requests(&self) -> Vec<Arc<EnrollmentRequest>> {
        self.request_stores.unfinished()
    }

    fn each_finished(&self, each: &mut dyn FnMut(&EnrollmentRequest)) {
        self.request_stores.each_finished(|request| each(request));
    }

    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool {
        self.request_stores.get(request).is_some()
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Timestamp {
        wall_clock()
    }
}
