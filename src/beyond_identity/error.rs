//! How a call can fail, sorted by what the caller may do next.

use std::time::Duration;

/// A call that failed. The variants answer one question: was it carried out, and may it be made again?
///
/// `Display` is a sentence for a person. It names the call, the status, what the service said and, where there is one, the
/// remedy. What the service said is cut to 300 characters and freed of what looks like an email address, a link, or a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Surely not carried out; the same call may be made again later.
    #[error("{message}")]
    Retry {
        /// What held it up.
        cause: Unsent,
        /// How long the service asks to wait, at most a day; `None` where it did not say.
        after: Option<Duration>,
        /// The sentence that `Display` gives.
        message: String,
    },
    /// Surely not carried out, and the same call will be refused again.
    #[error("{message}")]
    Refused {
        /// Who refused it, and why.
        cause: Refusal,
        /// The sentence that `Display` gives.
        message: String,
    },
    /// 404, in the form of the API: surely not carried out, since the object, or one that it belongs to, does not exist.
    /// It is never about the realm: that is [`Refusal::UnknownRealm`].
    #[error("{message}")]
    NotFound {
        /// The sentence that `Display` gives.
        message: String,
    },
    /// Perhaps carried out. A call that changes something must not be made again before somebody has looked.
    #[error("{message}")]
    InDoubt {
        /// Why nobody knows.
        cause: Doubt,
        /// The status, where an answer began to come.
        status: Option<u16>,
        /// How long the service asks to wait, at most a day; `None` where it did not say.
        after: Option<Duration>,
        /// The sentence that `Display` gives.
        message: String,
    },
}

/// Why a call was not carried out, but may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// No connection was made, so nothing was sent.
    NoConnection,
    /// Too many calls: answered with 429, or not sent because of an earlier such answer.
    TooManyCalls,
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This client did not send it: an identifier cannot stand in a path, or the request cannot be formed.
    Local,
    /// 400: something in it is wrong.
    BadRequest,
    /// 401: the token was not accepted.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden,
    /// 404: the service does not know the realm or the tenant, so it says nothing about what is in there.
    UnknownRealm,
    /// 422: understood, and impossible as things are, such as an email to an identity without an address.
    Unprocessable,
}

/// Why nobody knows whether a call was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The time was over before the answer was whole.
    Timeout,
    /// The connection broke after it was made.
    Connection,
    /// A redirect, which is not followed.
    Redirect,
    /// 5xx.
    Server,
    /// A status that says neither yes nor no, such as 409.
    Status,
    /// 4xx, but not in the form of the API: somebody on the way may have answered, such as a proxy or a load balancer.
    Foreign,
    /// A success whose answer cannot be used: too large, no JSON, no usable `id`, or a list that is not whole.
    Unusable,
}

impl Error {
    /// The HTTP status, where the service answered with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Retry { cause: Unsent::NoConnection, .. } | Self::Refused { cause: Refusal::Local, .. } => None,
            Self::Retry { cause: Unsent::TooManyCalls, .. } => Some(429),
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
