//! The composition root: the stores, the loops, and how they begin and end.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{EnrollmentRequest, GROUP};
use crate::beyond_identity::{BuildError, HttpClient};
use crate::enrollment_request::reservations::{Holder, Reservations};
use crate::realm::Providers;
use crate::runtime::health::{self, ListenError, Readiness};
use crate::scope::{Scope, Waker, World};
pub use crate::settings::Settings;

/// The name under which the operator writes fields and events.
const NAME: &str = "beyond-identity-operator";

/// How long what came of the last call may take to be written down.
const AFTER_THE_LAST_CALL: Duration = Duration::from_secs(20);

/// Why an operator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Http(#[from] BuildError),
}

/// Runs until `shutdown` is done, then lets what is under way come to its end. That is bounded in time: no
/// call to the service is begun any more, and each that was begun has its timeout.
///
/// # Errors
/// When it could not start.
pub async fn run(settings: Settings, client: Client, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let listener = health::listen(settings.health_address).await?;
    let missing = format!("the Kubernetes API and the CustomResourceDefinitions of {GROUP}");
    let readiness = Readiness::waiting_for(missing.clone());
    // Its wakers are there only when the stores are.
    let wakers = Arc::new(OnceLock::<Vec<Waker>>::new());
    let woken = wakers.clone();
    let wake = move |holder: &Holder| woken.get().into_iter().flatten().for_each(|waker| waker.wake(holder));
    let reservations = Arc::new(Reservations::new(wake));
    // Dropped at the end of this function, and ended with that.
    let mut watches = JoinSet::new();
    watches.spawn(health::serve(listener, readiness.clone()));
    let woken = wakers.clone();
    let wake =
        move |provider: &str| woken.get().into_iter().flatten().for_each(|waker| waker.provider_changed(provider));
    let providers = Arc::new(Providers::watch(&client, &settings.operator_namespace, wake, &mut watches));
    let world = World {
        http: HttpClient::new(concat!("beyond-identity-operator/", env!("CARGO_PKG_VERSION")), &settings.ca_bundle)?,
        recorder: Recorder::new(client.clone(), Reporter { controller: NAME.to_owned(), instance: None }),
        environment: Arc::default(),
        reservations: reservations.clone(),
        providers: providers.clone(),
        client,
        settings,
    };

    let scopes = Scope::watch_all(&world.settings.watch_namespaces, &world.client, &reservations, &mut watches);
    wakers.get_or_init(|| scopes.iter().map(Scope::waker).collect());

    tracing::info!("waiting for {missing}");
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        () = all_filled(&providers, &scopes) => {}
    }
    tokio::select! {
        () = &mut shutdown => return Ok(()),
        requests = all_requests(&scopes, &world.client) => reservations.fill(&requests),
    }
    readiness.ready();
    tracing::info!("ready");

    let ending = CancellationToken::new();
    let mut loops = JoinSet::new();
    for scope in scopes {
        scope.start(&world, &ending, &mut loops);
    }
    shutdown.await;
    tracing::info!("ending: what is under way comes to its end first");
    world.environment.end();
    ending.cancel();
    let all_ended = async { while loops.join_next().await.is_some() {} };
    if tokio::time::timeout(world.settings.request_timeout + AFTER_THE_LAST_CALL, all_ended).await.is_err() {
        tracing::warn!("not everything came to its end in time; the next process goes on from what was written");
    }
    Ok(())
}

/// Waits until every store holds what there is.
async fn all_filled(providers: &Providers, scopes: &[Scope]) {
    providers.filled().await;
    join_all(scopes.iter().map(Scope::filled)).await;
}

/// All requests, as the API server has them: tried until it answers.
async fn all_requests(scopes: &[Scope], client: &Client) -> Vec<EnrollmentRequest> {
    let mut requests = Vec::new();
    for scope in scopes {
        loop {
            match scope.list_requests(client).await {
                Ok(listed) => break requests.extend(listed),
                Err(error) => tracing::warn!("listing the EnrollmentRequests failed, and is tried again: {error}"),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    requests
}
