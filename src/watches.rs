//! The watches: the objects of each kind in each watched namespace, and the provider configs. They feed the queues.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{AuthenticatorConfig, EnrollmentRequest};
use crate::enrollment_request::pacer::SendPacer;
use crate::enrollment_request::realm_lists::{RealmLists, Sharing};
use crate::enrollment_request::reservations::{Claim, Reservations};
use crate::enrollment_request::shared::Shared;
use crate::enrollment_request::watcher::JobWatcher;
use crate::kubernetes::availability::{Availability, ReadReporter, WatchScope};
use crate::kubernetes::client::Server;
use crate::kubernetes::lenient::Lenient;
use crate::kubernetes::objects::is_forbidden;
use crate::kubernetes::pages::list_each;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::self_writes::SelfWriteFilter;
use crate::kubernetes::store::StoreWriter;
use crate::kubernetes::stores::Stores;
use crate::kubernetes::watch::{scoped, watch};
use crate::queue::ReconcileQueue;
use crate::queues::Queues;
use crate::realm::health::Healths;
use crate::realm::{ProviderCallbacks, ProviderStores, Providers};
use crate::reconcile::{Kind, LocalStates, ObjectUid};
use crate::runtime::readiness::Readiness;
use crate::settings::Settings;
use crate::triggers::{self, Fingerprint};

/// The delay before a list of all requests is retried. Each of its pages has a timeout of its own.
const RETRY: Duration = Duration::from_secs(2);

/// All watches, with their stores and queues.
pub(crate) struct Watches {
    pub(crate) configs: Watched<AuthenticatorConfig>,
    pub(crate) requests: Watched<EnrollmentRequest>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) healths: Arc<Healths>,
    /// What all requests share.
    pub(crate) shared: Shared,
    pub(crate) self_writes: Arc<SelfWriteFilter>,
    pub(crate) queues: Queues,
    /// Which of the watched namespaces can be read.
    pub(crate) availability: Availability,
    /// The watched namespaces, or `None` for the whole cluster, each with the source of its list of requests.
    scopes: Vec<(WatchScope, ReadReporter)>,
}

/// The objects of one kind, in all watched namespaces.
pub(crate) struct Watched<K: Kind> {
    pub(crate) stores: Stores<K>,
    pub(crate) queue: ReconcileQueue<K>,
    pub(crate) local_states: LocalStates<K>,
}

impl Watches {
    /// Starts the watches of `settings`.
    pub(crate) fn start(
        settings: &Settings,
        server: &Server,
        readiness: &Readiness,
        watches: &mut JoinSet<()>,
    ) -> Self {
        let scopes = match &settings.watch_namespaces[..] {
            [] => vec![None],
            namespaces => namespaces.iter().cloned().map(Some).collect(),
        };
        let availability = Availability::new(&scopes);
        watches.spawn(availability.clone().follow());
        let (config_stores, config_writers) = Stores::<AuthenticatorConfig>::new(&scopes);
        let (request_stores, request_writers) = Stores::<EnrollmentRequest>::new(&scopes);

        let (provider_stores, provider_writers) = ProviderStores::new(&scopes, settings);
        let queues =
            Queues::new(&config_stores, &request_stores, &provider_stores, settings.bounds(), settings.options());
        let freed = queues.clone();
        let reservations = Reservations::new(move |holder: &ObjectUid| freed.reservation_freed(holder));
        let granted = queues.clone();
        let pacer = SendPacer::new(move |request| granted.turn_granted(request));
        let allowed = queues.clone();
        let times = settings.options().times;
        let watcher = JobWatcher::new(settings.poll_budget, times, move |request| allowed.job_may_be_read(request));
        let checks = queues.clone();
        let healths = Healths::new(&settings.cluster_name, move |provider| checks.check(provider));
        let (changed, deleted, forgotten) = (queues.clone(), queues.clone(), healths.clone());
        let (relabeled, written) = (queues.clone(), queues.clone());
        let callbacks = ProviderCallbacks {
            changed: Arc::new(move |provider| changed.provider_config_changed(provider)),
            status_written: Arc::new(move |provider| written.check(provider)),
            deleted: Arc::new(move |provider| {
                forgotten.forget(provider);
                deleted.remove_provider_config(provider);
            }),
            relabeled: Arc::new(move |providers, namespaces| relabeled.namespaces_relabeled(providers, namespaces)),
        };
        let stores = (provider_stores, provider_writers);
        let providers = Providers::watch(server, readiness, (&scopes, &availability), stores, callbacks, watches);
        let this = Self {
            configs: Watched {
                stores: config_stores,
                queue: queues.configs.clone(),
                local_states: LocalStates::default(),
            },
            requests: Watched {
                stores: request_stores,
                queue: queues.requests.clone(),
                local_states: LocalStates::default(),
            },
            providers: Arc::new(providers),
            healths,
            shared: Shared::new(reservations, pacer, watcher, RealmLists::new(Sharing::WhenCheaper)),
            self_writes: Arc::default(),
            queues,
            scopes: scopes.into_iter().map(|scope| (scope.clone(), availability.list(&scope))).collect(),
            availability,
        };
        for (((scope, _), configs), requests) in this.scopes.iter().zip(config_writers).zip(request_writers) {
            let source = this.availability.watch(scope);
            let report = WatchReport::within::<AuthenticatorConfig>(readiness, &server.url, scope, source);
            watches.spawn(this.watch_configs(scoped(&server.client, scope), report, configs));
            let source = this.availability.watch(scope);
            let report = WatchReport::within::<EnrollmentRequest>(readiness, &server.url, scope, source);
            watches.spawn(this.watch_requests(scoped(&server.client, scope), report, requests));
        }
        this
    }

