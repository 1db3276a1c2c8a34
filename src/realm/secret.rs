//! The token, out of its Secret.

use super::provider_config::ProviderConfig;
use crate::api::Reason;
use crate::beyond_identity::ApiToken;
use crate::kubernetes::secrets::Seen;
use crate::reconcile::Failure;

/// Whether `seen` is a Secret that is gone, or one whose `key` is.
pub(super) fn is_gone(seen: &Seen, key: &str) -> bool {
    match seen {
        Seen::Present(data) => !data.contains_key(key),
        Seen::Absent => true,
        Seen::Forbidden | Seen::Unknown(_) => false,
    }
}

/// The token of `provider`, in what was seen of its Secret.
pub(super) fn token(seen: Seen, provider: &ProviderConfig) -> Result<ApiToken, Failure> {
    let ProviderConfig { key: provider, secret, secret_key: key, .. } = provider;
    let (namespace, name) = (secret.namespace.as_deref().unwrap_or_default(), &secret.name);
    let named = format!("{provider}, spec.credentials.apiToken.secretRef");
    let data = match seen {
        Seen::Present(data) => data,
        Seen::Absent => {
            return Err(Failure::blocked(
                Reason::SecretNotFound,
                format!(
                    "{named}: there is no Secret {name} in namespace {namespace}: create it, with the token under the key {key}"
                ),
            ));
        }
        Seen::Forbidden => {
            return Err(Failure::blocked(
                Reason::Forbidden,
                format!(
                    "{named}: the operator lacks a right: a Role in namespace {namespace} must let it list and watch the \
                     Secret {name}"
                ),
            ));
        }
        Seen::Unknown(what) => {
            return Err(Failure::transient(
                Reason::KubernetesUnavailable,
                format!("the Secret {namespace}/{name} cannot be read: {what}"),
            ));
        }
    };
    let Some(value) = data.get(key) else {
        return Err(Failure::blocked(
            Reason::SecretKeyNotFound,
            format!("{named}: the Secret {namespace}/{name} has no key {key}: put the token there, or correct the key"),
        ));
    };
    ApiToken::parse(&value.0).map_err(|error| {
        Failure::blocked(
            Reason::InvalidToken,
            format!("{named}: the key {key} of the Secret {namespace}/{name}: {error}"),
        )
    })
}
