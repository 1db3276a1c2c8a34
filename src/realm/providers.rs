//! Watches the provider configs and their Secrets, and reports changes.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use tokio::task::JoinSet;

use super::last_seen::{Credentials, LastSeen};
use super::provider_config::{ProviderConfig, ProviderConfigResource};
use super::secret;
use crate::api::{self, ClusterProviderConfig, ProviderConfigKey, ProviderConfigKind, Reason, Undecodable};
use crate::kubernetes::client::Server;
use crate::kubernetes::lenient::Lenient;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::secrets::{ObservedSecret, Secrets};
use crate::kubernetes::stores::Stores;
use crate::kubernetes::watch::{scoped, watch};
use crate::reconcile::Failure;
use crate::runtime::readiness::Readiness;
use crate::triggers::Fingerprint;

/// The provider configs of this cluster.
pub struct Providers {
    stores: ProviderStores,
    secrets: Arc<Secrets>,
    /// Their last known credentials.
    last_seen: Arc<LastSeen>,
}

/// The stores of each kind of provider config.
#[derive(Clone)]
struct ProviderStores {
    cluster: Stores<ClusterProviderConfig>,
    namespaced: Stores<api::ProviderConfig>,
    /// The namespace of the Secrets of cluster-scoped provider configs.
    operator_namespace: String,
}

impl ProviderStores {
    /// All provider configs that can be decoded.
    fn all(&self) -> Vec<ProviderConfig> {
        let (cluster, namespaced) = (self.cluster.state(), self.namespaced.state());
        let cluster = cluster.iter().filter_map(|provider| provider.read(&self.operator_namespace).ok());
        cluster.chain(namespaced.iter().filter_map(|provider| provider.read(&self.operator_namespace).ok())).collect()
    }

    /// The provider config with this key, if it exists, or why it cannot be decoded.
    fn find(
        &self,
        ProviderConfigKey { kind, namespace, name }: &ProviderConfigKey,
    ) -> Option<Result<ProviderConfig, Undecodable>> {
        match kind {
            ProviderConfigKind::ClusterProviderConfig => self.read(self.cluster.get(&ObjectRef::new(name)).as_deref()),
            ProviderConfigKind::ProviderConfig => {
                let namespace = namespace.as_deref().unwrap_or_default();
                self.read(self.namespaced.get(&ObjectRef::new(name).within(namespace)).as_deref())
            }
        }
    }

    fn read(&self, provider: Option<&impl ProviderConfigResource>) -> Option<Result<ProviderConfig, Undecodable>> {
        provider.map(|provider| provider.read(&self.operator_namespace).map_err(Clone::clone))
    }
}

impl Providers {
    /// Starts the watches: the namespaced kind in each of `scopes`, a namespace or `None` for the whole cluster. `changed`
    /// is called when a provider config or its Secret changes.
    pub fn watch(
        server: &Server,
        readiness: &Readiness,
        scopes: &[Option<String>],
        operator_namespace: &str,
        changed: impl Fn(&ProviderConfigKey) + Clone + Send + Sync + 'static,
        watches: &mut JoinSet<()>,
    ) -> Self {
        let (cluster, cluster_writers) = Stores::new(&[None]);
        let (namespaced, writers) = Stores::new(scopes);
        let stores = ProviderStores { cluster, namespaced, operator_namespace: operator_namespace.to_owned() };
        let last_seen = Arc::new(LastSeen::default());
        let (all, enqueue, kept) = (stores.clone(), changed.clone(), last_seen.clone());
        let secrets = Arc::new(Secrets::new(server.client.clone(), move |secret, seen| {
            for provider in all.all().into_iter().filter(|provider| provider.secret == *secret) {
                let key = provider.key.clone();
                keep(&kept, provider, seen.clone());
                enqueue(&key);
            }
        }));
        let providers = Self { stores, secrets, last_seen };
        for writer in cluster_writers {
            let report = WatchReport::new::<ClusterProviderConfig>(readiness, &server.url, None);
            providers.watch_kind(Api::all(server.client.clone()), report, writer, changed.clone(), watches);
        }
        for (scope, writer) in scopes.iter().zip(writers) {
            let report = WatchReport::new::<api::ProviderConfig>(readiness, &server.url, scope.as_deref());
            providers.watch_kind(scoped(&server.client, scope), report, writer, changed.clone(), watches);
        }
        providers
    }

