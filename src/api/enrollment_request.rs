//! EnrollmentRequest: one identity is to get one enrolment email, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::{Common, CommonMut, CommonStatus};
use super::{ID_PATTERN, NAME_PATTERN, ProviderConfigRef, STATUS_TEXT, Undecodable};

/// Asks for one enrolment email to one identity.
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
    doc = "Asks for one enrolment email to one identity.",
    validation = Rule::new(
        "!has(self.status) || !(has(self.status.send) || has(self.status.attempt)) \
         || (self.spec.identity == oldSelf.spec.identity \
             && self.spec.authenticatorConfigRef == oldSelf.spec.authenticatorConfigRef \
             && self.spec.deliveryMethod == oldSelf.spec.deliveryMethod \
             && has(self.spec.postBindingRedirectURI) == has(oldSelf.spec.postBindingRedirectURI) \
             && (!has(self.spec.postBindingRedirectURI) \
                 || self.spec.postBindingRedirectURI == oldSelf.spec.postBindingRedirectURI))"
    ).message("identity, authenticatorConfigRef, deliveryMethod and postBindingRedirectURI cannot change once the email was sent, \
               or may have been: raise attempt to send again to the same identity, make another EnrollmentRequest for anything else"),
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
    /// The AuthenticatorConfig of this namespace by which the passkey will be bound.
    pub authenticator_config_ref: AuthenticatorConfigRef,
    /// Who is to be enrolled.
    pub identity: IdentityRef,
    /// How the enrolment link reaches the person.
    #[serde(default)]
    pub delivery_method: DeliveryMethod,
    /// Where the person is led to after the passkey was bound.
    #[serde(rename = "postBindingRedirectURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 2048))]
    #[x_kube(validation = Rule::new("self.startsWith('https://')").message("must be an https URI"))]
    pub post_binding_redirect_uri: Option<String>,
    /// Raise it to send again, for a further device too. A lower value than one that was sent for sends nothing.
    #[serde(default = "first_attempt")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: i64,
    /// True revokes a link that is out, and sends nothing. False again brings nothing back.
    #[serde(default)]
    pub revoked: bool,
    /// What becomes of a link that is out when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// In memory alone: this version cannot decode the spec, and the rest of it stands in for it.
    #[serde(skip)]
    pub undecodable: Option<Undecodable>,
}

fn first_attempt() -> i64 {
    1
}

/// What becomes of a link that is out when its request is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is revoked.
    #[default]
    Revoke,
    /// It stays valid until it expires.
    Orphan,
}

/// An AuthenticatorConfig of the same namespace.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
pub struct AuthenticatorConfigRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// An identity of the realm: by its id, or by its username.
#[derive(Clone, Debug, Deserialize, Serialize, KubeSchema, PartialEq)]
#[x_kube(validation = Rule::new("has(self.id) != has(self.username)").message("give exactly one of id and username"))]
pub struct IdentityRef {
    /// The identity's id, as the Admin Console shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = ID_PATTERN), length(max = 64))]
    pub id: Option<String>,
    /// The identity's username, without regard to case. It must lead to exactly one identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r#"^[^"\\\x00-\x1f\x7f]+$"#))]
    pub username: Option<String>,
}

/// How the enrolment link reaches the person.
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

