//! The provider configs and their Secrets: watched, and told of when they change.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Api, ResourceExt};
use tokio::task::JoinSet;

use super::last_seen::{Credentials, LastSeen};
use super::secret;
use crate::api::{ClusterProviderConfig, ClusterProviderConfigSpec, ProviderConfigRef, Reason, Undecodable};
use crate::beyond_identity::ApiToken;
use crate::kubernetes::client::Server;
use crate::kubernetes::report::WatchReport;
use crate::kubernetes::secrets::{Secrets, Seen};
use crate::kubernetes::watch::{filled, watch};
use crate::reconcile::Failure;
use crate::runtime::readiness::Readiness;

/// The provider configs of this cluster.
pub struct Providers {
    store: Store<ClusterProviderConfig>,
    secrets: Arc<Secrets>,
    /// Their credentials as they were seen last.
    last_seen: Arc<LastSeen>,
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
        let last_seen = Arc::new(LastSeen::default());

        let (users, namespace, wake, kept) =
            (store.clone(), operator_namespace.clone(), changed.clone(), last_seen.clone());
        let secrets = Arc::new(Secrets::new(server.client.clone(), move |secret, seen| {
            let names_it = |user: &&Arc<_>| secret_of(user, &namespace).as_ref() == Some(secret);
            for user in users.state().iter().filter(names_it) {
                keep(&kept, user, seen.clone(), secret);
                wake(&user.name_any());
            }
        }));

        let (named, all, namespace) = (secrets.clone(), store.clone(), operator_namespace.clone());
        let watch_named = move || {
            named.watch_only(all.state().iter().filter_map(|provider| secret_of(provider, &namespace)).collect());
        };
        let gone = watch_named.clone();
        let (named, namespace, kept) = (secrets.clone(), operator_namespace.clone(), last_seen.clone());
        let seen = move |provider: &ClusterProviderConfig| {
            if let Some(Undecodable { why, .. }) = &provider.spec.undecodable {
                let name = provider.name_any();
                // What was meant for it before may not be meant for it now.
                kept.forget(&name);
                tracing::warn!(
                    name,
                    "The ClusterProviderConfig cannot be decoded by this version and is not used: {why}"
                );
            }
            if let Some(secret) = secret_of(provider, &namespace)
                && let Some(seen) = named.known(&secret)
            {
                keep(&kept, provider, seen, &secret);
            }
            watch_named();
        };
        let changed = move |provider: &ClusterProviderConfig| changed(&provider.name_any());
        let report = WatchReport::new::<ClusterProviderConfig>(readiness, &server.url, None);
        watches.spawn(watch(
            Api::all(server.client.clone()),
            report,
            writer,
            seen,
            move |_| gone(),
            |_| false,
            changed,
        ));
        Self { store, secrets, last_seen, operator_namespace }
    }

    /// Waits until all that there are are known.
    pub async fn filled(&self) {
        filled(&self.store).await;
    }

    /// When the tokens that are in use expire, where they tell: with kind and name of their provider configs.
    pub fn token_expirations(&self) -> Vec<(&'static str, String, Timestamp)> {
        let known = |provider: &Arc<ClusterProviderConfig>| {
            let secret = secret_of(provider, &self.operator_namespace)?;
            let token = token_of(provider, self.secrets.known(&secret)?, &secret)?;
            Some(("ClusterProviderConfig", provider.name_any(), token.expires_at()?))
        };
        self.store.state().iter().filter_map(known).collect()
    }

    /// Tells, once, that credentials are used which are gone: `why` says how.
    pub(super) fn tell_of_use(&self, reference: &ProviderConfigRef, why: &Failure) {
        if self.last_seen.tells_of_use(&reference.name) {
            let gone = &why.why.message;
            tracing::warn!("by the token that was seen last, links are revoked and configurations deleted: {gone}");
        }
    }

    /// The provider config that `reference` leads to, with its token.
    pub(super) async fn credentials(&self, reference: &ProviderConfigRef) -> Result<Credentials, Missing> {
        let Some(provider) = self.store.get(&ObjectRef::new(&reference.name)) else {
            return Err(Missing { why: not_found(reference), last: self.last_seen.get(&reference.name) });
        };
        let Some(secret) = secret_of(&provider, &self.operator_namespace) else {
            let what = provider.spec.undecodable.as_ref().map_or("", |undecodable| &undecodable.why);
            return Err(Missing { why: not_decodable(reference, what), last: None });
        };
        let (seen, key) = (self.secrets.get(&secret).await, &provider.spec.credentials.api_token.secret_ref);
        let is_gone = secret::is_gone(&seen, key);
        match secret::token(seen, &secret, key, reference) {
            Ok(token) => Ok(Credentials { spec: provider.spec.clone(), token }),
            Err(why) => {
                let last =
                    self.last_seen.get(&reference.name).filter(|last| is_gone && last.lead_where(&provider.spec));
                Err(Missing { why, last })
            }
        }
    }
}

/// Credentials that are missing.
pub(super) struct Missing {
    /// What is missing.
    pub(super) why: Failure,
    /// What they were, where they are gone: by these nothing new may be made or sent.
    pub(super) last: Option<Credentials>,
}

fn not_found(reference: &ProviderConfigRef) -> Failure {
    Failure::blocked(
        Reason::ProviderConfigNotFound,
        format!("there is no {reference}: create it, or correct spec.providerConfigRef of the AuthenticatorConfig"),
    )
}

fn not_decodable(reference: &ProviderConfigRef, what: &str) -> Failure {
    Failure::blocked(
        Reason::NotDecodable,
        format!(
            "this version of the operator cannot read the {reference}, so nothing goes through it: {what}; upgrade the \
             operator again, or correct that field"
        ),
    )
}

/// Keeps the token of `provider`, where this was seen of its Secret.
fn keep(last_seen: &LastSeen, provider: &ClusterProviderConfig, seen: Seen, secret: &ObjectRef<Secret>) {
    if let Some(token) = token_of(provider, seen, secret) {
        last_seen.keep(provider, token);
    }
}

/// The token of `provider`, where it is in what was seen of its Secret.
fn token_of(provider: &ClusterProviderConfig, seen: Seen, secret: &ObjectRef<Secret>) -> Option<ApiToken> {
    let reference = ProviderConfigRef { name: provider.name_any(), ..ProviderConfigRef::default() };
    secret::token(seen, secret, &provider.spec.credentials.api_token.secret_ref, &reference).ok()
}

/// The Secret with the credentials of a cluster-scoped provider config; none where this version cannot decode it.
fn secret_of(provider: &ClusterProviderConfig, operator_namespace: &str) -> Option<ObjectRef<Secret>> {
    let ClusterProviderConfigSpec { credentials, undecodable, .. } = &provider.spec;
    let secret = &credentials.api_token.secret_ref.name;
    undecodable.is_none().then(|| ObjectRef::new(secret).within(operator_namespace))
}
