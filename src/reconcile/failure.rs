//! Why a fetch or an action failed. The planner acts on the kind of a failure only. Its reason and message are for
//! users.

use std::time::Duration;

use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// How a failure can be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The service limits the request rate: the object waits for its turn.
    RateLimited,
    /// It resolves by itself: an outage, or a call that was not made.
    Transient,
    /// It resolves when a user acts elsewhere, without a change of the object.
    Blocked,
    /// Only a change of the object resolves it.
    Refused,
    /// The provider config points to another realm or endpoint than the one the object belongs to.
    Mismatch,
}

/// A failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// How it can be resolved.
    pub kind: FailureKind,
    /// The reason and the message, for users.
    pub why: Why,
    /// The delay before a retry that the other side asked for.
    pub after: Option<Duration>,
    /// The longest delay before a retry of a [`Blocked`](FailureKind::Blocked) failure after the grace period, if shorter
    /// than the resync interval.
    pub within: Option<Duration>,
}

impl Failure {
    /// A failure without a requested retry delay.
    pub fn new(kind: FailureKind, reason: Reason, message: impl AsRef<str>) -> Self {
        Self { kind, why: why(reason, message), after: None, within: None }
    }

    /// The failure, retried at least this often.
    #[must_use]
    pub fn retried_within(self, longest: Duration) -> Self {
        Self { within: Some(longest), ..self }
    }

    /// A failure that a user must resolve elsewhere.
    pub fn blocked(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Blocked, reason, message)
    }

    /// A failure that resolves by itself.
    pub fn transient(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Transient, reason, message)
    }

    /// A failure that only a change of the object resolves.
    pub fn refused(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Refused, reason, message)
    }

    /// The object waits for its turn to call the service, which asked for a delay of `after`.
    pub fn not_its_turn(after: Duration) -> Self {
        let message = "The service limits the request rate of the tenant; this object is queued until it may send \
                       requests";
        Self { after: Some(after), ..Self::new(FailureKind::RateLimited, Reason::RateLimited, message) }
    }

    /// The phase of an object with this failure.
    pub fn phase(&self) -> Phase {
        let why = self.why.clone();
        match self.kind {
            FailureKind::RateLimited | FailureKind::Transient => Phase::Progressing(why),
            FailureKind::Blocked => Phase::Blocked(why),
            FailureKind::Refused | FailureKind::Mismatch => Phase::Refused(why),
        }
    }
}
