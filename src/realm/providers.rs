//! Watches the provider configs and their Secrets, and reports changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use tokio::task::JoinSet;

use super::last_seen::{Credentials, LastSeen};
use super::provider_config::{ProviderConfig, ProviderConfigResource};
use super::provider_stores::{ProviderStores, ProviderWriters};
use super::secret::{self, Credential};
use super::tokens::Tokens;
use crate::api::{self, ClusterProviderConfig, ProviderConfigKey, Reason, Undecodable};
use crate::kubernetes::availability::{Availability, WatchScope};
use crate::kubernetes::client::Server;
use crate::kubernetes::lenient::Lenient;
use crate::kubernetes::namespaces;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::secrets::{ObservedSecret, Secrets};
use crate::kubernetes::store::StoreWriter;
use crate::kubernetes::watch::{scoped, watch};
use crate::metrics::TokenExpiration;
use crate::reconcile::Failure;
use crate::runtime::readiness::Readiness;
use crate::triggers::Fingerprint;

/// The provider configs of this cluster.
pub struct Providers {
    stores: ProviderStores,
    secrets: Arc<Secrets>,
    /// Their last known credentials.
    last_seen: Arc<LastSeen>,
    /// Their access tokens, if they have client credentials.
    pub(super) tokens: Tokens,
}

/// Called with a provider config.
pub type ProviderFn = Arc<dyn Fn(&ProviderConfigKey) + Send + Sync>;

/// Called with namespaces whose labels have changed, and the provider configs that select namespaces by their labels.
pub type RelabeledFn = Arc<dyn Fn(&[ProviderConfigKey], &BTreeSet<String>) + Send + Sync>;

/// What a watch of provider configs calls.
#[derive(Clone)]
pub struct ProviderCallbacks {
    /// A provider config or its Secret has changed.
    pub changed: ProviderFn,
    /// The status of a provider config was written. Its last reconcile may have read an older one from the store and
    /// found nothing to write.
    pub status_written: ProviderFn,
    /// A provider config is deleted.
    pub deleted: ProviderFn,
    /// The labels of namespaces have changed.
    pub relabeled: RelabeledFn,
}

impl Providers {
    /// Starts the watches into `stores`: the namespaced kind, and the labels of namespaces, in each of `scopes`, whose
    /// `availability` they report.
    pub fn watch(
        server: &Server,
        readiness: &Readiness,
        (scopes, availability): (&[WatchScope], &Availability),
        (stores, writers): (ProviderStores, ProviderWriters),
        callbacks: ProviderCallbacks,
        watches: &mut JoinSet<()>,
    ) -> Self {
        let changed = callbacks.changed.clone();
        let last_seen = Arc::new(LastSeen::default());
        let (all, enqueue, kept) = (stores.clone(), changed.clone(), last_seen.clone());
        let secrets = Arc::new(Secrets::new(server.client.clone(), move |secret, seen| {
            for provider in all.all().into_iter().filter(|provider| provider.secret() == Some(secret)) {
                let key = provider.key.clone();
                keep(&kept, provider, seen.clone());
                enqueue(&key);
            }
        }));
        let providers = Self { stores, secrets, last_seen, tokens: Tokens::default() };
        for writer in writers.cluster {
            let report = WatchReport::new::<ClusterProviderConfig>(readiness, &server.url);
            providers.watch_kind(Api::all(server.client.clone()), report, writer, callbacks.clone(), watches);
        }
        for (scope, writer) in scopes.iter().zip(writers.namespaces) {
            let report = WatchReport::new::<Namespace>(readiness, &server.url);
            let (stores, relabeled) = (providers.stores.clone(), callbacks.relabeled.clone());
            watches.spawn(namespaces::watch(server.client.clone(), scope.clone(), report, writer, move |namespaces| {
                let selecting = stores.selecting_by_labels();
                if !selecting.is_empty() {
                    relabeled(&selecting, namespaces);
                }
            }));
        }
        for (scope, writer) in scopes.iter().zip(writers.namespaced) {
            let source = availability.watch(scope);
            let report = WatchReport::within::<api::ProviderConfig>(readiness, &server.url, scope, source);
            providers.watch_kind(scoped(&server.client, scope), report, writer, callbacks.clone(), watches);
        }
        providers
    }

