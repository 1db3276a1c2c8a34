//! The composition root: the stores, the lease, the loops, and how they begin and end.

use std::convert::Infallible;
use std::future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::NAME;
use crate::api::EnrollmentRequest;
use crate::beyond_identity::{BuildError, HttpClient};
use crate::enrollment_request::reservations::{Holder, Reservations};
use crate::environment::{SystemEnvironment, wall_clock};
use crate::kubernetes::client::{ConnectError, Server};
use crate::metrics::{self, Metrics};
use crate::realm::Providers;
use crate::realm::limiter::Limiters;
use crate::runtime::cause;
use crate::runtime::health::{self, Readiness};
use crate::runtime::leader::{Election, Leadership, Lease};
use crate::runtime::listen::{ListenError, listen};
use crate::scope::{Scope, Waker, World};
pub use crate::settings::Settings;

/// How long what came of the last call may take to be written down.
const AFTER_THE_LAST_CALL: Duration = Duration::from_secs(20);

/// How long listing all requests may take.
const LIST: Duration = Duration::from_secs(60);

/// Why an operator ended without having been asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no way to a Kubernetes API.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Http(#[from] BuildError),
    /// Another process may lead by now.
    #[error("{0}")]
    LostLease(String),
}

/// Runs on the cluster that `config` names until `shutdown` is done, then lets what is under way come to its end.
/// That is bounded in time: no call to the service is begun any more, and each that was begun has its timeout.
///
/// # Errors
/// When it could not start, and when it lost its Lease.
pub async fn run(settings: Settings, config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let health = listen(settings.health_address, "--health-address", "/healthz and /readyz").await?;
    let metrics_listener = listen(settings.metrics_address, "--metrics-address", "/metrics").await?;
    let metrics = Arc::new(Metrics::new());
    metrics.leads(false);
    let server = Server::new(config)?;
    let http = HttpClient::new(concat!("beyond-identity-operator/", env!("CARGO_PKG_VERSION")), &settings.ca_bundle)?;
    let readiness = Readiness::waiting_for(&format!("the first answer of the Kubernetes API at {}", server.url));
    // Its wakers are there only when the stores are.
    let wakers = Arc::new(OnceLock::<Vec<Waker>>::new());
    let woken = wakers.clone();
    let wake = move |holder: &Holder| woken.get().into_iter().flatten().for_each(|waker| waker.wake(holder));
    let reservations = Arc::new(Reservations::new(wake));

    // Dropped at the end of this function, and ended with that.
    let mut watches = JoinSet::new();
    watches.spawn(health::serve(health, readiness.clone()));
    watches.spawn(metrics::serve(metrics_listener, metrics.clone()));
    let scopes = Scope::watch_all(&settings.watch_namespaces, &server, &readiness, &reservations, &mut watches);
    let limiters = Arc::<Limiters>::default();
    let turns = limiters.clone();
    watches.spawn(async move { turns.take_turns().await });
    let all = wakers.get_or_init(|| scopes.iter().map(Scope::waker).collect()).clone();
    let changed = move |provider: &str| all.iter().for_each(|waker| waker.provider_changed(provider));
    let providers = Providers::watch(&server, &readiness, &settings.operator_namespace, changed, &mut watches);
    let providers = Arc::new(providers);

    let lease = settings.lease_holder.as_ref().map(|holder| (lease(&settings, &server, holder), readiness.part(false)));
    tracing::info!("waiting for the Kubernetes API at {}", server.url);
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        () = all_filled(&providers, &scopes) => {}
    }

    tracing::info!("the watches have told of all that there is");
    let (election, leadership) = match lease.map(|(lease, report)| Election::join(lease, report)) {
        Some((election, leadership)) => (Some(election), leadership),
        None => (None, Leadership::always()),
    };
    let world = World {
        http,
        recorder: Recorder::new(server.client.clone(), Reporter { controller: NAME.to_owned(), instance: None }),
        environment: Arc::new(SystemEnvironment::new(leadership.clone())),
        reservations,
        limiters,
        metrics,
        providers,
        client: server.client,
        settings,
    };
    let ending = CancellationToken::new();
    let mut loops = JoinSet::new();
    let ended = tokio::select! {
        biased;
        () = shutdown => Ok(()),
        why = leadership.lost() => Err(RunError::LostLease(why)),
        never = lead(&world, scopes, &leadership, &ending, &mut loops) => match never {},
    };
    end(&world, &ending, loops).await;
    if let Some(election) = election {
        election.leave().await;
    }
    ended
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

/// Waits until every store holds what there is.
async fn all_filled(providers: &Providers, scopes: &[Scope]) {
    providers.filled().await;
    join_all(scopes.iter().map(Scope::filled)).await;
}

/// Waits until this process leads, and starts the loops, which go on until they are told to end.
async fn lead(
    world: &World,
    scopes: Vec<Scope>,
    leadership: &Leadership,
    ending: &CancellationToken,
    loops: &mut JoinSet<()>,
) -> Infallible {
    leadership.taken().await;
    world.metrics.leads(true);
    // Only now, and not from the stores: what the one before has written last must not be missed.
    world.reservations.fill(&all_requests(&scopes, &world.client).await);
    for scope in scopes {
        scope.start(world, ending, loops);
    }
    tracing::info!("at work");
    future::pending().await
}

/// Lets what is under way come to its end, and begins nothing any more.
async fn end(world: &World, ending: &CancellationToken, mut loops: JoinSet<()>) {
    tracing::info!("ending: what is under way comes to its end first");
    world.environment.end();
    ending.cancel();
    let all_ended = async { while loops.join_next().await.is_some() {} };
    if tokio::time::timeout(world.settings.request_timeout + AFTER_THE_LAST_CALL, all_ended).await.is_err() {
        tracing::warn!("not everything came to its end in time; the next process goes on from what was written");
    }
}

/// All requests, as the API server has them: tried until it answers.
async fn all_requests(scopes: &[Scope], client: &Client) -> Vec<EnrollmentRequest> {
    let mut requests = Vec::new();
    for scope in scopes {
        loop {
            match tokio::time::timeout(LIST, scope.list_requests(client)).await {
                Ok(Ok(listed)) => break requests.extend(listed),
                Ok(Err(error)) => {
                    tracing::warn!("the EnrollmentRequests cannot be listed: {}; it is tried again", cause(&error))
                }
                Err(_) => tracing::warn!(
                    "the EnrollmentRequests were not listed within {} s; it is tried again",
                    LIST.as_secs()
                ),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    requests
}
