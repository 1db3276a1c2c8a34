//! The stores: what is watched, and waiting until all of it is there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use tokio::task::JoinSet;

use crate::api::{EnrollmentRequest, ProviderConfigKey};
use crate::enrollment_request::reservations::{Holder, Reservations};
use crate::kubernetes::client::Server;
use crate::realm::Providers;
use crate::runtime::cause;
use crate::runtime::readiness::Readiness;
use crate::scope::{Scope, Waker};
use crate::settings::Settings;

/// How long a list of all requests may take, and how long after it failed it is tried again.
const LIST: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(2);

/// All that is watched, and who is woken by it.
pub(crate) struct Stores {
    pub(crate) providers: Arc<Providers>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) reservations: Arc<Reservations>,
}

impl Stores {
    /// Starts to watch what `settings` say.
    pub(crate) fn watch(
        settings: &Settings,
        server: &Server,
        readiness: &Readiness,
        watches: &mut JoinSet<()>,
    ) -> Self {
        // Its wakers are there only when the stores are.
        let wakers = Arc::new(OnceLock::<Vec<Waker>>::new());
        let woken = wakers.clone();
        let wake =
            move |holder: &Holder| woken.get().into_iter().flatten().for_each(|waker| waker.reservation_freed(holder));
        let reservations = Arc::new(Reservations::new(wake));
        let scopes = Scope::watch_all(settings, server, readiness, &reservations, watches);

        let all = wakers.get_or_init(|| scopes.iter().map(Scope::waker).collect()).clone();
        let changed = move |provider: &ProviderConfigKey| all.iter().for_each(|waker| waker.provider_changed(provider));
        let providers = Providers::watch(server, readiness, &settings.operator_namespace, changed, watches);
        Self { providers: Arc::new(providers), scopes, reservations }
    }

    /// Waits until every store holds what there is.
    pub(crate) async fn filled(&self) {
        self.providers.filled().await;
        join_all(self.scopes.iter().map(Scope::filled)).await;
    }
}

/// All requests, as the API server has them now: tried until it answers.
pub(crate) async fn all_requests(scopes: &[Scope], client: &Client) -> Vec<EnrollmentRequest> {
    let mut requests = Vec::new();
    for scope in scopes {
        loop {
            let why = match tokio::time::timeout(LIST, scope.list_requests(client)).await {
                Ok(Ok(listed)) => break requests.extend(listed),
                Ok(Err(error)) => cause(&error),
                Err(_) => format!("no answer within {} s", LIST.as_secs()),
            };
            tracing::warn!("the EnrollmentRequests cannot be listed: {why}; it is tried again");
            tokio::time::sleep(RETRY).await;
        }
    }
    requests
}
