//! EnrollmentRequest: one identity is to get one enrolment email, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::{Common, CommonMut, CommonStatus};
use super::{
    ID_PATTERN, NAME_PATTERN, NO_INVISIBLE, NO_INVISIBLE_MESSAGE, NO_USER, NO_USER_MESSAGE, PLAIN_BLANKS,
    PLAIN_BLANKS_MESSAGE, ProviderConfigRef, STATUS_TEXT, Undecodable,
};

/// A request for one enrolment email to one identity.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "beyondidentity.dev",
    version = "v1alpha1",
    kind = "EnrollmentRequest",
    plural = "enrollmentrequests",
    shortname = "er",
    category = "beyondidentity",
    namespaced,
    status = "EnrollmentRequestStatus",
    derive = "PartialEq",
    doc = "A request for one enrolment email to one identity.",
    validation = Rule::new(
        "!has(self.status) || !(has(self.status.send) || has(self.status.attempt)) \
         || (self.spec.identity == oldSelf.spec.identity \
             && self.spec.authenticatorConfigRef == oldSelf.spec.authenticatorConfigRef \
             && self.spec.deliveryMethod == oldSelf.spec.deliveryMethod \
             && has(self.spec.postBindingRedirectURI) == has(oldSelf.spec.postBindingRedirectURI) \
             && (!has(self.spec.postBindingRedirectURI) \
                 || self.spec.postBindingRedirectURI == oldSelf.spec.postBindingRedirectURI))"
    ).message("identity, authenticatorConfigRef, deliveryMethod and postBindingRedirectURI are immutable once the email was or \
               may have been sent: increase attempt to send again to the same identity, otherwise create another EnrollmentRequest"),
    selectable = ".spec.authenticatorConfigRef.name",
    selectable = ".status.state",
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = ".status.state", name = "State", type_ = "string"),
    printcolumn(json_path = ".status.expireTime", name = "Expires", type_ = "string"),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date"),
    printcolumn(json_path = ".status.jobID", name = "Job", type_ = "string", priority = 1),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].message"#, name = "Message", type_ = "string", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentRequestSpec {
    /// AuthenticatorConfig in the same namespace that the passkey is enrolled with.
    pub authenticator_config_ref: AuthenticatorConfigRef,
    /// The identity to enrol.
    pub identity: IdentityRef,
    /// How the enrolment link is delivered.
    #[serde(default)]
    pub delivery_method: DeliveryMethod,
    /// URI that the user is redirected to after the passkey was bound.
    #[serde(rename = "postBindingRedirectURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 2048))]
    #[x_kube(validation = Rule::new(r"self.matches('^https://[\\x21-\\x7e]+$')")
        .message("must be an https URI of visible ASCII characters: percent-encode any others"))]
    #[x_kube(validation = Rule::new(NO_USER).message(NO_USER_MESSAGE))]
    pub post_binding_redirect_uri: Option<String>,
    /// Increase it to send again, for example to enrol another device. A value below a sent attempt sends nothing.
    #[serde(default = "first_attempt")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: i64,
    /// Set to true to revoke an active link and to send nothing. Setting it back to false does not restore the link.
    #[serde(default)]
    pub revoked: bool,
    /// What happens to an active link when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}

fn first_attempt() -> i64 {
    1
}

/// What happens to an active link when its request is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The link is revoked.
    #[default]
    Revoke,
    /// The link remains valid until it expires.
    Orphan,
}

/// Reference to an AuthenticatorConfig in the same namespace.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AuthenticatorConfigRef {
    /// Name of the AuthenticatorConfig.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// Reference to an identity of the realm by its id or username.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[x_kube(validation = Rule::new("has(self.id) != has(self.username)").message("exactly one of id and username must be set"))]
pub struct IdentityRef {
    /// Id of the identity, as shown in the Admin Console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub id: Option<String>,
    /// Username of the identity, case-insensitive. It must match exactly one identity. Composed and decomposed accented
    /// letters are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r#"^[^"\\\x00-\x1f\x7f]+$"#))]
    #[x_kube(
        validation = Rule::new(NO_INVISIBLE).message(NO_INVISIBLE_MESSAGE),
        validation = Rule::new(PLAIN_BLANKS).message(PLAIN_BLANKS_MESSAGE),
    )]
    pub username: Option<String>,
}

/// How the enrolment link is delivered.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeliveryMethod {
    /// By email, to the identity's primary address.
    #[default]
    Email,
}

impl DeliveryMethod {
    /// The method as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
        }
    }
}

