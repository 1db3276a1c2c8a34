//! The token, out of its Secret.

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::reflector::ObjectRef;

use crate::api::cluster_provider_config::SecretKeyRef;
use crate::api::{ProviderConfigRef, Reason};
use crate::beyond_identity::ApiToken;
use crate::kubernetes::secrets::Seen;
use crate::reconcile::Failure;

/// Whether `seen` is a Secret that is gone, or one whose `key` is.
pub(super) fn is_gone(seen: &Seen, SecretKeyRef { key, .. }: &SecretKeyRef) -> bool {
    match seen {
        Seen::Present(data) => !data.contains_key(key),
        Seen::Absent => true,
        Seen::Forbidden | Seen::Unknown(_) => false,
    }
}

/// The token under `key`, in what was seen of the Secret that `reference` names.
pub(super) fn token(
    seen: Seen,
    secret: &ObjectRef<Secret>,
    SecretKeyRef { name, key }: &SecretKeyRef,
    reference: &ProviderConfigRef,
) -> Result<ApiToken, Failure> {
    let namespace = secret.namespace.as_deref().unwrap_or_default();
    let named = format!("{reference}, spec.credentials.apiToken.secretRef");
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
