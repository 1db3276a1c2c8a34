//! The outcome of a remote call: whether it was carried out, and what its failure means.

use super::failure::{Failure, FailureKind};
use crate::api::{ProviderConfigRef, Reason};
use crate::beyond_identity::{Doubt, Error, NotSent, Refusal};

/// The outcome of an irreversible call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// It was carried out, with this result.
    Done(T),
    /// It was certainly not carried out.
    NotDone(Failure),
    /// It may have been carried out.
    InDoubt,
}

impl<T> Outcome<T> {
    /// Classifies the answer to a call through `provider`.
    pub fn of(result: Result<T, Error>, provider: &ProviderConfigRef) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(Error::InDoubt { .. }) => Self::InDoubt,
            Err(error) => Self::NotDone(failure(&error, provider)),
        }
    }

    /// A call that was not made, because its time was over or the process is shutting down. `reason` names the
    /// in-flight work.
    pub fn not_made(reason: Reason) -> Self {
        Self::NotDone(Failure::transient(reason, "The call was not made yet; it is retried"))
    }
}

/// The message of an answer that is neither a success nor a clear refusal, such as 409. If it turns out that nothing
/// was done, the answer was a refusal. 408 and 425 only ask for a retry. An answer that is not in the form of the API
/// does not come from the service.
pub fn refusal(error: &Error) -> Option<String> {
    match error {
        Error::InDoubt { status: Some(408 | 425), .. } => None,
        Error::InDoubt { cause: Doubt::Status, status: Some(400..=499), message, .. } => Some(message.clone()),
        _ => None,
    }
}

/// What a failed call means for its object.
pub fn failure(error: &Error, provider: &ProviderConfigRef) -> Failure {
    let message = error.to_string();
    let of_the_token =
        |message| format!("{message}; the token is in the Secret that spec.credentials of {provider} refers to");
    let failure = match error {
        Error::Retry { cause: NotSent::TooManyCalls, .. } => {
            Failure::new(FailureKind::RateLimited, Reason::RateLimited, message)
        }
        _ if refusal(error).is_some() => Failure::refused(Reason::Refused, message),
        Error::Retry { cause: NotSent::NoConnection | NotSent::Stopped, .. } | Error::InDoubt { .. } => {
            Failure::transient(Reason::ServiceUnavailable, message)
        }
        Error::Refused { cause: Refusal::Unauthorized, .. } => {
            Failure::blocked(Reason::Unauthorized, of_the_token(message))
        }
        Error::Refused { cause: Refusal::Forbidden, .. } => {
            Failure::blocked(Reason::PermissionDenied, of_the_token(message))
        }
        Error::Refused { cause: Refusal::UnknownRealm, .. } => {
            Failure::blocked(Reason::RealmNotFound, format!("{message}; the provider config is {provider}"))
        }
        Error::Refused { cause: Refusal::Local | Refusal::BadRequest | Refusal::Unprocessable, .. }
        | Error::NotFound { .. } => Failure::refused(Reason::Refused, message),
    };
    Failure { after: error.after(), ..failure }
}

/// `Ok(None)` if the service returns 404 for the object.
pub fn found<T>(result: Result<T, Error>, provider: &ProviderConfigRef) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failure(&error, provider)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Phase;

    fn in_doubt(cause: Doubt, status: Option<u16>) -> Error {
        Error::InDoubt { cause, status, after: None, message: "detail".to_owned() }
    }

    fn refused(cause: Refusal) -> Error {
        Error::Refused { cause, message: "detail".to_owned() }
    }

    fn classified(error: Error) -> Outcome<()> {
        Outcome::of(Err(error), &ProviderConfigRef::default())
    }

    #[test]
    fn only_errors_without_effect_are_not_done() {
        let retry = |cause| Error::Retry { cause, after: None, message: "detail".to_owned() };
        for error in [
            retry(NotSent::NoConnection),
            retry(NotSent::TooManyCalls),
            refused(Refusal::BadRequest),
            refused(Refusal::Unauthorized),
            refused(Refusal::Forbidden),
            refused(Refusal::Unprocessable),
            refused(Refusal::UnknownRealm),
            Error::NotFound { message: "detail".to_owned() },
        ] {
            assert!(matches!(classified(error.clone()), Outcome::NotDone(_)), "{error:?}");
        }
        for error in [
            in_doubt(Doubt::Timeout, None),
            in_doubt(Doubt::Connection, None),
            in_doubt(Doubt::Redirect, Some(302)),
            in_doubt(Doubt::Server, Some(503)),
            in_doubt(Doubt::Status, Some(409)),
            in_doubt(Doubt::NotFromTheApi, Some(404)),
            in_doubt(Doubt::Unusable, Some(200)),
        ] {
            assert_eq!(classified(error.clone()), Outcome::InDoubt, "{error:?}");
        }
    }

    #[test]
    fn only_unexpected_4xx_is_a_refusal() {
        assert_eq!(refusal(&in_doubt(Doubt::Status, Some(409))).as_deref(), Some("detail"));
        assert_eq!(refusal(&in_doubt(Doubt::Status, Some(408))), None);
        assert_eq!(refusal(&in_doubt(Doubt::Server, Some(500))), None);
        assert_eq!(refusal(&in_doubt(Doubt::Timeout, None)), None);
        for status in 400..500 {
            assert_eq!(refusal(&in_doubt(Doubt::NotFromTheApi, Some(status))), None, "{status}");
        }
    }

    #[test]
    fn token_failures_are_blocked_and_spec_failures_are_refused() {
        let phase = |error| failure(&error, &ProviderConfigRef::default()).phase();
        assert!(matches!(phase(refused(Refusal::Unauthorized)), Phase::Blocked(w) if w.reason == Reason::Unauthorized));
        assert!(matches!(phase(refused(Refusal::Forbidden)), Phase::Blocked(w) if w.reason == Reason::PermissionDenied
                && w.message.contains("ClusterProviderConfig default")));
        assert!(matches!(phase(refused(Refusal::BadRequest)), Phase::Refused(w) if w.reason == Reason::Refused));
        assert!(
            matches!(phase(in_doubt(Doubt::Status, Some(409))), Phase::Refused(_)),
            "for example a configuration in use"
        );
        assert!(matches!(phase(refused(Refusal::UnknownRealm)), Phase::Blocked(w) if w.reason == Reason::RealmNotFound
                && w.message.contains("ClusterProviderConfig default")));
        for late in [in_doubt(Doubt::Server, Some(500)), in_doubt(Doubt::Status, Some(408))] {
            assert!(matches!(phase(late), Phase::Progressing(_)), "never stalls");
        }
    }

    #[test]
    fn non_api_response_is_an_outage() {
        let provider = ProviderConfigRef::default();
        for status in [400, 401, 403, 404, 407, 409, 422] {
            let error = in_doubt(Doubt::NotFromTheApi, Some(status));
            let phase = failure(&error, &provider).phase();
            assert!(matches!(phase, Phase::Progressing(w) if w.reason == Reason::ServiceUnavailable), "{status}");
            let found = found::<()>(Err(error), &provider);
            assert!(found.is_err(), "{status}: it does not mean that nothing exists");
        }
        let unknown_realm = found::<()>(Err(refused(Refusal::UnknownRealm)), &provider);
        assert!(unknown_realm.is_err(), "a missing realm does not mean a missing object");
    }
}
