//! The registry of reasons: what each means, how it shows, and what a person does about it. `docs/reasons.md` is made of it.

use std::fmt;

use super::Phase;

/// How a reason shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// `Ready` is True.
    Ready,
    /// `Reconciling` is True: under way, or it comes right by itself.
    InProgress,
    /// `Reconciling` is True for the grace period, and then `Stalled`: it comes right when somebody acts elsewhere.
    Waiting,
    /// `Stalled` is True: it takes a change of this object.
    Stalled,
    /// The object is being deleted, and `Ready` says what that waits for.
    Deleting,
    /// A condition type of its own, beside the others.
    Beside,
    /// An event.
    Event,
}

impl From<&Phase> for Shown {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::AtWork(_) | Phase::InDoubt(_) => Self::InProgress,
            Phase::Blocked(_) => Self::Waiting,
            Phase::Refused(_) | Phase::FailedToSend(_) | Phase::JobGone(_) => Self::Stalled,
            Phase::Available(_)
            | Phase::Outstanding(_)
            | Phase::Complete(_)
            | Phase::Expired(_)
            | Phase::Revoked { .. } => Self::Ready,
            Phase::Deleting { .. } => Self::Deleting,
        }
    }
}

/// What the registry says of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The heading under which it stands.
    pub of: &'static str,
    /// The reason.
    pub reason: Reason,
    /// All ways in which it shows.
    pub shown: &'static [Shown],
    /// What it means.
    pub meaning: &'static str,
    /// What a person does about it; empty where there is nothing to do.
    pub remedy: &'static str,
}

/// Makes the enum and the registry of the same lines.
macro_rules! reasons {
    ($($of:literal { $($reason:ident [$($shown:ident),+] $meaning:literal $remedy:literal;)+ })+) => {
        /// Every reason that a condition or an event can have. A variant's name is what stands there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[doc = $meaning] $reason,)+)+
        }

        /// All reasons, in the order of the enum.
        pub const REASONS: &[Entry] = &[
            $($(Entry {
                of: $of,
                reason: Reason::$reason,
                shown: &[$(Shown::$shown),+],
                meaning: $meaning,
                remedy: $remedy,
            },)+)+
        ];
    };
}

