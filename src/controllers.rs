//! The controllers: one for each kind in a process. All watched namespaces share its workers fairly.

use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backend::KubeBackend;
use crate::beyond_identity::HttpClient;
use crate::environment::SystemEnvironment;
use crate::kubernetes::KubeObjects;
use crate::kubernetes::events::Events;
use crate::kubernetes::lenient::Salvage;
use crate::kubernetes::pack::Pack;
use crate::kubernetes::referrers::KubeReferrers;
use crate::kubernetes::stores::Stores;
use crate::metrics::Metrics;
use crate::provider_config::{ControlledProvider, ProviderController};
use crate::queue::{self, Driver, ReconcileQueue};
use crate::realm::KubeRealms;
use crate::realm::limiter::Limiters;
use crate::reconcile::{Context, Kind, Objects, ReconcileResult, Reconciler, reconcile};
use crate::settings::Settings;
use crate::watches::{Watched, Watches};

/// The dependencies of the controllers.
pub(crate) struct OperatorContext {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) http: HttpClient,
    pub(crate) events: Events,
    pub(crate) environment: Arc<SystemEnvironment>,
    pub(crate) limiters: Arc<Limiters>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watches: Watches,
}

/// Starts all controllers. After `ending` is cancelled, they end when their running reconciles have ended.
pub(crate) fn start_all(context: &OperatorContext, ending: &CancellationToken, controllers: &mut JoinSet<()>) {
    let Watches { configs, requests, shared, providers, queues, .. } = &context.watches;
    let backend = Arc::new(backend(context));
    start(context, configs, &backend, Arc::new(()), ending, controllers);
    start(context, requests, &backend, Arc::new(shared.clone()), ending, controllers);
    let (watcher, realms, realm_lists) = (shared.watcher.clone(), backend.realms.clone(), shared.realm_lists.clone());
    let (environment, ended) = (context.environment.clone(), ending.clone());
    controllers.spawn(async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = watcher.run(&*realms, &*environment) => {}
            () = realm_lists.forget_unused() => {}
        }
    });

    let writes_cluster_scoped = context.settings.watch_namespaces.is_empty();
    if !writes_cluster_scoped {
        tracing::info!(
            "The status of ClusterProviderConfigs is not written, because only some namespaces are watched; their health \
             is reported in this log"
        );
    }
    let stores = providers.stores();
    let cluster = KubeObjects::new(
        context.client.clone(),
        |client, _| Api::all(client),
        stores.cluster.clone(),
        context.events.clone(),
        context.watches.self_writes.clone(),
    );
    let controller = provider_controller(context, &backend, cluster, writes_cluster_scoped);
    start_provider_controller(context, controller, &stores.cluster, &queues.cluster_providers, ending, controllers);
    let namespaced = KubeObjects::new(
        context.client.clone(),
        Api::namespaced,
        stores.namespaced.clone(),
        context.events.clone(),
        context.watches.self_writes.clone(),
    );
    let controller = provider_controller(context, &backend, namespaced, true);
    start_provider_controller(context, controller, &stores.namespaced, &queues.providers, ending, controllers);
}

/// The controller of one kind of provider config.
fn provider_controller<K: ControlledProvider>(
    OperatorContext { settings, environment, watches, .. }: &OperatorContext,
    backend: &KubeBackend,
    objects: KubeObjects<K>,
    writes: bool,
) -> ProviderController<K> {
    ProviderController {
        objects,
        environment: environment.clone(),
        realms: backend.realms.clone(),
        queues: watches.queues.clone(),
        interval: settings.resync_interval,
        grace: settings.grace_period,
        writes,
        memory: Mutex::default(),
    }
}