    fn watch_configs(
        &self,
        api: Api<Lenient<AuthenticatorConfig>>,
        report: WatchReport,
        writer: StoreWriter<AuthenticatorConfig>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (applied, went, self_writes) = (self.queues.clone(), self.queues.clone(), self.self_writes.clone());
        let forget = self.configs.forget(&self.self_writes);
        watch(
            api,
            report,
            writer,
            move |before, config| {
                let edited = self_writes.delivered(before, config);
                let before = before.map(Fingerprint::of);
                applied.enqueue(triggers::config_applied(before, config, edited, &applied));
            },
            move |config| {
                forget(config);
                went.enqueue(triggers::config_deleted(Some(&config.namespace), &config.name, &went));
            },
        )
    }

    fn watch_requests(
        &self,
        api: Api<Lenient<EnrollmentRequest>>,
        report: WatchReport,
        writer: StoreWriter<EnrollmentRequest>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (applied, went, self_writes) = (self.queues.clone(), self.queues.clone(), self.self_writes.clone());
        let (forget, shared) = (self.requests.forget(&self.self_writes), self.shared.clone());
        let realm_lists = shared.realm_lists.clone();
        watch(
            api,
            report,
            writer,
            move |before, request| {
                let edited = self_writes.delivered(before, request);
                let before = before.map(Fingerprint::of);
                realm_lists.observe(request, Instant::now());
                applied.enqueue(triggers::request_applied(before, request, edited, &applied));
            },
            move |request| {
                forget(request);
                shared.released(request);
                went.enqueue(triggers::request_deleted(Some(&request.namespace), &went));
            },
        )
    }

    /// Waits until the caches are synced: those of all watched namespaces, except unavailable ones.
    pub(crate) async fn synced(&self) {
        self.providers.synced().await;
        self.availability.known().await;
        for (scope, _) in &self.scopes {
            if self.availability.is_available(scope) {
                self.synced_in(scope).await;
            }
        }
    }

    async fn synced_in(&self, scope: &WatchScope) {
        self.providers.stores().namespaced.synced_in(scope).await;
        self.configs.stores.synced_in(scope).await;
        self.requests.stores.synced_in(scope).await;
    }

    /// Seeds the reservations from the API server, not from the watch caches. Retries until it answers. A namespace that
    /// is unavailable is left to [`seed_later`](Self::seed_later).
    pub(crate) async fn seed(&self, client: &Client) {
        let (mut seeded, mut claims) = (Vec::new(), Vec::new());
        for (scope, source) in &self.scopes {
            let Some(mut listed) = self.claims_in(client, scope, source).await else { continue };
            claims.append(&mut listed);
            // Its requests can be listed, but perhaps not what they refer to.
            if self.availability.is_available(scope) {
                seeded.push(scope.clone());
            }
        }
        self.shared.reservations.seed_claims(&seeded, claims);
    }

    /// Seeds the reservations from each namespace that becomes available only later, and then lets its objects be
    /// reconciled. Runs forever.
    pub(crate) async fn seed_later(&self, client: &Client) {
        loop {
            let is_later = |(scope, _): &&(WatchScope, ReadReporter)| !self.shared.reservations.is_seeded(scope);
            let later: Vec<_> = self.scopes.iter().filter(is_later).collect();
            let scopes: Vec<_> = later.iter().map(|(scope, _)| scope).collect();
            let Some((scope, source)) = later.get(self.availability.one_of(&scopes).await) else { continue };
            self.synced_in(scope).await;
            if let Some(claims) = self.claims_in(client, scope, source).await {
                self.shared.reservations.seed_claims(std::slice::from_ref(scope), claims);
                self.queues.enqueue_namespace(scope);
            }
        }
    }

    /// The claims of the requests in `scope`, from the API server. Retries until it answers; `None` if the namespace is unavailable.
    async fn claims_in(&self, client: &Client, scope: &WatchScope, source: &ReadReporter) -> Option<Vec<Claim>> {
        let (api, mut warned_of): (Api<Lenient<EnrollmentRequest>>, _) = (scoped(client, scope), String::new());
        loop {
            let mut listed = Vec::new();
            let each = |Lenient(request): Lenient<EnrollmentRequest>| listed.extend(Claim::of(&request));
            let why = match list_each(&api, ListParams::default(), each).await {
                Ok(()) => {
                    source.synced();
                    return Some(listed);
                }
                Err(error) => {
                    let why = error.to_string();
                    if is_forbidden(&error) {
                        source.denied(&why);
                        if self.availability.is_unavailable(scope) {
                            return None;
                        }
                    }
                    why
                }
            };
            if why != warned_of {
                tracing::warn!(
                    namespace = scope,
                    error = why,
                    "Cannot list EnrollmentRequests; the objects that need them wait until this succeeds"
                );
                warned_of = why;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl<K: Kind> Watched<K> {
    /// A callback that removes the local state of a deleted object.
    fn forget(&self, self_writes: &Arc<SelfWriteFilter>) -> impl Fn(&ObjectUid) + Send + 'static + use<K> {
        let (queue, local_states, self_writes) = (self.queue.clone(), self.local_states.clone(), self_writes.clone());
        move |object| {
            self_writes.forget(&object.uid);
            local_states.remove(&object.uid);
            queue.remove(&ObjectRef::new(&object.name).within(&object.namespace));
        }
    }
}
