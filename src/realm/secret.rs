//! Reads the credentials from their Secret.

use super::provider_config::{Application, CredentialsKind, CredentialsRef};
use crate::api::{ProviderConfigKey, ProviderConfigKind, Reason};
use crate::beyond_identity::{ApiToken, ClientCredentials, TokenError};
use crate::kubernetes::secrets::ObservedSecret;
use crate::reconcile::Failure;

/// The key of the client id in a Secret with client credentials.
const CLIENT_ID: &str = "clientID";
/// The key of the client secret.
const CLIENT_SECRET: &str = "clientSecret";

/// Credentials as a Secret holds them.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// An API token.
    Token(ApiToken),
    /// OAuth2 client credentials of an application.
    Client(Application, ClientCredentials),
}

/// The keys of a Secret with such credentials, and what each holds.
fn keys(kind: &CredentialsKind) -> Vec<(&str, &'static str)> {
    match kind {
        CredentialsKind::ApiToken { key } => vec![(key, "token")],
        CredentialsKind::Client(_) => vec![(CLIENT_ID, "client id"), (CLIENT_SECRET, "client secret")],
    }
}

/// Whether the Secret or one of the keys is deleted, according to `seen`.
pub(super) fn is_gone(seen: &ObservedSecret, kind: &CredentialsKind) -> bool {
    match seen {
        ObservedSecret::Present(data) => keys(kind).iter().any(|(key, _)| !data.contains_key(*key)),
        ObservedSecret::Absent => true,
        ObservedSecret::Forbidden | ObservedSecret::Unknown(_) => false,
    }
}

/// Returns the credentials of `provider` from the observed Secret.
pub(super) fn read(
    seen: ObservedSecret,
    provider: &ProviderConfigKey,
    credentials: &CredentialsRef,
) -> Result<Credential, Failure> {
    let CredentialsRef { secret, kind } = credentials;
    let (namespace, name) = (secret.namespace.as_deref().unwrap_or_default(), &secret.name);
    let named = format!("spec.credentials.{}.secretRef of {provider}", kind.field());
    let data = match seen {
        ObservedSecret::Present(data) => data,
        ObservedSecret::Absent => {
            let keys: Vec<_> = keys(kind).iter().map(|(key, what)| format!("the {what} under the key {key}")).collect();
            return Err(Failure::blocked(
                Reason::SecretNotFound,
                format!(
                    "Secret {name} does not exist in namespace {namespace}; create it with {}, or correct {named}",
                    keys.join(" and ")
                ),
            ));
        }
        ObservedSecret::Forbidden => {
            let value = match provider.kind {
                ProviderConfigKind::ClusterProviderConfig => "rbac.secretNames",
                ProviderConfigKind::ProviderConfig => "rbac.tenantSecrets",
            };
            return Err(Failure::blocked(
                Reason::Forbidden,
                format!(
                    "The operator lacks permission to read Secret {name}, to which {provider} refers; add it to \
                     {value} of the chart, or grant list and watch on it by a Role in namespace {namespace}"
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
    let missing = |key: &str, what: &str| {
        let message = format!(
            "Secret {name} in namespace {namespace} has no key {key}; store the {what} under that key, or correct {named}"
        );
        Failure::blocked(Reason::SecretKeyNotFound, message)
    };
    let invalid = |key: &str, what: &str, error: TokenError| {
        let message = format!(
            "The key {key} of Secret {name} in namespace {namespace} is not a valid {what} for {provider}: {error}"
        );
        Failure::blocked(Reason::InvalidToken, message)
    };
    match kind {
        CredentialsKind::ApiToken { key } => {
            let value = data.get(key).ok_or_else(|| missing(key, "token"))?;
            ApiToken::parse(value).map(Credential::Token).map_err(|error| invalid(key, "token", error))
        }
        CredentialsKind::Client(application) => {
            let word = |key, what| {
                let value = data.get(key).ok_or_else(|| missing(key, what))?;
                ClientCredentials::word(value).map_err(|error| invalid(key, what, error))
            };
            let (id, secret) = (word(CLIENT_ID, "client id")?, word(CLIENT_SECRET, "client secret")?);
            Ok(Credential::Client(application.clone(), ClientCredentials::new(id, secret)))
        }
    }
}
