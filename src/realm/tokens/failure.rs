//! What a failed request for a token means for the objects that need it.

use crate::api::{ProviderConfigKey, Reason};
use crate::beyond_identity::{Doubt, Error, NotSent};
use crate::realm::provider_config::ProviderConfig;
use crate::reconcile::Failure;

/// The failure of a request for a token of `provider`.
pub(in crate::realm) fn failure(error: &Error, provider: &ProviderConfig) -> Failure {
    let key = &provider.key;
    let client = "spec.credentials.clientCredentials";
    let host = if provider.endpoint.is_some() { "spec.endpoint.auth" } else { "spec.region" };
    let failure = match error {
        Error::Retry { cause: NotSent::TooManyCalls, .. } => {
            // Not `FailureKind::RateLimited`: no limiter grants turns at the token endpoint.
            let message = format!("{error}; the token endpoint is that of {host} of {key}");
            Failure::transient(Reason::RateLimited, message)
        }
        Error::Retry { cause: NotSent::NoConnection | NotSent::Stopped, .. }
        | Error::InDoubt { cause: Doubt::Timeout | Doubt::Connection | Doubt::Server | Doubt::Status, .. } => {
            let message = format!("{error}; the token endpoint is that of {host} of {key}");
            Failure::transient(Reason::ServiceUnavailable, message)
        }
        Error::InDoubt { cause: Doubt::Redirect | Doubt::NotFromTheApi | Doubt::Unusable, .. } => {
            let message =
                format!("{error}; the token endpoint is that of {host}, and the application that of {client} of {key}");
            Failure::blocked(Reason::InvalidTokenResponse, message)
        }
        Error::Refused { .. } | Error::NotFound { .. } => {
            let message = format!("{error}; the application and its Secret are those of {client} of {key}");
            Failure::blocked(Reason::TokenRequestRefused, message)
        }
    };
    Failure { after: error.after(), ..failure }
}

/// The failure of a token that expired before it was received.
pub(super) fn expired(provider: &ProviderConfigKey) -> Failure {
    Failure::blocked(
        Reason::InvalidTokenResponse,
        format!(
            "The token expired before it was received; set a longer token lifetime in the application of \
             spec.credentials.clientCredentials of {provider}"
        ),
    )
}
