//! What can be said of an object at one look: its phase, each with a reason and a sentence.

use std::fmt;

use super::text;

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

/// Every reason that a condition can have. A variant's name is what stands in the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    // An EnrollmentRequest, by the state of its job.
    /// LINK_SENT: the email went out.
    LinkSent,
    /// LINK_OPENED: the person has opened the link.
    LinkOpened,
    /// REQUEST_DELIVERED: the link has reached the person's authenticator.
    RequestDelivered,
    /// A state that this version does not know; treated as still going on.
    UnknownState,
    /// COMPLETE: the person has bound a passkey.
    Complete,
    /// EXPIRED.
    LinkExpired,
    /// REVOKED.
    Revoked,
    /// A link that is out is being revoked.
    Revoking,
    /// FAILED_TO_SEND.
    FailedToSend,
    /// There is one job more than was asked for. Only in events.
    DuplicateJob,
    /// The job was there already when the request was first looked at.
    Adopted,
    /// The identity had a passkey already when the request was first looked at.
    AlreadyEnrolled,
    /// The service does not let the operator revoke a job.
    RevokeRefused,
    /// Something was left on the remote side when its object was let go. Only in events.
    LeftBehind,
    /// The service's clocks are further apart than the protocol allows for. Only in events.
    ClockSkew,
    /// The service knows no such job any more.
    JobNotFound,

    // An EnrollmentRequest, before it sends.
    /// The email is about to be sent.
    Sending,
    /// The email may have been sent; the job is being looked for.
    SendInDoubt,
    /// There is no such AuthenticatorConfig in the namespace.
    AuthenticatorConfigNotFound,
    /// The AuthenticatorConfig has not become Ready yet.
    AuthenticatorConfigNotReady,
    /// The AuthenticatorConfig cannot become Ready until somebody acts.
    AuthenticatorConfigStalled,
    /// Another request has the same person for the same configuration.
    DuplicateRequest,
    /// The realm has no such identity.
    IdentityNotFound,
    /// The username leads to more than one identity.
    IdentityAmbiguous,
    /// The identity is not active.
    IdentityNotActive,
    /// The identity has no primary email address.
    NoEmailAddress,

    // An AuthenticatorConfig.
    /// The configuration stands as the spec says.
    Available,
    /// The configuration is about to be made.
    Creating,
    /// The configuration is about to be changed to what the spec says.
    Correcting,
    /// The configuration may have been made; it is being looked for.
    CreateInDoubt,
    /// There is one configuration more than was asked for. Only in events.
    DuplicateConfiguration,
    /// The service did not keep the mark. Only in events.
    MarkNotKept,
    /// The configuration was changed to what the spec says. Only in events.
    Corrected,
    /// The configuration bears the mark of another object.
    ConfigurationInUse,
    /// The realm has no such configuration (any more).
    ConfigurationNotFound,
    /// The configuration is of another type than the spec says.
    TypeMismatch,
    /// The provider config does not let a configuration be taken over by its id.
    ResourceIDNotAllowed,

    // Either of them.
    /// An annotation has stopped all work on the object.
    Paused,

    // The way to the realm.
    /// There is no such provider config.
    ProviderConfigNotFound,
    /// The provider config does not allow this namespace.
    NamespaceNotAllowed,
    /// The provider config's endpoint is not acceptable.
    InvalidEndpoint,
    /// The provider config's Secret is missing.
    SecretNotFound,
    /// The provider config's Secret has no such key.
    SecretKeyNotFound,
    /// What the Secret holds cannot be a token.
    InvalidToken,
    /// The operator itself lacks a right in this cluster.
    Forbidden,
    /// The provider config leads to another tenant or realm than the one in status.
    RealmChanged,
    /// Somebody has edited the status into something that the operator does not write.
    StatusEdited,

    // What the remote side says.
    /// 401: the service does not accept the token.
    Unauthorized,
    /// 403: the token lacks a scope, or is of another tenant.
    PermissionDenied,
    /// The service refused the request as it is.
    Refused,
    /// 429: the service asks for patience.
    RateLimited,
    /// The service did not answer, or answered with an error of its own.
    ServiceUnavailable,
    /// The Kubernetes API did not answer.
    KubernetesUnavailable,

    // Deletion.
    /// What was made in Beyond Identity is about to be deleted.
    Deleting,
    /// Something still refers to what is to be deleted.
    InUse,
    /// The remote side refuses the deletion.
    DeletionBlocked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
