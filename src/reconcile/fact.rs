//! What is known of something outside: nothing yet, a value, or that it could not be learned.

use std::time::Duration;

use crate::api::phase::why;
use crate::api::{Phase, Reason};

/// A fact that a plan may ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Fact<T> {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// This is so.
    Known(T),
    /// It was asked for, and could not be learned.
    Failed(Trouble),
}

/// Why something could not be learned or done, as a phase, and how long to leave it alone at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// What to say of it.
    pub phase: Phase,
    /// How long the other side asked to be left alone.
    pub after: Option<Duration>,
}

impl Trouble {
    /// The object has to wait for its turn to call the service, which asked to be left alone for `after`.
    pub fn not_its_turn(after: Duration) -> Self {
        let message = "the service limits the calls of its tenant: this object is looked at when it is its turn";
        Self { phase: Phase::AtWork(why(Reason::RateLimited, message)), after: Some(after) }
    }

    /// Whether all that is in the way is that the service asked for fewer calls.
    pub fn is_held_back(&self) -> bool {
        self.phase.why().reason == Reason::RateLimited
    }
}

impl From<Phase> for Trouble {
    fn from(phase: Phase) -> Self {
        Self { phase, after: None }
    }
}

impl<T> From<Result<T, Trouble>> for Fact<T> {
    fn from(result: Result<T, Trouble>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(trouble) => Self::Failed(trouble),
        }
    }
}