/// Observed state of the request.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentRequestStatus {
    /// The generation that the conditions describe. −1 means not reconciled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Id of the credential binding job that sent the email.
    #[serde(rename = "jobID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub job_id: Option<String>,
    /// State of the job as returned by the API. New values may appear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub state: Option<String>,
    /// When the link expires, as returned by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub expire_time: Option<String>,
    /// When the job was created, as returned by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub create_time: Option<String>,
    /// When the job last changed, as returned by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub update_time: Option<String>,
    /// True once the expiry time has passed by the clock of the API while the job is still in a state with an active link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// Delivery method of the job, if this version does not know it. Such a job is never revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub delivery_method: Option<String>,
    /// Id of the credential that was bound, once the job is COMPLETE.
    #[serde(rename = "credentialID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub credential_id: Option<String>,
    /// The provider config that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_config_ref: Option<ProviderConfigRef>,
    /// Base URL of the API that has the job. A 404 from any other URL does not count as its deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// Id of the tenant that has the job.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: Option<String>,
    /// Id of the realm that has the job.
    #[serde(rename = "realmID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: Option<String>,
    /// Id of the identity to enrol.
    #[serde(rename = "identityID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: Option<String>,
    /// Id of the authenticator configuration of the job.
    #[serde(rename = "authenticatorConfigID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub authenticator_config_id: Option<String>,
    /// The highest concluded attempt. `jobID` is the job of this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: Option<i64>,
    /// True if the job already existed when this request was first reconciled. Unset once a later attempt was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// True if the job was adopted through an AuthenticatorConfig with `managementPolicy: Observe`, so another team may have
    /// sent the link. Such a job is revoked only if the ClusterProviderConfig allows it (`allowRevokingAdoptedLinks`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_through_observe: Option<bool>,
    /// Why the attempt was concluded without a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// Jobs of earlier attempts, newest first. Their active links are still to be revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub previous_jobs: Vec<PreviousJob>,
    /// When the current recoverable failure began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_since: Option<String>,
    /// Write-ahead record of a send. While it is present, the email may have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<SendRecord>,
    /// The last handled value of the annotation `beyondidentity.dev/reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub last_handled_reconcile_at: Option<String>,
    /// Current conditions, by the Kubernetes API conventions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// Why an attempt was concluded without a job.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum Skipped {
    /// The identity already had a passkey when this request was first reconciled.
    AlreadyEnrolled,
    /// The request was revoked before anything was sent.
    Revoked,
}

/// A job of an earlier attempt.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PreviousJob {
    /// Id of the job.
    #[schemars(length(max = STATUS_TEXT))]
    pub id: String,
    /// Id of the identity of the job.
    #[serde(rename = "identityID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: String,
    /// Base URL of the API that has the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// State of the job when it was last observed, as returned by the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub state: Option<String>,
    /// True once the link has expired by the clock of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// True if the job was adopted through an AuthenticatorConfig with `managementPolicy: Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_through_observe: Option<bool>,
    /// Delivery method of the job, if this version does not know it. Such a job is never revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub delivery_method: Option<String>,
}

/// The write-ahead record of a send: written before the call that it announces, and all that is needed to
/// find out later whether that call made a job.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SendRecord {
    /// Random id of this send.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The attempt of this send.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: i64,
    /// Id of the job that an annotation requested to resend. The attempt stays unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub resend_of: Option<String>,
    /// The provider config that is used.
    pub provider_config_ref: ProviderConfigRef,
    /// Base URL of the API that receives the send. Only that API knows whether the email was sent. If unset, as in records
    /// of earlier versions, it is the URL of the provider config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// Id of the tenant.
    #[serde(rename = "tenantID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: String,
    /// Id of the realm.
    #[serde(rename = "realmID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: String,
    /// Id of the identity.
    #[serde(rename = "identityID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: String,
    /// Id of the authenticator configuration.
    #[serde(rename = "authenticatorConfigID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub authenticator_config_id: String,
    /// Delivery method of the email.
    pub delivery_method: DeliveryMethod,
    /// URI that the user is redirected to afterwards.
    #[serde(rename = "postBindingRedirectURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub post_binding_redirect_uri: Option<String>,
    /// Earliest creation time of a job of this send (RFC 3339): the time of the API when its jobs were last listed, minus a
    /// margin for clock skew.
    #[schemars(length(max = 64))]
    pub not_before: String,
    /// Ids of matching jobs that already existed, created at `notBefore` or later or at an unknown time.
    #[serde(rename = "existingJobIDs", default)]
    #[schemars(length(max = 1000), inner(length(max = STATUS_TEXT)), extend("x-kubernetes-list-type" = "set"))]
    pub existing_job_ids: Vec<String>,
    /// Timeout of the call in seconds, counted from just before this record was written.
    #[schemars(range(min = 0, max = 3600))]
    pub timeout_seconds: i64,
}

impl CommonStatus for EnrollmentRequestStatus {
    fn common(&self) -> Common<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        Common { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }

    fn common_mut(&mut self) -> CommonMut<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        CommonMut { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }
}
