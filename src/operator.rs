//! The composition root: starts and stops the watches, leader election and the controllers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use kube::Config;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::NAME;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigKey, ProviderConfigKind};
use crate::beyond_identity::{BuildError, HttpClient};
use crate::controllers::{self, OperatorContext};
use crate::environment::{SystemEnvironment, wall_clock};
use crate::kubernetes::client::{ConnectError, Server};
use crate::kubernetes::events::Events;
use crate::kubernetes::schema;
use crate::metrics::{self, Metrics};
pub use crate::realm::EndpointRules;
use crate::realm::limiter::Limiters;
use crate::reconcile::Kind as _;
use crate::runtime::access::Access;
use crate::runtime::ca_bundle_file::{CaBundleFile, CaBundleFileError};
use crate::runtime::health;
use crate::runtime::leader::{Election, Leadership, Lease};
pub use crate::runtime::listen::ListenAddress;
use crate::runtime::listen::{ListenError, listen};
use crate::runtime::readiness::Readiness;
use crate::runtime::serve::{serve, serve_tls};
use crate::runtime::tls::{Certificate, CertificateError};
use crate::runtime::warnings::Warnings;
pub use crate::settings::Settings;
use crate::triggers;
use crate::watches::Watches;

/// Time to record the outcome of the last call during shutdown.
const AFTER_THE_LAST_CALL: Duration = Duration::from_secs(20);

/// Why an operator ended without a shutdown request.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate of the metrics cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The CA bundle cannot be used.
    #[error(transparent)]
    CaBundle(#[from] CaBundleFileError),
    /// The connection to the Kubernetes API failed.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The HTTP client could not be built.
    #[error("cannot build the HTTP client: {0}")]
    Http(#[from] BuildError),
    /// Another process may be the leader now.
    #[error("{0}")]
    LostLease(String),
    /// A watch, a controller, or another task that never ends, has ended.
    #[error("a background task ended unexpectedly, which is a bug in the operator{0}")]
    Broken(String),
}

/// Runs on the cluster of `config` until `shutdown` completes, then drains in-flight work. Draining is bounded in time:
/// no new call to the service starts, and each call in flight has its timeout.
///
/// # Errors
/// When it cannot start, when it loses its Lease, or when a watch, a controller or a server ends.
pub async fn run(settings: Settings, config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let health = listen(settings.health_address, "--health-address", "health probes")?;
    let metrics_listener = listen(settings.metrics_address, "--metrics-address", "metrics")?;
    let metrics = Arc::new(Metrics::new());
    metrics.set_leader(false);
    let server = Server::new(config)?;
    let (ca_bundle_file, ca_bundle) = settings.ca_bundle.as_deref().map(CaBundleFile::read).transpose()?.unzip();
    let http = HttpClient::new(crate::USER_AGENT, &ca_bundle.unwrap_or_default())?
        .showing_messages(settings.show_service_messages);
    let readiness = Readiness::waiting_for("waiting for the Kubernetes API");
    // Dropping it at the end of this function ends these tasks.
    let mut background = JoinSet::new();
    if let Some(file) = ca_bundle_file {
        background.spawn(file.follow(http.clone()));
    }
    background.spawn(serve(health, health::router(readiness.clone())));
    let router = metrics::router(metrics.clone());
    if settings.metrics_secure {
        let certificate = Certificate::new(settings.metrics_cert_path.as_deref())?;
        let access = Access::new(server.client.clone(), readiness.part(true));
        let router = router.layer(from_fn_with_state(access, Access::require));
        background.spawn(serve_tls(metrics_listener, router, certificate.acceptor()));
        background.spawn(certificate.follow());
    } else {
        background.spawn(serve(metrics_listener, router));
    }
    let watches = Watches::start(&settings, &server, &readiness, &mut background);
    let requests = watches.requests.stores.clone();
    metrics.count_requests(move || requests.counted());
    count_conditions(&metrics, &watches);
    let providers = watches.providers.clone();
    metrics.observe_token_expirations(move || providers.token_expirations());
    let healths = watches.healths.clone();
    metrics.observe_provider_configs(move || healths.ready());
    let (providers, queues) = (watches.providers.clone(), watches.queues.clone());
    metrics.observe_referrers(move || {
        let count = |key: ProviderConfigKey| (key.clone(), triggers::referrers_of(&key, &queues).len());
        providers.keys().into_iter().map(count).collect()
    });
    let availability = watches.availability.clone();
    metrics.observe_namespaces(move || availability.namespaces());
    let pacer = watches.shared.pacer.clone();
    background.spawn(async move { pacer.grant_turns().await });
    let limiters = Arc::<Limiters>::default();
    let limited = limiters.clone();
    metrics.observe_rate_limited(move || limited.waiting());
    let turns = limiters.clone();
    background.spawn(async move { turns.grant_turns().await });
    let lease = settings.lease_holder.as_ref().map(|holder| (lease(&settings, &server, holder), readiness.part(false)));
    tracing::info!(server = server.url, "Waiting for the Kubernetes API");
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        error = broken(&mut background) => return Err(error),
        () = watches.synced() => {}
    }

    tracing::info!("Caches synced");
    let (election, leadership) = match lease.map(|(lease, report)| Election::join(lease, report)) {
        Some((election, leadership)) => (Some(election), leadership),
        None => (None, Leadership::always()),
    };
    let warnings = Arc::<Warnings>::default();
    let context = OperatorContext {
        http,
        events: Events::new(server.client.clone(), NAME, metrics.clone(), warnings.clone()),
        environment: Arc::new(SystemEnvironment::new(leadership.clone(), metrics.clone(), warnings)),
        limiters,
        metrics,
        watches,
        client: server.client,
        settings,
    };
    let ending = CancellationToken::new();
    let mut controllers = JoinSet::new();
    let ended: Result<(), RunError> = tokio::select! {
        biased;
        () = shutdown => Ok(()),
        why = leadership.lost() => Err(RunError::LostLease(why)),
        error = broken(&mut background) => Err(error),
        error = lead(&context, &leadership, &ending, &mut controllers) => Err(error),
    };
    let reason = ended.as_ref().map_or_else(ToString::to_string, |()| "the process was asked to end".to_owned());
    readiness.end();
    end(&context, &ending, controllers, &reason).await;
    if let Some(election) = election {
        election.leave().await;
    }
    tracing::info!("Stopped");
    ended
}