    /// Watches the provider configs of one kind into its store.
    fn watch_kind<K: ProviderConfigResource>(
        &self,
        api: Api<Lenient<K>>,
        report: WatchReport,
        writer: Writer<K>,
        changed: impl Fn(&ProviderConfigKey) + Send + 'static,
        watches: &mut JoinSet<()>,
    ) {
        let (named, all) = (self.secrets.clone(), self.stores.clone());
        let watch_named =
            move || named.watch_only(all.all().into_iter().map(|ProviderConfig { secret, .. }| secret).collect());
        let gone = watch_named.clone();
        let (secrets, kept) = (self.secrets.clone(), self.last_seen.clone());
        let operator_namespace = self.stores.operator_namespace.clone();
        let applied = move |before: Option<Fingerprint>, provider: &K| {
            match provider.read(&operator_namespace) {
                Ok(provider) => {
                    if let Some(seen) = secrets.known(&provider.secret) {
                        keep(&kept, provider, seen);
                    }
                }
                Err(Undecodable { why, .. }) => {
                    let key = provider.key();
                    // The previous token may not be meant for the endpoint, tenant or realm that it names now.
                    kept.forget(&key);
                    tracing::warn!(
                        kind = key.kind.as_str(),
                        namespace = key.namespace,
                        name = key.name,
                        error = why,
                        "Ignoring provider config: it cannot be decoded by this version"
                    );
                }
            }
            watch_named();
            if Fingerprint::of(provider).differs_from(before) {
                changed(&provider.key());
            }
        };
        watches.spawn(watch(api, report, writer, applied, move |_| gone()));
    }

    /// Waits until all provider configs are synced.
    pub async fn synced(&self) {
        self.stores.cluster.synced().await;
        self.stores.namespaced.synced().await;
    }

    /// The expiration times of the tokens in use, with their provider configs. Tokens without one are omitted.
    pub fn token_expirations(&self) -> Vec<(ProviderConfigKey, Timestamp)> {
        let known = |provider: ProviderConfig| {
            let token = secret::token(self.secrets.known(&provider.secret)?, &provider).ok()?;
            Some((provider.key, token.expires_at()?))
        };
        self.stores.all().into_iter().filter_map(known).collect()
    }

    /// Logs, once, that deleted credentials are used. `why` says what is missing.
    pub(super) fn log_use_of_last_token(&self, provider: &ProviderConfigKey, why: &Failure) {
        if self.last_seen.is_first_use(provider) {
            tracing::warn!(
                kind = provider.kind.as_str(),
                namespace = provider.namespace,
                name = provider.name,
                error = why.why.message,
                "Credentials are gone; using the last known token for revocation and deletion only, until this process ends"
            );
        }
    }

    /// The provider config of this key, with its token.
    pub(super) async fn credentials(&self, key: &ProviderConfigKey) -> Result<Credentials, Missing> {
        let provider = match self.stores.find(key) {
            Some(Ok(provider)) => provider,
            Some(Err(what)) => return Err(Missing { why: not_decodable(key, &what.why), last: None }),
            None => return Err(Missing { why: not_found(key), last: self.last_seen.get(key) }),
        };
        let seen = self.secrets.get(&provider.secret).await;
        let is_gone = secret::is_gone(&seen, &provider.secret_key);
        match secret::token(seen, &provider) {
            Ok(token) => Ok(Credentials { provider, token }),
            Err(why) => {
                let last =
                    self.last_seen.get(key).filter(|last| is_gone && last.provider.has_same_destination(&provider));
                Err(Missing { why, last })
            }
        }
    }
}

/// Missing credentials.
pub(super) struct Missing {
    /// What is missing.
    pub(super) why: Failure,
    /// The last known ones, if they were deleted. They must not be used to create or send anything.
    pub(super) last: Option<Credentials>,
}

fn not_found(provider: &ProviderConfigKey) -> Failure {
    Failure::blocked(
        Reason::ProviderConfigNotFound,
        format!("{provider} does not exist; create it, or correct spec.providerConfigRef of the AuthenticatorConfig"),
    )
}

fn not_decodable(provider: &ProviderConfigKey, what: &str) -> Failure {
    Failure::blocked(
        Reason::NotDecodable,
        format!(
            "This version of the operator cannot decode {provider} and does not use it: {what}; upgrade the \
             operator, or correct that field"
        ),
    )
}

/// Stores the token of `provider`, if the observed Secret contains it.
fn keep(last_seen: &LastSeen, provider: ProviderConfig, seen: ObservedSecret) {
    if let Ok(token) = secret::token(seen, &provider) {
        last_seen.keep(Credentials { provider, token });
    }
}