/// What became of the request.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentRequestStatus {
    /// The generation of the spec that the conditions are about. −1: nobody has looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// The credential binding job that sent the email.
    #[serde(rename = "jobID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub job_id: Option<String>,
    /// The job's state, as the API wrote it. The set is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub state: Option<String>,
    /// When the link expires, as the API wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub expire_time: Option<String>,
    /// When the job was made, as the API wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub create_time: Option<String>,
    /// When the job last changed, as the API wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub update_time: Option<String>,
    /// True once the link's expire time has passed by the service's own clock, while the service still shows the job in a
    /// state in which its link works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// The job's delivery method as the API wrote it, where this version does not know it. Such a job is never revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub delivery_method: Option<String>,
    /// The credential that was bound, once the job is COMPLETE.
    #[serde(rename = "credentialID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub credential_id: Option<String>,
    /// The provider config that was gone through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_config_ref: Option<ProviderConfigRef>,
    /// The base URL of the API that has the job. What answers at another one is not believed that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// The tenant of the job.
    #[serde(rename = "tenantID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: Option<String>,
    /// The realm of the job.
    #[serde(rename = "realmID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: Option<String>,
    /// The identity that was enrolled.
    #[serde(rename = "identityID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: Option<String>,
    /// The authenticator configuration of the job.
    #[serde(rename = "authenticatorConfigID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub authenticator_config_id: Option<String>,
    /// The highest attempt that is concluded, to which `jobID` belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: Option<i64>,
    /// The job was there already when this request was first looked at. Gone once a later attempt was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Why the attempt was concluded without a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// The jobs of earlier attempts, the newest first. One whose link is out is still to be revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub previous_jobs: Vec<PreviousJob>,
    /// Since when something is owed that could come right without a change of this object (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_since: Option<String>,
    /// The write-ahead record of a send. While it is there, the email may have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<SendRecord>,
    /// The value of the annotation `beyondidentity.dev/reconcile-requested-at` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub last_handled_reconcile_at: Option<String>,
    /// What is so, by the Kubernetes conventions for conditions.
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
    /// The identity had a passkey already when this request was first looked at.
    AlreadyEnrolled,
    /// The request was revoked before anything was sent.
    Revoked,
}

/// A job of an earlier attempt.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PreviousJob {
    /// Its id.
    #[schemars(length(max = STATUS_TEXT))]
    pub id: String,
    /// The identity that it belongs to.
    #[serde(rename = "identityID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: String,
    /// The base URL of the API that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// Its state when it was last looked at, as the API wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub state: Option<String>,
    /// True once the time of its link was over by the service's own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// Its delivery method as the API wrote it, where this version does not know it. Such a job is never revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub delivery_method: Option<String>,
}

/// The write-ahead record of a send: written before the call that it announces, and all that is needed to
/// find out later whether that call made a job.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SendRecord {
    /// Drawn anew for each send.
    #[schemars(length(max = 64))]
    pub id: String,
    /// The attempt that is sent for.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub attempt: i64,
    /// The job that an annotation asked to be followed by another email. The attempt stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub resend_of: Option<String>,
    /// The provider config that is gone through.
    pub provider_config_ref: ProviderConfigRef,
    /// The base URL of the API that it is sent to. Only there can be found out whether it was sent. Absent in a record of an
    /// earlier version: the provider config leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub endpoint: Option<String>,
    /// The tenant.
    #[serde(rename = "tenantID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub tenant_id: String,
    /// The realm.
    #[serde(rename = "realmID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub realm_id: String,
    /// The identity.
    #[serde(rename = "identityID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub identity_id: String,
    /// The authenticator configuration.
    #[serde(rename = "authenticatorConfigID")]
    #[schemars(length(max = STATUS_TEXT))]
    pub authenticator_config_id: String,
    /// The delivery method.
    pub delivery_method: DeliveryMethod,
    /// Where the person is led to afterwards.
    #[serde(rename = "postBindingRedirectURI", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub post_binding_redirect_uri: Option<String>,
    /// A job of this send was made at this time or later (RFC 3339): the service's own time when its jobs
    /// were last listed, less a margin for clocks.
    #[schemars(length(max = 64))]
    pub not_before: String,
    /// Matching jobs that were there already, made at `notBefore` or later or at an unknown time.
    #[serde(rename = "existingJobIDs", default)]
    #[schemars(length(max = 1000), inner(length(max = STATUS_TEXT)), extend("x-kubernetes-list-type" = "set"))]
    pub existing_job_ids: Vec<String>,
    /// For how many seconds, from just before this record was written, the call may run.
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