/// Starts the controller of one kind of provider config.
fn start_provider_controller<K: ControlledProvider>(
    context: &OperatorContext,
    controller: ProviderController<K>,
    stores: &Stores<K>,
    queue: &ReconcileQueue<K>,
    ending: &CancellationToken,
    controllers: &mut JoinSet<()>,
) {
    let controller = Arc::new(controller);
    let reconcile = move |object: Arc<K>| {
        let controller = controller.clone();
        async move { controller.reconcile(Arc::unwrap_or_clone(object)).await }
    };
    drive(context, K::KIND.controller(), (stores, queue), reconcile, ending, controllers);
}

/// Starts the controller of a kind.
fn start<K>(
    operator: &OperatorContext,
    Watched { stores, queue, local_states }: &Watched<K>,
    backend: &Arc<KubeBackend>,
    shared: Arc<K::Shared>,
    ending: &CancellationToken,
    controllers: &mut JoinSet<()>,
) where
    K: Reconciler<KubeBackend> + Pack,
    KubeBackend: Objects<K>,
{
    let context = Arc::new(Context {
        backend: backend.clone(),
        environment: operator.environment.clone(),
        shared,
        local_states: local_states.clone(),
        options: operator.settings.options(),
    });
    let reconcile = move |object: Arc<K>| {
        let context = context.clone();
        async move { reconcile(&context, Arc::unwrap_or_clone(object)).await }
    };
    drive(operator, K::NAME.controller(), (stores, queue), reconcile, ending, controllers);
}

/// Runs the reconciles of one kind. An object in a namespace whose requests are not all known counts as absent: it could
/// act against what they have reserved. All objects of the namespace are enqueued when they are known.
fn drive<K, F>(
    OperatorContext { settings, metrics, watches, .. }: &OperatorContext,
    controller: &'static str,
    (stores, queue): (&Stores<K>, &ReconcileQueue<K>),
    reconcile: impl Fn(Arc<K>) -> F + Send + 'static,
    ending: &CancellationToken,
    controllers: &mut JoinSet<()>,
) where
    K: Resource<DynamicType = ()> + Pack + Send + Sync + 'static,
    F: Future<Output = ReconcileResult> + Send + 'static,
{
    let (stores, queue, waiting) = (stores.clone(), queue.clone(), queue.clone());
    let depth = move || waiting.depth().into_iter().map(|(priority, depth)| (priority.label(), depth)).collect();
    metrics.runs(controller, settings.max_concurrent_reconciles, depth);
    let reservations = watches.shared.reservations.clone();
    let get = move |object: &ObjectRef<K>| {
        let is_known = object.namespace.is_none() || reservations.is_seeded(&object.namespace);
        stores.get(object).filter(|_| is_known)
    };
    let driver = Driver { controller, queue, get, reconcile, metrics: metrics.clone() };
    controllers.spawn(queue::run(driver, ending.clone()));
}

/// The real implementation of the ports.
fn backend(context: &OperatorContext) -> KubeBackend {
    let OperatorContext { settings, client, http, limiters, metrics, watches, .. } = context;
    let queues = watches.queues.clone();
    KubeBackend {
        configs: objects(context, &watches.configs),
        requests: objects(context, &watches.requests),
        referrers: KubeReferrers { client: client.clone(), requests: watches.requests.stores.clone() },
        realms: Arc::new(KubeRealms {
            providers: watches.providers.clone(),
            http: http.clone(),
            request_timeout: settings.request_timeout,
            endpoints: settings.endpoints.clone(),
            limiters: limiters.clone(),
            metrics: metrics.clone(),
            enqueue: Arc::new(move |object| queues.turn_granted(object)),
            healths: watches.healths.clone(),
        }),
    }
}

/// The objects of one kind.
fn objects<K>(context: &OperatorContext, watched: &Watched<K>) -> KubeObjects<K>
where
    K: Kind + Resource<Scope = NamespaceResourceScope> + Salvage,
{
    let OperatorContext { client, watches, .. } = context;
    let self_writes = watches.self_writes.clone();
    KubeObjects::new(client.clone(), Api::namespaced, watched.stores.clone(), context.events.clone(), self_writes)
}
