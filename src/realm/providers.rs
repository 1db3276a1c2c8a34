//! The provider configs and their Secrets: watched, and told of when they change.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, ResourceExt};
use tokio::task::JoinSet;

use super::secret;
use crate::api::{ClusterProviderConfig, Phase, ProviderConfigRef};
use crate::beyond_identity::ApiToken;
use crate::kubernetes::client::Server;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::secrets::Secrets;
use crate::kubernetes::watch::{filled, watch};
use crate::runtime::readiness::Readiness;

/// The provider configs of this cluster.
pub struct Providers {
    store: Store<ClusterProviderConfig>,
    secrets: Arc<Secrets>,
    /// Where the Secrets of cluster-scoped provider configs lie.
    operator_namespace: String,
}

impl Providers {
    /// Starts to watch them. `changed` hears the name of each that has changed, or whose Secret has.
    pub fn watch(
        server: &Server,
        readiness: &Readiness,
        operator_namespace: &str,
        changed: impl Fn(&str) + Clone + Send + Sync + 'static,
        watches: &mut JoinSet<()>,
    ) -> Self {
        let (store, writer) = reflector::store::<ClusterProviderConfig>();
        let operator_namespace = operator_namespace.to_owned();

        let (users, namespace, wake) = (store.clone(), operator_namespace.clone(), changed.clone());
        let secrets = Arc::new(Secrets::new(server.client.clone(), move |secret| {
            for user in users.state().iter().filter(|user| secret_of(user, &namespace) == *secret) {
                wake(&user.name_any());
            }
        }));

        let (named, all, namespace) = (secrets.clone(), store.clone(), operator_namespace.clone());
        let seen = move |_: &ClusterProviderConfig| {
            named.watch_only(all.state().iter().map(|provider| secret_of(provider, &namespace)).collect());
        };
        let changed = move |provider: &ClusterProviderConfig| changed(&provider.name_any());
        let report = WatchReport::new::<ClusterProviderConfig>(readiness, &server.url, None);
        watches.spawn(watch(Api::all(server.client.clone()), report, writer, seen, |_| {}, changed));
        Self { store, secrets, operator_namespace }
    }

    /// Waits until all that there are are known.
    pub async fn filled(&self) {
        filled(&self.store).await;
    }

    /// The provider config of this name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<ClusterProviderConfig>> {
        self.store.get(&ObjectRef::new(name))
    }

    /// The token of the provider config that `reference` has led to; otherwise the phase says what is missing.
    pub(super) async fn token(
        &self,
        provider: &ClusterProviderConfig,
        reference: &ProviderConfigRef,
    ) -> Result<ApiToken, Phase> {
        let secret = secret_of(provider, &self.operator_namespace);
        let seen = self.secrets.get(&secret).await;
        secret::token(seen, &secret, &provider.spec.credentials.api_token.secret_ref, reference)
    }
}

/// The Secret with the credentials of a cluster-scoped provider config.
fn secret_of(provider: &ClusterProviderConfig, operator_namespace: &str) -> ObjectRef<Secret> {
    ObjectRef::new(&provider.spec.credentials.api_token.secret_ref.name).within(operator_namespace)
}