    /// Watches the provider configs of one kind into its store.
    fn watch_kind<K: ProviderConfigResource>(
        &self,
        api: Api<Lenient<K>>,
        report: WatchReport,
        writer: StoreWriter<K>,
        ProviderCallbacks { changed, status_written, deleted, .. }: ProviderCallbacks,
        watches: &mut JoinSet<()>,
    ) {
        let (named, all) = (self.secrets.clone(), self.stores.clone());
        let watch_named =
            move || named.watch_only(|| all.all().iter().filter_map(ProviderConfig::secret).cloned().collect());
        let gone = watch_named.clone();
        let (secrets, kept) = (self.secrets.clone(), self.last_seen.clone());
        let operator_namespace = self.stores.operator_namespace.clone();
        let applied = move |before: Option<&K>, provider: &K| {
            if !Fingerprint::of(provider).differs_from(before.map(Fingerprint::of)) {
                return status_written(&provider.key());
            }
            match provider.read(&operator_namespace) {
                Ok(provider) => {
                    if let Some(secret) = provider.secret() {
                        secrets.watch_also(secret);
                        if let Some(seen) = secrets.known(secret) {
                            keep(&kept, provider, seen);
                        }
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
            // A new one cannot make the watch of another Secret unnecessary.
            if before.is_some() {
                watch_named();
            }
            changed(&provider.key());
        };
        watches.spawn(watch(api, report, writer, applied, move |provider| {
            gone();
            let namespace = Some(&provider.namespace).filter(|namespace| !namespace.is_empty()).cloned();
            let key = ProviderConfigKey { kind: K::KIND, namespace, name: provider.name.clone() };
            deleted(&key);
        }));
    }

    /// Waits until the cluster-scoped provider configs, and the labels of namespaces, are synced.
    pub async fn synced(&self) {
        self.stores.namespaces.synced().await;
        self.stores.cluster.synced().await;
    }

    /// The stores.
    pub fn stores(&self) -> &ProviderStores {
        &self.stores
    }

    /// Whether this process serves objects that may use this provider config.
    pub fn serves(&self, key: &ProviderConfigKey) -> bool {
        matches!(self.stores.find(key), Some(Ok(provider)) if self.stores.serves(&provider))
    }

    /// The keys of all provider configs that can be decoded.
    pub fn keys(&self) -> Vec<ProviderConfigKey> {
        self.stores.all().into_iter().map(|provider| provider.key).collect()
    }

    /// The expiration times of the tokens in use, with their provider configs. Tokens without one are omitted.
    pub fn token_expirations(&self) -> Vec<TokenExpiration> {
        let known = |provider: ProviderConfig| {
            let credentials = provider.credentials.as_ref()?;
            let seen = self.secrets.known(&credentials.secret)?;
            let at = match secret::read(seen, &provider.key, credentials).ok()? {
                Credential::Token(token) => token.expires_at(),
                Credential::Client(..) => self.tokens.expires_at(&provider.key),
            };
            Some(TokenExpiration { credentials: credentials.kind.field(), provider: provider.key, at: at? })
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

    /// The provider config of this key, with its credentials.
    pub(super) async fn credentials(&self, key: &ProviderConfigKey) -> Result<Credentials, Missing> {
        let provider = match self.stores.find(key) {
            Some(Ok(provider)) => provider,
            Some(Err(what)) => return Err(Missing { why: not_decodable(key, &what.why), last: None }),
            None if !self.stores.reads(key.kind) => return Err(Missing { why: not_read(key), last: None }),
            None => return Err(Missing { why: not_found(key), last: self.last_seen.get(key) }),
        };
        let Some(credentials) = &provider.credentials else {
            return Err(Missing { why: not_one_kind(key), last: None });
        };
        let seen = self.secrets.get(&credentials.secret).await;
        let is_gone = secret::is_gone(&seen, &credentials.kind);
        match secret::read(seen, key, credentials) {
            Ok(credential) => Ok(Credentials { provider, credential }),
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

fn not_one_kind(provider: &ProviderConfigKey) -> Failure {
    Failure::blocked(
        Reason::InvalidCredentials,
        format!(
            "{provider} must set exactly one of spec.credentials.apiToken and spec.credentials.clientCredentials; \
             remove one, or set one"
        ),
    )
}

fn not_read(provider: &ProviderConfigKey) -> Failure {
    Failure::blocked(
        Reason::ProviderConfigNotFound,
        format!(
            "The operator does not read {provider}, because it runs with --cluster-provider-configs=false \
             (rbac.clusterScoped: false in the chart); set spec.providerConfigRef of the AuthenticatorConfig to a \
             ProviderConfig of its namespace"
        ),
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

/// Stores the credentials of `provider`, if the observed Secret contains them.
fn keep(last_seen: &LastSeen, provider: ProviderConfig, seen: ObservedSecret) {
    let Some(credentials) = &provider.credentials else { return };
    if let Ok(credential) = secret::read(seen, &provider.key, credentials) {
        last_seen.keep(Credentials { provider, credential });
    }
}
