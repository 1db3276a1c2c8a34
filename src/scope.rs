//! What is watched together: one namespace, or the whole cluster. Each scope has stores and loops of its own,
//! since an object and what it refers to lie in one namespace.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, Client, Resource};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigKey};
use crate::backend::KubeBackend;
use crate::beyond_identity::HttpClient;
use crate::enrollment_request::reservations::{Holder, Reservations};
use crate::environment::{SystemEnvironment, wall_clock};
use crate::kubernetes::KubeObjects;
use crate::kubernetes::client::Server;
use crate::kubernetes::lenient::Lenient;
use crate::kubernetes::objects::Events;
use crate::kubernetes::own_writes::OwnWrites;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::users::KubeUsers;
use crate::kubernetes::watch::{Gone, filled, watch};
use crate::metrics::Metrics;
use crate::realm::limiter::Limiters;
use crate::realm::{KubeRealms, Providers};
use crate::reconcile::{Context, Kind, Memories, Options, reconcile};
use crate::runtime::readiness::Readiness;
use crate::settings::Settings;
use crate::triggers::{self, Cache, Enqueue};
use crate::wake::{self, Wake, Woken};

/// What the operator reaches the world by, whichever namespaces it watches.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) http: HttpClient,
    pub(crate) recorder: Recorder,
    pub(crate) providers: Arc<Providers>,
    pub(crate) environment: Arc<SystemEnvironment>,
    pub(crate) reservations: Arc<Reservations>,
    pub(crate) limiters: Arc<Limiters>,
    pub(crate) metrics: Arc<Metrics>,
}

/// One namespace, or the whole cluster.
pub(crate) struct Scope {
    /// `None` for the whole cluster.
    namespace: Option<String>,
    waker: Waker,
    own_writes: Arc<OwnWrites>,
    config_memories: Memories,
    request_memories: Memories,
    woken_configs: Woken<AuthenticatorConfig>,
    woken_requests: Woken<EnrollmentRequest>,
}

/// Wakes the loops of a scope for objects that have changed, or that refer to what has changed.
#[derive(Clone)]
pub(crate) struct Waker {
    configs: Store<AuthenticatorConfig>,
    requests: Store<EnrollmentRequest>,
    wake_config: Wake<AuthenticatorConfig>,
    wake_request: Wake<EnrollmentRequest>,
    options: Arc<Options>,
}

impl Scope {
    /// Starts to watch each namespace that the settings give, or the whole cluster where they give none.
    pub(crate) fn watch_all(
        settings: &Settings,
        server: &Server,
        readiness: &Readiness,
        reservations: &Arc<Reservations>,
        watches: &mut JoinSet<()>,
    ) -> Vec<Self> {
        let options = Arc::new(settings.options());
        let namespaces = match settings.watch_namespaces.as_slice() {
            [] => vec![None],
            namespaces => namespaces.iter().map(|namespace| Some(namespace.as_str())).collect(),
        };
        let watch = |namespace| Self::watch(namespace, &options, server, readiness, reservations, watches);
        namespaces.into_iter().map(watch).collect()
    }

    fn watch(
        namespace: Option<&str>,
        options: &Arc<Options>,
        Server { client, url }: &Server,
        readiness: &Readiness,
        reservations: &Arc<Reservations>,
        watches: &mut JoinSet<()>,
    ) -> Self {
        let (configs, config_writer) = reflector::store();
        let (requests, request_writer) = reflector::store();
        let (wake_config, woken_configs) = wake::queue();
        let (wake_request, woken_requests) = wake::queue();
        let waker = Waker { configs, requests, wake_config, wake_request, options: options.clone() };

        let own_writes = Arc::<OwnWrites>::default();
        let (own_configs, own_requests) = (own_writes.clone(), own_writes.clone());
        let (gone_configs, gone_requests) = (own_writes.clone(), own_writes.clone());
        let (config_memories, request_memories) = (Memories::default(), Memories::default());

        let (applied, gone) = (waker.clone(), waker.clone());
        let memories = config_memories.clone();
        watches.spawn(watch(
            api(client, namespace),
            WatchReport::new::<AuthenticatorConfig>(readiness, url, namespace),
            config_writer,
            move |before, config| {
                let edited = own_configs.hear(config);
                applied.enqueue(triggers::config_applied(before, config, edited, &applied));
            },
            move |config| {
                gone_configs.forget(&config.uid);
                memories.forget(&config.uid);
                gone.enqueue(triggers::config_deleted(Some(&config.namespace), &config.name, &gone));
            },
        ));
        let (applied, gone) = (waker.clone(), waker.clone());
        let (reservations, memories) = (reservations.clone(), request_memories.clone());
        watches.spawn(watch(
            api(client, namespace),
            WatchReport::new::<EnrollmentRequest>(readiness, url, namespace),
            request_writer,
            move |before, request| {
                let edited = own_requests.hear(request);
                applied.enqueue(triggers::request_applied(before, request, edited, &applied));
            },
            move |request| {
                gone_requests.forget(&request.uid);
                memories.forget(&request.uid);
                reservations.release(&holder(request));
                gone.enqueue(triggers::request_deleted(Some(&request.namespace), &gone));
            },
        ));
        let namespace = namespace.map(str::to_owned);
        Self { namespace, waker, own_writes, config_memories, request_memories, woken_configs, woken_requests }
    }

