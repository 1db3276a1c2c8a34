//! The registry of reasons: the meaning, presentation and remedy of each. `docs/reasons.md` is generated from it.

use std::fmt;

use super::Phase;

/// How a reason is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// `Ready` is True.
    Ready,
    /// `Reconciling` is True: work is in progress, or the problem resolves itself.
    InProgress,
    /// `Reconciling` is True for the grace period, and then `Stalled`: a person has to act elsewhere.
    Waiting,
    /// `Stalled` is True: this object has to be changed.
    Stalled,
    /// The object is being deleted, and `Ready` says what the deletion waits for.
    Deleting,
    /// A separate condition type, in addition to the others.
    OwnCondition,
    /// An event.
    Event,
}

impl From<&Phase> for Shown {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Progressing(_) | Phase::InDoubt(_) => Self::InProgress,
            Phase::Blocked(_) => Self::Waiting,
            Phase::Refused(_) | Phase::FailedToSend(_) | Phase::JobNotFound(_) => Self::Stalled,
            Phase::Available(_)
            | Phase::Outstanding(_)
            | Phase::Complete(_)
            | Phase::Expired(_)
            | Phase::Revoked { .. } => Self::Ready,
            Phase::Deleting { .. } => Self::Deleting,
        }
    }
}

impl Reason {
    /// Whether something in the cluster is missing, which often was applied at the same time and comes seconds later.
    pub fn may_be_on_its_way(self) -> bool {
        matches!(
            self,
            Self::AuthenticatorConfigNotFound
                | Self::ProviderConfigNotFound
                | Self::NamespaceNotAllowed
                | Self::SecretNotFound
                | Self::SecretKeyNotFound
                | Self::Forbidden
        )
    }
}

/// The registry entry of a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its heading in the documentation.
    pub of: &'static str,
    /// The reason.
    pub reason: Reason,
    /// All presentations of it.
    pub shown: &'static [Shown],
    /// Its meaning.
    pub meaning: &'static str,
    /// The remedy; empty if no action is needed.
    pub remedy: &'static str,
}

