//! Why something could not be fetched or done: its kind says what the planner does about it, its reason and sentence are for
//! people, and no rule goes by those.

use std::time::Duration;

use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The service asked for fewer calls: the object waits for its turn.
    RateLimited,
    /// It comes right by itself: an outage, a call that was not made.
    Transient,
    /// It comes right when somebody acts elsewhere, without a change of the object.
    Blocked,
    /// Only a change of the object can mend it.
    Refused,
    /// The provider config leads to another realm or endpoint than the object belongs to.
    Mismatch,
}

/// A failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// The reason and the sentence, for people.
    pub why: Why,
    /// How long the other side asked to be left alone.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure of which the other side did not say how long to leave it alone.
    pub fn new(kind: FailureKind, reason: Reason, message: impl AsRef<str>) -> Self {
        Self { kind, why: why(reason, message), after: None }
    }

    /// Somebody has to act elsewhere.
    pub fn blocked(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Blocked, reason, message)
    }

    /// It comes right by itself.
    pub fn transient(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Transient, reason, message)
    }

    /// Only a change of the object mends it.
    pub fn refused(reason: Reason, message: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Refused, reason, message)
    }

    /// The object has to wait for its turn to call the service, which asked to be left alone for `after`.
    pub fn not_its_turn(after: Duration) -> Self {
        let message = "The service limits the request rate of the tenant; this object is queued until it may send \
                       requests";
        Self { after: Some(after), ..Self::new(FailureKind::RateLimited, Reason::RateLimited, message) }
    }

    /// The phase of an object that it keeps from getting on.
    pub fn phase(&self) -> Phase {
        let why = self.why.clone();
        match self.kind {
            FailureKind::RateLimited | FailureKind::Transient => Phase::AtWork(why),
            FailureKind::Blocked => Phase::Blocked(why),
            FailureKind::Refused | FailureKind::Mismatch => Phase::Refused(why),
        }
    }
}