    /// The requests as the API server has them now, not as the watch has them.
    pub(crate) async fn list_requests(&self, client: &Client) -> kube::Result<Vec<EnrollmentRequest>> {
        let api: Api<Lenient<EnrollmentRequest>> = api(client, self.namespace.as_deref());
        let listed = api.list(&ListParams::default()).await?;
        Ok(listed.items.into_iter().map(|Lenient(request)| request).collect())
    }

    /// The requests, as they are watched.
    pub(crate) fn requests(&self) -> Store<EnrollmentRequest> {
        self.waker.requests.clone()
    }

    /// Wakes this scope's loops.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits until the stores hold what there is.
    pub(crate) async fn filled(&self) {
        filled(&self.waker.configs).await;
        filled(&self.waker.requests).await;
    }

    /// Starts the loops. They end, when what is under way has come to its end, after `ending` was cancelled.
    pub(crate) fn start(self, world: &World, ending: &CancellationToken, loops: &mut JoinSet<()>) {
        let World { settings, client, recorder, environment, reservations, metrics, .. } = world;
        let Waker { configs, requests, wake_config, wake_request, options } = self.waker;
        let (concurrency, own_writes) = (settings.max_concurrent_reconciles, self.own_writes);
        let events = Events { recorder: recorder.clone(), metrics: metrics.clone() };

        let backend = Arc::new(KubeBackend {
            configs: KubeObjects::new(client.clone(), configs.clone(), events.clone(), own_writes.clone()),
            requests: KubeObjects::new(client.clone(), requests.clone(), events, own_writes),
            users: KubeUsers { client: client.clone(), requests: requests.clone() },
            realms: KubeRealms {
                providers: world.providers.clone(),
                http: world.http.clone(),
                request_timeout: settings.request_timeout,
                allow_loopback: settings.allow_loopback_endpoints,
                limiters: world.limiters.clone(),
                metrics: metrics.clone(),
                wake: Arc::new(move |object| {
                    let (namespace, name) = (&object.namespace, &object.name);
                    match object.kind {
                        AuthenticatorConfig::CONTROLLER => wake_config.wake(ObjectRef::new(name).within(namespace)),
                        _ => wake_request.wake(ObjectRef::new(name).within(namespace)),
                    }
                }),
            },
        });

        let context = Arc::new(Context {
            backend: backend.clone(),
            environment: environment.clone(),
            shared: Arc::new(()),
            memories: self.config_memories,
            options: options.as_ref().clone(),
        });
        let look = move |config: Arc<AuthenticatorConfig>| {
            let context = context.clone();
            async move { reconcile(&context, Arc::unwrap_or_clone(config)).await }
        };
        loops.spawn(crate::loops::run(
            AuthenticatorConfig::CONTROLLER,
            configs.clone(),
            self.woken_configs,
            concurrency,
            ending.clone(),
            metrics.clone(),
            look,
        ));

        let context = Arc::new(Context {
            backend,
            environment: environment.clone(),
            shared: reservations.clone(),
            memories: self.request_memories,
            options: options.as_ref().clone(),
        });
        let look = move |request: Arc<EnrollmentRequest>| {
            let context = context.clone();
            async move { reconcile(&context, Arc::unwrap_or_clone(request)).await }
        };
        loops.spawn(crate::loops::run(
            EnrollmentRequest::CONTROLLER,
            requests,
            self.woken_requests,
            concurrency,
            ending.clone(),
            metrics.clone(),
            look,
        ));
    }
}

impl Waker {
    /// A person that this request waited for is free, or it may send to its identity now.
    pub(crate) fn reservation_freed(&self, holder: &Holder) {
        self.enqueue(triggers::reservation_freed(holder, self));
    }

    /// A provider config, or its Secret, has changed.
    pub(crate) fn provider_changed(&self, provider: &ProviderConfigKey) {
        self.enqueue(triggers::provider_config_changed(provider, self));
    }

    fn enqueue(&self, Enqueue { configs, requests }: Enqueue) {
        configs.into_iter().for_each(|config| self.wake_config.wake(config));
        requests.into_iter().for_each(|request| self.wake_request.wake(request));
    }
}

impl Cache for Waker {
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>> {
        self.configs.state()
    }

    fn requests(&self) -> Vec<Arc<EnrollmentRequest>> {
        self.requests.state()
    }

    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool {
        self.requests.get(request).is_some()
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Timestamp {
        wall_clock()
    }
}

/// A request that is gone, as one that held a person.
fn holder(Gone { uid, namespace, name }: &Gone) -> Holder {
    Holder { uid: uid.clone(), namespace: namespace.clone(), name: name.clone() }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<Lenient<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
