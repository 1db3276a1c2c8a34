//! The result of one reconcile: a phase, with a reason and a message.

use super::{Reason, text};

/// The phase of an object. Each variant is a row of the table in [`super::conditions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Work is pending and in progress, or waits for a problem that resolves itself.
    Progressing(Why),
    /// Work is pending, and a call may have taken effect; the operator checks for its result.
    InDoubt(Why),
    /// Work is pending. It can succeed without a change of this object, if a person acts elsewhere.
    Blocked(Why),
    /// Work is pending, and only a change of this object's spec can fix it.
    Refused(Why),
    /// Everything that the spec asks for exists. For kinds that need no action by a person.
    Available(Why),
    /// The email was sent; the person has not bound a passkey yet.
    Outstanding(Why),
    /// The person has bound a passkey.
    Complete(Why),
    /// The link expired before a passkey was bound.
    Expired(Why),
    /// The job was revoked.
    Revoked {
        /// The reason and the message.
        why: Why,
        /// Whether the spec asks for it.
        asked: bool,
    },
    /// The service could not send the email.
    FailedToSend(Why),
    /// The job no longer exists in Beyond Identity, and was not complete.
    JobNotFound(Why),
    /// The object is being deleted, and the deletion waits for pending work.
    Deleting {
        /// The reason and the message.
        why: Why,
        /// Whether it needs action by a person to continue.
        blocked: bool,
    },
}

impl Phase {
    /// The reason and the message.
    pub fn why(&self) -> &Why {
        match self {
            Self::Progressing(why)
            | Self::InDoubt(why)
            | Self::Blocked(why)
            | Self::Refused(why)
            | Self::Available(why)
            | Self::Outstanding(why)
            | Self::Complete(why)
            | Self::Expired(why)
            | Self::Revoked { why, .. }
            | Self::FailedToSend(why)
            | Self::JobNotFound(why)
            | Self::Deleting { why, .. } => why,
        }
    }

    /// Whether it continues only when a person acts, here or elsewhere.
    pub fn needs_user_action(&self) -> bool {
        matches!(self, Self::Blocked(_) | Self::Refused(_))
    }

    /// Whether a person should check it. Selects between Normal and Warning events. Something that may have been applied
    /// at the same time is no warning before its grace period is over (`overdue`).
    pub fn is_warning(&self, overdue: bool) -> bool {
        match self {
            Self::Blocked(why) if why.reason.may_be_on_its_way() => overdue,
            Self::Blocked(_) | Self::Refused(_) | Self::Expired(_) | Self::FailedToSend(_) | Self::JobNotFound(_) => {
                true
            }
            Self::Revoked { asked, .. } => !asked,
            Self::Progressing(_) | Self::InDoubt(_) | Self::Available(_) | Self::Outstanding(_) | Self::Complete(_) => {
                false
            }
            Self::Deleting { blocked, .. } => *blocked,
        }
    }
}

/// A reason for machines, and a message for people that names the object, the field and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The reason.
    pub reason: Reason,
    /// The message.
    pub message: String,
}

/// Combines a reason and a message, which is cut to the limit of a condition.
pub fn why(reason: Reason, message: impl AsRef<str>) -> Why {
    Why { reason, message: text::message(message.as_ref()) }
}