/// Counts the abnormal conditions of all kinds.
fn count_conditions(metrics: &Metrics, watches: &Watches) {
    let (configs, requests) = (watches.configs.stores.clone(), watches.requests.stores.clone());
    metrics.count_conditions(AuthenticatorConfig::NAME.controller(), move || configs.counted());
    metrics.count_conditions(EnrollmentRequest::NAME.controller(), move || requests.counted());
    let (cluster, namespaced) =
        (watches.providers.stores().cluster.clone(), watches.providers.stores().namespaced.clone());
    metrics.count_conditions(ProviderConfigKind::ClusterProviderConfig.controller(), move || cluster.counted());
    metrics.count_conditions(ProviderConfigKind::ProviderConfig.controller(), move || namespaced.counted());
}

/// Waits until one of `tasks` ends, which is unexpected for all of them.
async fn broken(tasks: &mut JoinSet<()>) -> RunError {
    match tasks.join_next().await {
        Some(Err(error)) => RunError::Broken(format!(": {error}")),
        Some(Ok(())) | None => RunError::Broken(String::new()),
    }
}

/// The lease of this installation.
fn lease(settings: &Settings, server: &Server, holder: &str) -> Lease {
    Lease {
        client: server.client.clone(),
        namespace: settings.operator_namespace.clone(),
        name: NAME.to_owned(),
        holder: holder.to_owned(),
        clock: wall_clock,
    }
}

/// Waits until this process is the leader, and starts the controllers. Then waits until one of them ends, which is
/// expected only after `ending` is cancelled.
async fn lead(
    context: &OperatorContext,
    leadership: &Leadership,
    ending: &CancellationToken,
    controllers: &mut JoinSet<()>,
) -> RunError {
    leadership.acquired().await;
    context.metrics.set_leader(true);
    // Runs concurrently, since its findings are only warnings.
    tokio::spawn(schema::check(context.client.clone()));
    context.watches.shared.pacer.start(Instant::now());
    // Seeded only now and not from the stores, so that the last writes of the previous leader are not missed.
    context.watches.seed(&context.client).await;
    let later = context.watches.seed_later(&context.client);
    let controllers = run_controllers(controllers, |controllers| controllers::start_all(context, ending, controllers));
    tokio::select! {
        error = controllers => error,
        () = later => RunError::Broken(String::new()),
    }
}

/// Starts the controllers, and waits until one of them ends. The process then ends too, and a new process starts all
/// controllers. Otherwise a kind would stay without a controller while this process is the leader and reports ready.
async fn run_controllers(controllers: &mut JoinSet<()>, start: impl FnOnce(&mut JoinSet<()>)) -> RunError {
    start(controllers);
    tracing::info!("Controllers started");
    broken(controllers).await
}

/// Drains in-flight reconciles, and starts no new ones.
async fn end(context: &OperatorContext, ending: &CancellationToken, mut controllers: JoinSet<()>, reason: &str) {
    tracing::info!(reason, "Shutting down: draining in-flight reconciles");
    context.environment.end();
    context.metrics.set_leader(false);
    ending.cancel();
    let all_ended = async { while controllers.join_next().await.is_some() {} };
    if tokio::time::timeout(context.settings.request_timeout + AFTER_THE_LAST_CALL, all_ended).await.is_err() {
        tracing::warn!("Shutdown deadline exceeded; the next process resumes from the recorded status");
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    #[tokio::test]
    async fn panicking_controller_ends_the_process() {
        let mut controllers = JoinSet::new();
        let start = |controllers: &mut JoinSet<()>| {
            controllers.spawn(future::pending());
            controllers.spawn(async { panic!("controller failed") });
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), run_controllers(&mut controllers, start)).await;
        assert!(matches!(ended, Ok(RunError::Broken(why)) if why.contains("controller failed")));
        assert_eq!(controllers.len(), 1, "in-flight work can still finish");
    }

    #[tokio::test]
    async fn unexpectedly_ended_controller_ends_the_process() {
        let mut controllers = JoinSet::new();
        let start = |controllers: &mut JoinSet<()>| {
            controllers.spawn(future::pending());
            controllers.spawn(future::ready(()));
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), run_controllers(&mut controllers, start)).await;
        assert!(matches!(ended, Ok(RunError::Broken(_))));
    }
}
