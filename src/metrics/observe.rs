//! What computes the gauges at each scrape.

use std::sync::Arc;

use jiff::Timestamp;

use super::Metrics;
use super::conditions::condition_counts;
use crate::api::{EnrollmentRequest, HasStatus, ProviderConfigKey};

/// When a token of a provider config expires.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenExpiration {
    /// The provider config.
    pub provider: ProviderConfigKey,
    /// The field of its credentials: `apiToken` or `clientCredentials`.
    pub credentials: &'static str,
    /// The time.
    pub at: Timestamp,
}

impl Metrics {
    /// Counts the requests that `requests` returns at each scrape. It must return all of them.
    pub fn count_requests(&self, requests: impl Fn() -> Vec<(Arc<EnrollmentRequest>, usize)> + Send + Sync + 'static) {
        self.requests.count(requests);
    }

    /// Counts the abnormal conditions of the objects of kind `controller`, in lower case, that `objects` returns at each
    /// scrape. It must return all of them.
    pub fn count_conditions<K: HasStatus>(
        &self,
        controller: &'static str,
        objects: impl Fn() -> Vec<(Arc<K>, usize)> + Send + 'static,
    ) {
        self.conditions.add(move || condition_counts(controller, &objects()));
    }

    /// Exports how many objects wait because of a rate limit.
    pub fn observe_rate_limited(&self, waiting: impl Fn() -> usize + Send + 'static) {
        self.rate_limited.add(move || vec![(Vec::new(), i64::try_from(waiting()).unwrap_or(i64::MAX))]);
    }

    /// Exports the expiration times that `tokens` returns, by provider config.
    pub fn observe_token_expirations(&self, tokens: impl Fn() -> Vec<TokenExpiration> + Send + 'static) {
        let labelled = |TokenExpiration { provider, credentials, at }: TokenExpiration| {
            let mut labels = labels_of(provider);
            labels.push(("credentials", credentials.to_owned()));
            (labels, at.as_second())
        };
        self.token_expiration.add(move || tokens().into_iter().map(labelled).collect());
    }

    /// Exports whether each provider config that `ready` returns is Ready.
    pub fn observe_provider_configs(&self, ready: impl Fn() -> Vec<(ProviderConfigKey, bool)> + Send + 'static) {
        let labelled = |(key, is_ready): (ProviderConfigKey, bool)| (labels_of(key), is_ready.into());
        self.provider_config_ready.add(move || ready().into_iter().map(labelled).collect());
    }

    /// Exports how many objects refer to each provider config that `referrers` returns.
    pub fn observe_referrers(&self, referrers: impl Fn() -> Vec<(ProviderConfigKey, usize)> + Send + 'static) {
        let labelled = |(key, count)| (labels_of(key), i64::try_from(count).unwrap_or(i64::MAX));
        self.provider_config_referrers.add(move || referrers().into_iter().map(labelled).collect());
    }

    /// Exports whether each watched namespace that `namespaces` returns is available.
    pub fn observe_namespaces(&self, namespaces: impl Fn() -> Vec<(String, bool)> + Send + 'static) {
        let labelled =
            |(namespace, available): (String, bool)| (vec![("watched_namespace", namespace)], available.into());
        self.namespace_available.add(move || namespaces().into_iter().map(labelled).collect());
    }
}

/// The labels of a provider config. The namespace of a cluster-scoped one is empty. The label is not `namespace`, because
/// Prometheus overwrites that with the namespace of the pod.
fn labels_of(ProviderConfigKey { kind, namespace, name }: ProviderConfigKey) -> Vec<(&'static str, String)> {
    vec![("kind", kind.as_str().to_owned()), ("object_namespace", namespace.unwrap_or_default()), ("name", name)]
}
