//! How a call can fail, and what its caller sees of it.

use std::time::Duration;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::beyond_identity::{Doubt, Error, Refusal, Unsent};
use beyond_identity_operator::reconcile::{Failure, WriteError};

/// How a call can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    NoConnection,
    Timeout,
    Broken,
    Server,
    TooMany,
    /// The service asked to be left alone before, so nothing is sent.
    HeldBack,
    Unauthorized,
    Forbidden,
    Invalid,
    Impossible,
    Odd,
    /// A proxy answers that there is no such thing.
    Foreign,
    Redirect,
    Garbage,
    Conflict,
    Refused,
    NoAnswer,
}

/// As the client sorts what it sees.
impl From<Mishap> for Error {
    fn from(mishap: Mishap) -> Self {
        let message = format!("simulated: {mishap:?}");
        let doubt = |cause, status| Self::InDoubt { cause, status, after: None, message: message.clone() };
        let refused = |cause| Self::Refused { cause, message: message.clone() };
        match mishap {
            Mishap::NoConnection => Self::Retry { cause: Unsent::NoConnection, after: None, message },
            Mishap::TooMany | Mishap::HeldBack => {
                Self::Retry { cause: Unsent::TooManyCalls, after: Some(Duration::from_secs(7)), message }
            }
            Mishap::Unauthorized => refused(Refusal::Unauthorized),
            Mishap::Forbidden => refused(Refusal::Forbidden),
            Mishap::Invalid => refused(Refusal::BadRequest),
            Mishap::Impossible => refused(Refusal::Unprocessable),
            Mishap::Timeout | Mishap::NoAnswer => doubt(Doubt::Timeout, None),
            Mishap::Broken => doubt(Doubt::Connection, None),
            Mishap::Server | Mishap::Refused => doubt(Doubt::Server, Some(503)),
            Mishap::Odd | Mishap::Conflict => doubt(Doubt::Status, Some(409)),
            Mishap::Foreign => doubt(Doubt::Foreign, Some(404)),
            Mishap::Redirect => doubt(Doubt::Redirect, Some(302)),
            Mishap::Garbage => doubt(Doubt::Unusable, Some(200)),
        }
    }
}

impl From<Mishap> for WriteError {
    fn from(mishap: Mishap) -> Self {
        match mishap {
            Mishap::Conflict => Self::Conflict,
            Mishap::Refused => Self::Refused("simulated: refused".to_owned()),
            _ => Self::NoAnswer("simulated: no answer".to_owned()),
        }
    }
}

/// As a realm is opened: its Secret cannot be read, or it is not the object's turn.
impl From<Mishap> for Failure {
    fn from(mishap: Mishap) -> Self {
        match mishap {
            Mishap::HeldBack => Self::not_its_turn(Duration::from_secs(7)),
            _ => Self::transient(Reason::KubernetesUnavailable, format!("simulated: {mishap:?}")),
        }
    }
}

impl From<Mishap> for String {
    fn from(mishap: Mishap) -> Self {
        format!("simulated: {mishap:?}")
    }
}