reasons! {
    "An EnrollmentRequest, by the state of its job" {
        LinkSent [Ready] "`LINK_SENT`: the enrolment email was sent." "";
        LinkOpened [Ready] "`LINK_OPENED`: the person has opened the link." "";
        RequestDelivered [Ready] "`REQUEST_DELIVERED`: the link has reached the person's authenticator." "";
        UnknownState [Ready] "The job is in a state that this version does not know, or in none. It is taken for still going on."
            "See whether a later version of the operator knows it.";
        Complete [Ready] "`COMPLETE`: the person has bound a passkey." "";
        LinkExpired [Ready] "`EXPIRED`: the link expired before a passkey was bound."
            "To send another email, raise `spec.attempt`, or annotate the request with `beyondidentity.dev/resend: JOBID/EXPIRED`.";
        Revoked [Ready] "`REVOKED`, or `spec.revoked` is true and no link is out. A Warning event tells of a revocation that nothing here asked for."
            "To enrol again, set `spec.revoked` to false and raise `spec.attempt`.";
        Revoking [InProgress] "The link is being revoked." "";
        FailedToSend [Stalled] "`FAILED_TO_SEND`: the service could not send the email."
            "Correct the identity's email address in Beyond Identity, then raise `spec.attempt`.";
        JobNotFound [Stalled] "The service does not know the job any more, or knows it as another identity's. Nothing is sent again for it."
            "To send another email, raise `spec.attempt`. If somebody has edited `status.jobID`, put it back instead.";
        Adopted [Ready] "The job was there before the request: made by hand, by a request that is gone, or before the cluster was rebuilt."
            "To send an email all the same, raise `spec.attempt`.";
        AlreadyEnrolled [Ready] "The identity had a passkey before the request, so no email was sent."
            "To enrol a further device, raise `spec.attempt`.";
        RevokeRefused [Beside, Event] "The service does not let the operator revoke a link that should not be out."
            "The message has the service's answer: 401 asks for a new token, 403 for the scope `credential-binding-jobs:revoke`. Or revoke the job in Beyond Identity.";
        DuplicateJob [Event] "There are more jobs than were asked for. They are left alone, since one may be somebody's good link."
            "Look at the jobs of that identity in Beyond Identity, and revoke the one too many.";
        ClockSkew [Event] "The clocks of the service's machines are further apart than a lost answer can be settled by."
            "Tell the vendor. An email whose answer is lost could be sent again meanwhile.";
    }
    "An EnrollmentRequest, before it sends" {
        Sending [InProgress] "The email is about to be sent." "";
        SendInDoubt [InProgress] "The email may have been sent, and its job is being looked for. Nothing is sent meanwhile." "";
        AuthenticatorConfigNotFound [Waiting] "There is no AuthenticatorConfig of this name in the namespace, or it is being deleted."
            "Create it, or correct `spec.authenticatorConfigRef`. One that is being deleted waits for the requests that refer to it: delete them too.";
        AuthenticatorConfigNotReady [InProgress, Waiting] "The AuthenticatorConfig is not Ready yet. If it is paused, that is stalled after the grace period."
            "If it is paused, take the annotation `beyondidentity.dev/paused` off it.";
        AuthenticatorConfigStalled [Waiting] "The AuthenticatorConfig is Stalled." "Mend it; its own conditions say how.";
        DuplicateRequest [Waiting] "Another request is about the same identity and configuration. This one does nothing."
            "Delete this one. To send again, raise `spec.attempt` of the other one. To delete that one instead revokes its link, and sends another email.";
        IdentityNotFound [Waiting] "The realm has no such identity." "Create the identity in Beyond Identity, or correct `spec.identity`.";
        IdentityAmbiguous [Waiting] "The username leads to more than one identity." "Name the identity by its id.";
        IdentityNotActive [Waiting] "The identity is not active." "Activate it in Beyond Identity.";
        NoEmailAddress [Waiting] "The identity has no primary email address." "Give it one in Beyond Identity.";
        WaitingForAnotherSend [InProgress, Waiting] "An email to the same identity, from another request and by another configuration, is under way or in doubt. There is one at a time. If that request is paused or stalled, this one is stalled after the grace period."
            "If the other request is paused or stalled, do what its conditions say, or delete it.";
        TooManyActiveLinks [Waiting] "So many links of earlier attempts cannot be revoked that no further email is sent."
            "The condition `RevokeRefused` gives the cause. Remove it, revoke the jobs in Beyond Identity, or wait until their links expire.";
        UnrecognizedService [Waiting] "What answers at the endpoint knows neither the identity nor the authenticator configuration, so it may be another service (a wrong name, a proxy). It is not believed that something does not exist."
            "Check the name resolution, the proxies, and the endpoint of the provider config. If both were removed in Beyond Identity, there is nothing to do: a deletion goes on after the grace period.";
        StatusEdited [Stalled] "Somebody has edited `status.send` into what the operator does not write, so nobody can tell whether the email was sent."
            "With `kubectl edit --subresource=status`, put back what stood there, or take `status.send` out where nothing was sent.";
    }
    "An AuthenticatorConfig" {
        Available [Ready] "The configuration stands as the spec says." "";
        Creating [InProgress] "The configuration is about to be made." "";
        Correcting [InProgress] "The configuration is about to be changed to what the spec says." "";
        CreateInDoubt [InProgress] "The configuration may have been made, and is being looked for. None is made meanwhile." "";
        Corrected [Event] "The configuration had drifted, and was changed to what the spec says."
            "If it comes again and again, find out who changes it by hand.";
        ConfigurationNotFound [Waiting, Event] "There is no configuration with the id `spec.resourceID`. As an event: the one that was there is gone, and is made again."
            "Correct `spec.resourceID`, or take it out.";
        TypeMismatch [Stalled] "The configuration is of another type than `spec.config.type` says."
            "Correct the type, or make another AuthenticatorConfig.";
        ConfigurationInUse [Waiting] "The configuration bears the mark of another object, so it is neither changed nor deleted."
            "If that object is gone, take the mark out of the display name in Beyond Identity.";
        ResourceIDNotAllowed [Waiting] "The provider config does not let a configuration be taken over by its id."
            "Set `managementPolicy: Observe`, or `allowResourceIDs: true` in the provider config.";
        DuplicateConfiguration [Event] "Several configurations bear this object's mark. One is used, and the others are left alone."
            "Delete the ones too many in Beyond Identity.";
        MarkNotKept [Event] "The service did not keep the mark in the display name, so a rebuilt cluster would make another configuration."
            "See whether something in Beyond Identity renames configurations.";
    }
    "Either of them" {
        Paused [Beside, Event] "The annotation `beyondidentity.dev/paused` has stopped all work on the object."
            "To go on, take the annotation off.";
        ProviderConfigNotFound [Waiting] "There is no such provider config." "Create it, or correct `spec.providerConfigRef` of the AuthenticatorConfig.";
        NamespaceNotAllowed [Waiting] "The provider config does not allow this namespace."
            "Add it to `spec.allowedNamespaces` of the provider config.";
        InvalidEndpoint [Waiting] "The endpoint of the provider config cannot be used." "Correct `spec.endpoint` of the provider config.";
        SecretNotFound [Waiting] "The Secret of the provider config is not there." "Create it.";
        SecretKeyNotFound [Waiting] "The Secret of the provider config lacks the key." "Put the token under that key.";
        InvalidToken [Waiting] "What the Secret holds cannot be a token." "Put the token in as the Admin Console shows it.";
        Forbidden [Waiting] "The operator itself lacks a right in this cluster." "Give its Role the right that the message names.";
        StatusNotStored [Stalled, Deleting, Event] "The API server refused what the operator wrote, or dropped a part of it. Nothing is sent or made that could not be written down. As an event: not even a condition can be written."
            "Install the CustomResourceDefinitions of this version; look for an admission policy that refuses or changes what the operator writes.";
        EndpointChanged [Stalled] "The provider config leads to another endpoint than the one that a call in doubt was sent to, or that has a job which is not found any more. Only there can be found out what became of it."
            "Let the provider config lead back until that is found out, which takes about a minute and a half.";
        InternalError [Stalled] "The operator did not come to an end with this object, which is a bug in it."
            "Report it, with the log of the operator. It is tried again each minute.";
        RealmNotFound [Waiting] "The service does not know the realm or the tenant of the provider config. That says nothing about what was made there."
            "Correct the region or the endpoint of the provider config. `tenantID` and `realmID` cannot be changed: where they are wrong, make another provider config.";
        NotDecodable [Stalled, Waiting] "This version of the operator cannot read the object, or its provider config. Nothing is done by it, but a deletion."
            "Upgrade the operator again, or correct the field that the message names.";
        InconsistentAnswers [Waiting] "The service lists a job or a configuration, and does not find it by its id. Nothing that cannot be undone follows from either answer."
            "If it lasts, tell the vendor. A deletion goes on after the grace period.";
        RealmChanged [Stalled] "The provider config leads to another tenant or realm than the one in status. Nothing is sent, made or deleted there."
            "Let the provider config lead back. An object that is made anew sends or makes again, and what it had made is left where it was.";
    }
    "What the service says" {
        Unauthorized [Waiting] "401: the service does not accept the token." "Put a new token into the Secret.";
        PermissionDenied [Waiting] "403: the token lacks a scope, or is of another tenant." "Make a token with the scopes of the README.";
        Refused [Stalled] "The service refused the request as it is. It is tried again at `--resync-interval`."
            "The message says what it did not like; correct the spec.";
        RateLimited [InProgress] "The service asks for fewer calls, or others are first." "";
        ServiceUnavailable [InProgress] "The service did not answer, or answered with an error of its own, or something on the way answered in its place."
            "If it lasts, look at the vendor's status page, at the endpoint, and at proxies and load balancers on the way there.";
        KubernetesUnavailable [InProgress] "The Kubernetes API did not answer." "";
    }
    "Deletion" {
        Deleting [Deleting, InProgress] "What was made in Beyond Identity is being revoked or deleted." "";
        InUse [Deleting] "An EnrollmentRequest refers to the AuthenticatorConfig." "Delete it first, or set `deletionPolicy: Orphan`.";
        DeletionBlocked [Deleting] "What is to be revoked or deleted cannot be. The object is let go after the grace period."
            "Mend what the message names, or set `deletionPolicy: Orphan`.";
        LeftBehind [Event] "The object is gone, and something of it was left in Beyond Identity: as it was to be, or (a Warning) because it could not be removed."
            "After a Warning, remove it in Beyond Identity.";
    }
}

impl Reason {
    /// Whether the registry lets it be said by `phase`. What is under way may hold up a deletion, too.
    pub fn shows_as(self, phase: &Phase) -> bool {
        let shown = Shown::from(phase);
        self.shows(shown) || (shown == Shown::Deleting && self.shows(Shown::InProgress))
    }

    /// Whether the registry lets it show like this.
    pub fn shows(self, shown: Shown) -> bool {
        REASONS.iter().any(|entry| entry.reason == self && entry.shown.contains(&shown))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
