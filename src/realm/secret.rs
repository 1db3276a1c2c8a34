//! Reads the token from its Secret.

use super::provider_config::ProviderConfig;
use crate::api::Reason;
use crate::beyond_identity::ApiToken;
use crate::kubernetes::secrets::ObservedSecret;
use crate::reconcile::Failure;

/// Whether the Secret or its `key` is deleted, according to `seen`.
pub(super) fn is_gone(seen: &ObservedSecret, key: &str) -> bool {
    match seen {
        ObservedSecret::Present(data) => !data.contains_key(key),
        ObservedSecret::Absent => true,
        ObservedSecret::Forbidden | ObservedSecret::Unknown(_) => false,
    }
}

/// Returns the token of `provider` from the observed Secret.
pub(super) fn token(seen: ObservedSecret, provider: &ProviderConfig) -> Result<ApiToken, Failure> {
    let ProviderConfig { key: provider, secret, secret_key: key, .. } = provider;
    let (namespace, name) = (secret.namespace.as_deref().unwrap_or_default(), &secret.name);
    let named = format!("spec.credentials.apiToken.secretRef of {provider}");
    let data = match seen {
        ObservedSecret::Present(data) => data,
        ObservedSecret::Absent => {
            return Err(Failure::blocked(
                Reason::SecretNotFound,
                format!(
                    "Secret {name} does not exist in namespace {namespace}; create it with the token under the key \
                     {key}, or correct {named}"
                ),
            ));
        }
        ObservedSecret::Forbidden => {
            return Err(Failure::blocked(
                Reason::Forbidden,
                format!(
                    "The operator lacks permission to read Secret {name}, to which {provider} refers; grant it list \
                     and watch on that Secret by a Role in namespace {namespace}"
                ),
            ));
        }
        ObservedSecret::Unknown(what) => {
            return Err(Failure::transient(
                Reason::KubernetesUnavailable,
                format!("Secret {name} in namespace {namespace} cannot be read: {what}"),
            ));
        }
    };
    let Some(value) = data.get(key) else {
        return Err(Failure::blocked(
            Reason::SecretKeyNotFound,
            format!(
                "Secret {name} in namespace {namespace} has no key {key}; store the token under that key, or correct \
                 {named}"
            ),
        ));
    };
    ApiToken::parse(&value.0).map_err(|error| {
        Failure::blocked(
            Reason::InvalidToken,
            format!(
                "The key {key} of Secret {name} in namespace {namespace} is not a valid token for {provider}: {error}"
            ),
        )
    })
}
