//! Injected failures of calls, and the errors that the caller receives.

use std::time::Duration;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::beyond_identity::{Doubt, Error, NotSent, Refusal};
use beyond_identity_operator::reconcile::{Failure, WriteError};

/// How a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InjectedFailure {
    NoConnection,
    Timeout,
    ConnectionLost,
    ServerError,
    TooManyRequests,
    /// An earlier 429 is still in effect, so nothing is sent.
    RateLimited,
    Unauthorized,
    Forbidden,
    BadRequest,
    Unprocessable,
    UnexpectedStatus,
    /// A proxy answers with 404.
    Foreign,
    Redirect,
    UnusableBody,
    Conflict,
    Refused,
    NoAnswer,
}

/// As the client classifies it.
impl From<InjectedFailure> for Error {
    fn from(failure: InjectedFailure) -> Self {
        let message = format!("simulated: {failure:?}");
        let doubt = |cause, status| Self::InDoubt { cause, status, after: None, message: message.clone() };
        let refused = |cause| Self::Refused { cause, message: message.clone() };
        match failure {
            InjectedFailure::NoConnection => Self::Retry { cause: NotSent::NoConnection, after: None, message },
            InjectedFailure::TooManyRequests | InjectedFailure::RateLimited => {
                Self::Retry { cause: NotSent::TooManyCalls, after: Some(Duration::from_secs(7)), message }
            }
            InjectedFailure::Unauthorized => refused(Refusal::Unauthorized),
            InjectedFailure::Forbidden => refused(Refusal::Forbidden),
            InjectedFailure::BadRequest => refused(Refusal::BadRequest),
            InjectedFailure::Unprocessable => refused(Refusal::Unprocessable),
            InjectedFailure::Timeout | InjectedFailure::NoAnswer => doubt(Doubt::Timeout, None),
            InjectedFailure::ConnectionLost => doubt(Doubt::Connection, None),
            InjectedFailure::ServerError | InjectedFailure::Refused => doubt(Doubt::Server, Some(503)),
            InjectedFailure::UnexpectedStatus | InjectedFailure::Conflict => doubt(Doubt::Status, Some(409)),
            InjectedFailure::Foreign => doubt(Doubt::NotFromTheApi, Some(404)),
            InjectedFailure::Redirect => doubt(Doubt::Redirect, Some(302)),
            InjectedFailure::UnusableBody => doubt(Doubt::Unusable, Some(200)),
        }
    }
}

impl From<InjectedFailure> for WriteError {
    fn from(failure: InjectedFailure) -> Self {
        match failure {
            InjectedFailure::Conflict => Self::Conflict,
            InjectedFailure::Refused => Self::Refused("simulated: refused".to_owned()),
            _ => Self::NoAnswer("simulated: no answer".to_owned()),
        }
    }
}

/// As a realm is opened: its Secret cannot be read, or it is not the object's turn.
impl From<InjectedFailure> for Failure {
    fn from(failure: InjectedFailure) -> Self {
        match failure {
            InjectedFailure::RateLimited => Self::not_its_turn(Duration::from_secs(7)),
            _ => Self::transient(Reason::KubernetesUnavailable, format!("simulated: {failure:?}")),
        }
    }
}

impl From<InjectedFailure> for String {
    fn from(failure: InjectedFailure) -> Self {
        format!("simulated: {failure:?}")
    }
}
