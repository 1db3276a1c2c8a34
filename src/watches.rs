//! The watches: the objects of each kind in each watched namespace, and the provider configs. They feed the queues.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::{Api, Client};
use tokio::task::JoinSet;

use crate::api::{AuthenticatorConfig, EnrollmentRequest};
use crate::enrollment_request::pacer::SendPacer;
use crate::enrollment_request::reservations::Reservations;
use crate::enrollment_request::shared::Shared;
use crate::kubernetes::client::Server;
use crate::kubernetes::lenient::Lenient;
use crate::kubernetes::pages::list_each;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::self_writes::SelfWriteFilter;
use crate::kubernetes::stores::Stores;
use crate::kubernetes::watch::{scoped, strip, watch};
use crate::queue::ReconcileQueue;
use crate::queues::Queues;
use crate::realm::health::Healths;
use crate::realm::{ProviderCallbacks, ProviderStores, Providers};
use crate::reconcile::{Kind, LocalStates, ObjectUid};
use crate::runtime::readiness::Readiness;
use crate::settings::Settings;
use crate::triggers;

/// Timeout of a list of all requests, and the delay before its retry.
const LIST: Duration = Duration::from_secs(60);
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
    /// The watched namespaces, or `None` for the whole cluster.
    scopes: Vec<Option<String>>,
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
        let (config_stores, config_writers) = Stores::<AuthenticatorConfig>::new(&scopes);
        let (request_stores, request_writers) = Stores::<EnrollmentRequest>::new(&scopes);

        let (provider_stores, provider_writers) = ProviderStores::new(&scopes, settings);
        let queues =
            Queues::new(&config_stores, &request_stores, &provider_stores, settings.bounds(), settings.options());
        let freed = queues.clone();
        let reservations = Reservations::new(move |holder: &ObjectUid| freed.reservation_freed(holder));
        let granted = queues.clone();
        let pacer = SendPacer::new(move |request| granted.turn_granted(request));
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
        let providers = Providers::watch(server, readiness, &scopes, stores, callbacks, watches);
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
            shared: Shared::new(reservations, pacer),
            self_writes: Arc::default(),
            queues,
            scopes,
        };
        for ((scope, configs), requests) in this.scopes.iter().zip(config_writers).zip(request_writers) {
            let report = WatchReport::new::<AuthenticatorConfig>(readiness, &server.url, scope.as_deref());
            watches.spawn(this.watch_configs(scoped(&server.client, scope), report, configs));
            let report = WatchReport::new::<EnrollmentRequest>(readiness, &server.url, scope.as_deref());
            watches.spawn(this.watch_requests(scoped(&server.client, scope), report, requests));
        }
        this
    }

    fn watch_configs(
        &self,
        api: Api<Lenient<AuthenticatorConfig>>,
        report: WatchReport,
        writer: Writer<AuthenticatorConfig>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (applied, went, self_writes) = (self.queues.clone(), self.queues.clone(), self.self_writes.clone());
        let forget = self.configs.forget(&self.self_writes);
        watch(
            api,
            report,
            writer,
            move |before, config| {
                let edited = self_writes.delivered(config);
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
        writer: Writer<EnrollmentRequest>,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (applied, went, self_writes) = (self.queues.clone(), self.queues.clone(), self.self_writes.clone());
        let (forget, shared) = (self.requests.forget(&self.self_writes), self.shared.clone());
        watch(
            api,
            report,
            writer,
            move |before, request| {
                let edited = self_writes.delivered(request);
                applied.enqueue(triggers::request_applied(before, request, edited, &applied));
            },
            move |request| {
                forget(request);
                shared.released(request);
                went.enqueue(triggers::request_deleted(Some(&request.namespace), &went));
            },
        )
    }

    /// Waits until all caches are synced.
    pub(crate) async fn synced(&self) {
        self.providers.synced().await;
        self.configs.stores.synced().await;
        self.requests.stores.synced().await;
    }

    /// All requests from the API server, not from the watch caches. Retries until it answers.
    pub(crate) async fn all_requests(&self, client: &Client) -> Vec<EnrollmentRequest> {
        let mut requests = Vec::new();
        for scope in &self.scopes {
            let api: Api<Lenient<EnrollmentRequest>> = scoped(client, scope);
            loop {
                let api = &api;
                let fetch = |params: ListParams| async move { api.list(&params).await };
                let mut listed = Vec::new();
                let each = |Lenient(mut request): Lenient<EnrollmentRequest>| {
                    strip(&mut request);
                    listed.push(request);
                };
                let why = match tokio::time::timeout(LIST, list_each(ListParams::default(), fetch, each)).await {
                    Ok(Ok(())) => break requests.append(&mut listed),
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no response within {} s", LIST.as_secs()),
                };
                tracing::warn!(error = why, "Cannot list EnrollmentRequests; no controller starts until this succeeds");
                tokio::time::sleep(RETRY).await;
            }
        }
        requests
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
