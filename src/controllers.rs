//! The controllers: one for each kind in a process. All watched namespaces share its workers fairly.

use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backend::KubeBackend;
use crate::beyond_identity::HttpClient;
use crate::environment::SystemEnvironment;
use crate::kubernetes::KubeObjects;
use crate::kubernetes::lenient::Salvage;
use crate::kubernetes::objects::Events;
use crate::kubernetes::referrers::KubeReferrers;
use crate::metrics::Metrics;
use crate::queue::{self, Driver};
use crate::realm::KubeRealms;
use crate::realm::limiter::Limiters;
use crate::reconcile::{Context, Kind, Objects, Reconciler, reconcile};
use crate::settings::Settings;
use crate::watches::{Watched, Watches};

/// The dependencies of the controllers.
pub(crate) struct OperatorContext {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) http: HttpClient,
    pub(crate) recorder: Recorder,
    pub(crate) environment: Arc<SystemEnvironment>,
    pub(crate) limiters: Arc<Limiters>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watches: Watches,
}

/// Starts all controllers. After `ending` is cancelled, they end when their running reconciles have ended.
pub(crate) fn start_all(context: &OperatorContext, ending: &CancellationToken, controllers: &mut JoinSet<()>) {
    let Watches { configs, requests, reservations, .. } = &context.watches;
    let backend = Arc::new(backend(context));
    start(context, configs, &backend, Arc::new(()), ending, controllers);
    start(context, requests, &backend, reservations.clone(), ending, controllers);
}

/// Starts the controller of a kind.
fn start<K>(
    OperatorContext { settings, metrics, environment, .. }: &OperatorContext,
    Watched { stores, queue, local_states }: &Watched<K>,
    backend: &Arc<KubeBackend>,
    shared: Arc<K::Shared>,
    ending: &CancellationToken,
    controllers: &mut JoinSet<()>,
) where
    K: Reconciler<KubeBackend> + Clone,
    KubeBackend: Objects<K>,
{
    let context = Arc::new(Context {
        backend: backend.clone(),
        environment: environment.clone(),
        shared,
        local_states: local_states.clone(),
        options: settings.options(),
    });
    let (stores, queue, waiting) = (stores.clone(), queue.clone(), queue.clone());
    let depth = move || waiting.depth().into_iter().map(|(priority, depth)| (priority.label(), depth)).collect();
    metrics.runs(K::NAME.controller(), settings.max_concurrent_reconciles, depth);
    let get = move |object: &ObjectRef<K>| stores.get(object);
    let reconcile = move |object: Arc<K>| {
        let context = context.clone();
        async move { reconcile(&context, Arc::unwrap_or_clone(object)).await }
    };
    let driver = Driver { controller: K::NAME.controller(), queue, get, reconcile, metrics: metrics.clone() };
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
        realms: KubeRealms {
            providers: watches.providers.clone(),
            http: http.clone(),
            request_timeout: settings.request_timeout,
            endpoints: settings.endpoints.clone(),
            limiters: limiters.clone(),
            metrics: metrics.clone(),
            enqueue: Arc::new(move |object| queues.turn_granted(object)),
        },
    }
}

/// The objects of one kind.
fn objects<K>(context: &OperatorContext, watched: &Watched<K>) -> KubeObjects<K>
where
    K: Kind + Resource<Scope = NamespaceResourceScope> + Salvage,
{
    let OperatorContext { client, recorder, metrics, watches, .. } = context;
    let events = Events { recorder: recorder.clone(), metrics: metrics.clone() };
    KubeObjects::new(client.clone(), watched.stores.clone(), events, watches.self_writes.clone())
}