/// Generates the enum and the registry from the same lines.
macro_rules! reasons {
    ($($of:literal { $($reason:ident [$($shown:ident),+] $meaning:literal $remedy:literal;)+ })+) => {
        /// Every reason of a condition or an event. The variant's name is the reason.
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
    "EnrollmentRequest, by the state of its job" {
        LinkSent [Ready] "`LINK_SENT`: the enrolment email was sent." "";
        LinkOpened [Ready] "`LINK_OPENED`: the user has opened the link." "";
        RequestDelivered [Ready] "`REQUEST_DELIVERED`: the link has reached the user's authenticator." "";
        UnknownState [Ready] "The job has no state, or one that this version does not know. Its link is treated as active."
            "Check whether a later version of the operator knows the state.";
        Complete [Ready] "`COMPLETE`: the user has bound a passkey." "";
        LinkExpired [Ready] "`EXPIRED`: the link expired before a passkey was bound."
            "To send another email, raise `spec.attempt`, or annotate the request with `beyondidentity.dev/resend: JOBID/EXPIRED`.";
        Revoked [Ready] "`REVOKED`, or `spec.revoked` is true and no link is active. A Warning event reports a revocation that neither the spec nor an annotation requested."
            "To enrol again, set `spec.revoked` to false and raise `spec.attempt`.";
        Revoking [InProgress] "The link is being revoked." "";
        FailedToSend [Stalled] "`FAILED_TO_SEND`: the service could not send the email."
            "Correct the identity's email address in Beyond Identity, then raise `spec.attempt`.";
        JobNotFound [Stalled] "The service does not know the job, or knows it as the job of another identity. Nothing is sent again for it."
            "To send another email, raise `spec.attempt`. If `status.jobID` was modified outside the operator, restore it instead.";
        Adopted [Ready] "The job existed before the request. It was created by hand, by a request that was deleted, or before the cluster was rebuilt."
            "To send an email anyway, raise `spec.attempt`.";
        AlreadyEnrolled [Ready] "The identity had a passkey before the request, so no email was sent."
            "To enrol another device, raise `spec.attempt`.";
        RevokeRefused [OwnCondition, Event] "A link that must not stay active cannot be revoked."
            "The message says why. If the service answered 401, store a new token; for 403, use a token with the scope `credential-binding-jobs:revoke`. If the link was adopted through an observed configuration, ask the cluster's admins for `spec.allowRevokingAdoptedLinks` in the ClusterProviderConfig. Or revoke the job in Beyond Identity.";
        DuplicateJob [Event] "There are more jobs than were requested. The operator does not revoke them, because one may be a link that is still needed. `status.jobID` names the job that the request uses."
            "In Beyond Identity, revoke the surplus job, which is not the one that `status.jobID` names.";
        ClockSkew [Event] "The clocks of the service's machines differ by more than the operator allows for. A send in doubt may then not find its job."
            "Report the times that the event names to the vendor. Until it is fixed, an email whose response is lost may be sent again.";
    }
    "EnrollmentRequest, before it sends" {
        Sending [InProgress] "The email is about to be sent." "";
        SendInDoubt [InProgress] "The email may have been sent. The operator looks for its job, and sends nothing meanwhile." "";
        AuthenticatorConfigNotFound [Waiting] "The AuthenticatorConfig does not exist in the namespace, or it is being deleted."
            "Create it, or correct `spec.authenticatorConfigRef`. An AuthenticatorConfig that is being deleted waits for the requests that refer to it; delete them too.";
        AuthenticatorConfigNotReady [InProgress, Waiting] "The AuthenticatorConfig is not Ready yet. If it is paused, the request is stalled after the grace period."
            "If it is paused, remove the annotation `beyondidentity.dev/paused` from it.";
        AuthenticatorConfigStalled [Waiting] "The AuthenticatorConfig is Stalled." "Fix it as its conditions say.";
        DuplicateRequest [Waiting] "Another request is for the same identity and configuration. This one does nothing."
            "Delete this request. To send again, raise `spec.attempt` of the other one. Deleting the other one revokes its link and sends another email.";
        IdentityNotFound [Waiting] "The identity does not exist in the realm." "Create the identity in Beyond Identity, or correct `spec.identity`.";
        IdentityAmbiguous [Waiting] "The username matches more than one identity." "Set `spec.identity.id` instead of the username.";
        IdentityNotActive [Waiting] "The identity is not active." "Activate it in Beyond Identity.";
        NoEmailAddress [Waiting] "The identity has no primary email address." "Add one in Beyond Identity.";
        SendBudgetExceeded [InProgress] "A limit of the provider config on emails is reached: for the identity, or for all that it sends within an hour. The message names the limit and when the request is likely to go on. Nothing is lost, and no call is made meanwhile."
            "None is needed. If it should go faster, raise the limit that the message names in `spec.enrollment` of the provider config.";
        RedirectNotAllowed [Waiting] "The provider config does not allow the host in `spec.postBindingRedirectURI`. Nothing is sent."
            "Correct that field, or add the host to `spec.enrollment.allowedRedirectHosts` of the provider config. For a ClusterProviderConfig, ask the cluster's admins.";
        WaitingForAnotherSend [InProgress, Waiting] "An email to the same identity, from another request for another configuration, is in flight or in doubt. Sends to one identity are made one at a time. If the other request is paused or stalled, this one is stalled after the grace period."
            "If the other request is paused or stalled, fix it as its conditions say, or delete it.";
        TooManyActiveLinks [Waiting] "Too many links of earlier attempts are still active and cannot be revoked, so no further email is sent."
            "Fix the cause that the condition `RevokeRefused` names, revoke the jobs in Beyond Identity, or wait until their links expire.";
        TooManyJobs [Stalled] "More than 1,000 recent jobs of the identity cannot be distinguished from the job of a new email, so no email is sent. It is retried at `--resync-interval`."
            "Find out what creates jobs for this identity. A job no longer counts once it is a few minutes older than the send.";
        UnrecognizedService [Waiting] "The service at the endpoint knows neither the identity nor the authenticator configuration. It may be another service, for example because of DNS or a proxy. Its answer that something does not exist is not trusted."
            "Check the name resolution, the proxies, and the endpoint of the provider config. If both were removed in Beyond Identity, no action is needed; a deletion continues after the grace period.";
        StatusEdited [Stalled] "`status.send` was modified outside the operator, or another version wrote it in a form that this version cannot decode. The outcome of the send is unknown, and nothing is sent."
            "If another version wrote it, run that version until the outcome is known. Otherwise, with `kubectl edit --subresource=status`, restore the previous value, or remove `status.send` if no email was sent.";
    }
    "AuthenticatorConfig" {
        Available [Ready] "The configuration exists and matches the spec." "";
        Creating [InProgress] "The configuration is about to be created." "";
        Updating [InProgress] "The configuration is about to be updated to match the spec." "";
        CreateInDoubt [InProgress] "The configuration may have been created. The operator looks for it, and creates none meanwhile." "";
        DriftCorrected [Event] "The configuration differed from the spec, and was updated to match it."
            "If this repeats, find out who changes the configuration outside the operator.";
        FieldNotUnset [OwnCondition] "A field that this object has set was removed from the spec, and the configuration still has its last value. The API has no value that unsets it, or the update failed."
            "Set the field in the spec to the value that it should have, and `authenticationMethods` never to an empty list. If the update failed, fix what Ready says.";
        OtherValueStored [Event] "The answer to an update shows another value than was sent, so the service keeps the value in a form of its own. It is not sent again until the spec or that value changes."
            "If both forms mean the same, no action is needed; to avoid the update after each change of the spec, write the form that the service keeps. Otherwise correct the field.";
        ConfigurationNotFound [Waiting, Event] "No configuration has the id `spec.resourceID`. As an event: the configuration no longer exists, and is created again."
            "Correct `spec.resourceID`, or remove it.";
        TypeMismatch [Stalled] "The type of the configuration differs from `spec.config.type`."
            "Correct the type, or create another AuthenticatorConfig.";
        ConfigurationInUse [Waiting] "The configuration has the ownership mark of another object, so it is neither changed nor deleted."
            "If that object no longer exists, remove the mark from the display name in Beyond Identity.";
        ResourceIDNotAllowed [Waiting] "The provider config does not allow adopting a configuration by its id."
            "Set `spec.managementPolicy: Observe`, or `spec.allowResourceIDs: true` in the provider config.";
        ConfigNotAllowed [Waiting] "The provider config does not allow this type of configuration, or an address in it. Nothing is created, changed or sent through it. Existing links are still polled and revoked."
            "Correct the field that the message names, or ask the cluster's admins to allow it in the provider config.";
        DuplicateConfiguration [Event] "Several configurations have the ownership mark of this object. `status.id` names the one that is used. The others are left alone."
            "In Beyond Identity, delete those that `status.id` does not name.";
        OwnershipMarkNotStored [Event] "The service did not store the ownership mark in the display name, so a rebuilt cluster would create another configuration."
            "Check whether something in Beyond Identity renames configurations.";
    }
    "ProviderConfig and ClusterProviderConfig" {
        CredentialsAccepted [Ready] "The service accepts the credentials. If the provider config is also `Degraded`, something cannot be revoked or deleted." "";
        TokenExpiring [Event] "The token expires within days. After that, nothing can be sent, polled or revoked through the provider config."
            "Store a new token in its Secret.";
    }
    "Every kind" {
        RealmInUse [Waiting] "Configurations in the realm have the ownership mark of another cluster, which the message names. Nothing is created or sent there, because each of the two clusters may email every identity. Existing links are still polled and revoked."
            "Use another realm. Or set `spec.sharedRealm` to true in the provider config, if both clusters are to use the realm. Or add the cluster to `spec.formerClusterNames` there, if this cluster replaces it. Or remove what is left of the other cluster in Beyond Identity, and request a reconcile of the provider config.";
        Paused [OwnCondition, Event] "The annotation `beyondidentity.dev/paused` stops reconciliation of the object. On a provider config, it stops everything new that goes through it."
            "To resume, remove the annotation.";
        ProviderConfigNotFound [Waiting] "The provider config does not exist." "Create it, or correct `spec.providerConfigRef` of the AuthenticatorConfig.";
        NamespaceNotAllowed [Waiting] "The provider config does not allow this namespace."
            "Add it to `spec.allowedNamespaces` of the provider config, or label it as the selector there requires.";
        InvalidEndpoint [Waiting] "The endpoint of the provider config is invalid, or the operator does not allow its host." "Correct `spec.endpoint` of the provider config, or allow the host.";
        ProviderConfigPaused [Waiting] "The annotation `beyondidentity.dev/paused` of the provider config stops everything new that goes through it. Existing links are still polled and revoked."
            "To resume, remove the annotation from the provider config.";
        MissingScopes [Waiting, OwnCondition] "The token of the provider config lacks a scope. As the condition `Degraded` of a provider config: only links cannot be revoked, or configurations cannot be deleted."
            "Store a token with the scopes that [Install and upgrade](install.md#before-you-begin) lists.";
        TokenExpired [Waiting] "The token of the provider config has expired." "Store a new token in its Secret.";
        TenantMismatch [Waiting] "The token of the provider config belongs to another tenant than `spec.tenantID`."
            "Store a token of that tenant. `tenantID` is immutable; if it is wrong, create another provider config.";
        InvalidCredentials [Waiting] "The provider config has both kinds of credentials, or none."
            "Set exactly one of `spec.credentials.apiToken` and `spec.credentials.clientCredentials`.";
        SecretNotFound [Waiting] "The Secret of the provider config does not exist." "Create it.";
        SecretKeyNotFound [Waiting] "The Secret of the provider config has no such key." "Store the value that the message names under that key.";
        InvalidToken [Waiting] "The value in the Secret is not a valid token, client id or client secret."
            "Store the value as the Admin Console shows it.";
        Forbidden [Waiting] "The operator lacks a permission in this cluster." "Grant its Role the permission that the message names.";
        StatusNotStored [Stalled, Deleting, Event] "The API server refused a write of the operator, or dropped a part of it. Nothing is sent or created that cannot be recorded. As an event: not even a condition can be written."
            "Install the CustomResourceDefinitions of this version, and check for an admission policy or a missing permission that refuses or changes the operator's writes.";
        EndpointChanged [Stalled] "The provider config points to another endpoint than the one that received a call in doubt, or that has a job which is no longer found. Only that endpoint knows the outcome."
            "Point the provider config back. A call in doubt is resolved in about a minute and a half. A job that is no longer found is known only there, so keep that endpoint.";
        InternalError [Stalled] "The reconcile of this object does not terminate, which is an operator bug."
            "Report it with the operator's log. It is retried every minute.";
        RealmNotFound [Waiting] "The service does not know the realm or the tenant of the provider config. Resources created there are not treated as deleted."
            "Correct the region or the endpoint of the provider config. `tenantID` and `realmID` are immutable; if they are wrong, create another provider config.";
        NotDecodable [Stalled, Waiting] "This version of the operator cannot decode the object or its provider config. It does not act on the object, except to delete it."
            "Upgrade the operator, or correct the field that the message names.";
        InconsistentAnswers [Waiting] "The service lists a job or a configuration, but does not find it by its id. Or a list is older than it can be. Nothing irreversible is done based on such answers."
            "If it lasts, check that no proxy caches answers, and report it to the vendor. A deletion continues after the grace period.";
        RealmChanged [Stalled] "The provider config points to another tenant or realm than the one in status. Nothing is sent, created or deleted there."
            "Point the provider config back. An object that is recreated sends or creates again, and its previous remote resource stays where it is.";
    }
    "Responses of the service" {
        Unauthorized [Waiting] "401: the service does not accept the token. With client credentials, a new token was requested already, or is requested within a minute."
            "Store a new token in the Secret. With client credentials, check `spec.credentials.clientCredentials` and `spec.tenantID`.";
        TokenRequestRefused [Waiting] "The token endpoint issues no token for the client credentials of the provider config."
            "Correct the Secret, or the field of `spec.credentials.clientCredentials` that the message names.";
        InvalidTokenResponse [Waiting] "The response of the token endpoint is not one with a usable token."
            "Correct `spec.endpoint.auth` of the provider config, or the token lifetime of the application. If a proxy or a load balancer responds, fix it.";
        PermissionDenied [Waiting] "403: the token lacks a scope, or belongs to another tenant." "Create a token with the scopes that [Install and upgrade](install.md#before-you-begin) lists.";
        Refused [Stalled] "The service refused the request as invalid. It is retried at `--resync-interval`."
            "Correct the spec as the message says. If a code and a field do not explain it, start the operator with `--show-service-messages`.";
        RateLimited [InProgress] "The service limits the request rate, and the object is queued." "";
        ServiceUnavailable [InProgress] "The service did not respond, responded with a server error, or a proxy responded in its place."
            "If it lasts, check the vendor's status page, the endpoint, and any proxy or load balancer in between.";
        KubernetesUnavailable [InProgress] "The Kubernetes API did not respond." "If it lasts, check the API server and the network between it and the operator.";
    }
    "Deletion" {
        Deleting [Deleting, InProgress] "The remote resource in Beyond Identity is being revoked or deleted." "";
        InUse [Deleting] "An EnrollmentRequest refers to the AuthenticatorConfig, or an object refers to the provider config." "Delete it first. For an AuthenticatorConfig, `spec.deletionPolicy: Orphan` also helps.";
        DeletionBlocked [Deleting] "The remote resource cannot be revoked or deleted. The finalizer is removed after the grace period."
            "Fix the cause that the message names, or set `spec.deletionPolicy: Orphan`.";
        RemoteResourceRetained [Event] "The object is deleted, but its remote resource stays in Beyond Identity. A Normal event: as requested. A Warning event: it could not be removed."
            "After a Warning, remove it in Beyond Identity.";
    }
}

impl Reason {
    /// Whether the registry allows this reason in `phase`. A reason for work in progress may also delay a deletion.
    pub fn shows_as(self, phase: &Phase) -> bool {
        let shown = Shown::from(phase);
        self.shows(shown) || (shown == Shown::Deleting && self.shows(Shown::InProgress))
    }

    /// Whether the registry allows this presentation.
    pub fn shows(self, shown: Shown) -> bool {
        REASONS.iter().any(|entry| entry.reason == self && entry.shown.contains(&shown))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
