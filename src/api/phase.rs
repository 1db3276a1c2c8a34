//! What can be said of an object at one look: its phase, each with a reason and a sentence.

use super::{Reason, text};

/// Where an object stands. Each variant is a row of the table in [`super::conditions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something is owed and is under way, or waits for what comes right by itself.
    AtWork(Why),
    /// Something is owed, and a call may have been carried out; it is being looked for.
    InDoubt(Why),
    /// Something is owed that could come right without a change of this object, if somebody acts elsewhere.
    Blocked(Why),
    /// Something is owed that only a change of this object's spec can mend.
    Refused(Why),
    /// All that was asked for stands. For kinds behind which no person has to act.
    Available(Why),
    /// The email went out; the person has not bound a passkey yet.
    Outstanding(Why),
    /// The person has bound a passkey.
    Complete(Why),
    /// The link expired before a passkey was bound.
    Expired(Why),
    /// The job was revoked.
    Revoked {
        /// The reason and the sentence.
        why: Why,
        /// Whether the spec asks for it.
        asked: bool,
    },
    /// The service could not send the email.
    FailedToSend(Why),
    /// The job is gone on the remote side, before it was complete.
    JobGone(Why),
    /// The object is being deleted, and something is still to be done first.
    Deleting {
        /// The reason and the sentence.
        why: Why,
        /// Whether somebody has to act for it to go on.
        blocked: bool,
    },
}

impl Phase {
    /// The reason and the sentence.
    pub fn why(&self) -> &Why {
        match self {
            Self::AtWork(why)
            | Self::InDoubt(why)
            | Self::Blocked(why)
            | Self::Refused(why)
            | Self::Available(why)
            | Self::Outstanding(why)
            | Self::Complete(why)
            | Self::Expired(why)
            | Self::Revoked { why, .. }
            | Self::FailedToSend(why)
            | Self::JobGone(why)
            | Self::Deleting { why, .. } => why,
        }
    }

    /// Whether it gets on only when somebody acts, here or elsewhere.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Blocked(_) | Self::Refused(_))
    }

    /// Whether a person should look at it: decides between Normal and Warning events.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Blocked(_) | Self::Refused(_) | Self::Expired(_) | Self::FailedToSend(_) | Self::JobGone(_) => true,
            Self::Revoked { asked, .. } => !asked,
            Self::AtWork(_) | Self::InDoubt(_) | Self::Available(_) | Self::Outstanding(_) | Self::Complete(_) => false,
            Self::Deleting { blocked, .. } => *blocked,
        }
    }
}

/// A reason for machines, and a sentence for people that names the object, the field and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The reason.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

/// Puts a reason and a sentence together; the sentence is cut to what a condition may hold.
pub fn why(reason: Reason, message: impl AsRef<str>) -> Why {
    Why { reason, message: text::message(message.as_ref()) }
}
