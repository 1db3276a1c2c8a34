//! The token, out of its Secret. It is read anew each time, so that a new one counts at once.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::blocked;
use crate::api::cluster_provider_config::SecretKeyRef;
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::ApiToken;

/// How long reading a Secret may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the token that `reference` names.
pub(super) async fn token(
    client: Client,
    namespace: &str,
    secret: &SecretKeyRef,
    reference: &ProviderConfigRef,
) -> Result<ApiToken, Phase> {
    let SecretKeyRef { name, key } = secret;
    let named = format!("{reference}, spec.credentials.apiToken.secretRef");
    let api: Api<Secret> = Api::namespaced(client, namespace);
    let unavailable = |what: String| {
        Phase::AtWork(why(
            Reason::KubernetesUnavailable,
            format!("the Secret {namespace}/{name} cannot be read: {what}"),
        ))
    };
    let found = match tokio::time::timeout(TIMEOUT, api.get_opt(name)).await {
        Ok(Ok(found)) => found,
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            return Err(blocked(
                Reason::Forbidden,
                format!(
                    "{named}: the operator lacks a right: a Role in namespace {namespace} must let it get the Secret {name}"
                ),
            ));
        }
        Ok(Err(error)) => return Err(unavailable(error.to_string())),
        Err(_) => return Err(unavailable(format!("no answer within {} s", TIMEOUT.as_secs()))),
    };
    let Some(found) = found else {
        return Err(blocked(
            Reason::SecretNotFound,
            format!(
                "{named}: there is no Secret {name} in namespace {namespace}: create it, with the token under the key {key}"
            ),
        ));
    };
    let Some(value) = found.data.as_ref().and_then(|data| data.get(key)) else {
        return Err(blocked(
            Reason::SecretKeyNotFound,
            format!("{named}: the Secret {namespace}/{name} has no key {key}: put the token there, or correct the key"),
        ));
    };
    ApiToken::parse(&value.0).map_err(|error| {
        blocked(Reason::InvalidToken, format!("{named}: the key {key} of the Secret {namespace}/{name}: {error}"))
    })
}
