//! Failures of a call, classified by what the caller may do next.

use std::time::Duration;

use super::operation::Operation;
use super::outcome;

/// A call that failed. The variants answer one question: was it carried out, and may it be made again?
///
/// `Display` is a sentence for people. It names the call, the status, the service's message and, if there is one, the
/// remedy. The service's message is cut to 300 characters. Anything that looks like an email address, a link or a
/// secret is redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Certainly not carried out; the same call may be repeated later.
    #[error("{message}")]
    Retry {
        /// Why it was not carried out.
        cause: NotSent,
        /// How long the service asks to wait, at most a day; `None` if it did not say.
        after: Option<Duration>,
        /// The message for `Display`.
        message: String,
    },
    /// Certainly not carried out, and the same call will be refused again.
    #[error("{message}")]
    Refused {
        /// Who refused it, and why.
        cause: Refusal,
        /// The message for `Display`.
        message: String,
    },
    /// 404, in the form of the API. Certainly not carried out, because the object, or one that it belongs to, does not
    /// exist. It is never about the realm: that is [`Refusal::UnknownRealm`].
    #[error("{message}")]
    NotFound {
        /// The message for `Display`.
        message: String,
    },
    /// Possibly carried out. A call that changes something must not be repeated before its result was checked.
    #[error("{message}")]
    InDoubt {
        /// Why the outcome is unknown.
        cause: Doubt,
        /// The status, if a response began to arrive.
        status: Option<u16>,
        /// How long the service asks to wait, at most a day; `None` if it did not say.
        after: Option<Duration>,
        /// The message for `Display`.
        message: String,
    },
}

/// Why a call was not carried out, but may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// No connection was made, so nothing was sent.
    NoConnection,
    /// It was held back before it was sent.
    Stopped,
    /// Rate limited: the response was 429, or the call was not sent because of an earlier 429.
    TooManyCalls,
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This client did not send it: an identifier is invalid in a path, or the request cannot be built.
    Local,
    /// 400: the request is invalid.
    BadRequest,
    /// 401: the token was not accepted.
    Unauthorized,
    /// 403: the token lacks permission.
    Forbidden,
    /// 404: the service does not know the realm or the tenant, so it says nothing about the objects in it.
    UnknownRealm,
    /// 422: valid but impossible in the current state, such as an email to an identity without an address.
    Unprocessable,
}

/// Why it is unknown whether a call was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The timeout expired before the response was complete.
    Timeout,
    /// The connection broke after it was established.
    Connection,
    /// A redirect, which is not followed.
    Redirect,
    /// 5xx.
    Server,
    /// An inconclusive status, such as 409.
    Status,
    /// 4xx, but not in the form of the API: a proxy or a load balancer may have responded.
    NotFromTheApi,
    /// A success with an unusable response: too large, not JSON, no usable `id`, or an incomplete list.
    Unusable,
}

impl Error {
    /// The error for a response to a call that changes something, if the caller finds that it belongs to another call.
    #[must_use]
    pub fn answer_to_another_call(operation: Operation, what: &str) -> Self {
        outcome::in_doubt(
            operation,
            Doubt::Unusable,
            None,
            &format!("returned the response to another call, since {what}"),
        )
    }

    /// The HTTP status, if the service responded with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Retry { cause: NotSent::NoConnection | NotSent::Stopped, .. }
            | Self::Refused { cause: Refusal::Local, .. } => None,
            Self::Retry { cause: NotSent::TooManyCalls, .. } => Some(429),
            Self::Refused { cause: Refusal::BadRequest, .. } => Some(400),
            Self::Refused { cause: Refusal::Unauthorized, .. } => Some(401),
            Self::Refused { cause: Refusal::Forbidden, .. } => Some(403),
            Self::Refused { cause: Refusal::Unprocessable, .. } => Some(422),
            Self::NotFound { .. } | Self::Refused { cause: Refusal::UnknownRealm, .. } => Some(404),
            Self::InDoubt { status, .. } => *status,
        }
    }

    /// How long the service asks to wait before the next call, at most a day.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::Retry { after, .. } | Self::InDoubt { after, .. } => *after,
            Self::Refused { .. } | Self::NotFound { .. } => None,
        }
    }
}
