//! The types of requests and responses: identities, credential binding jobs, authenticator configurations.
//!
//! In a response, only `id` is required. Any other field that is missing, `null`, empty or of an undocumented type is
//! `None`. Unknown fields are ignored. Ids are as the API wrote them, and one that cannot be used makes the response
//! unusable. Times are written in one form. Unknown values of enums that could be anything else are `[redacted]`.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::fields::Fields;
use super::open_enum::open_enum;
use super::{fields, username};

open_enum! {
    /// The state of a credential binding job. The list is open: older documents of the vendor name fewer states.
    JobState {
        /// The link was sent.
        LinkSent = "LINK_SENT",
        /// The link was opened.
        LinkOpened = "LINK_OPENED",
        /// The request reached the authenticator.
        RequestDelivered = "REQUEST_DELIVERED",
        /// A credential was bound.
        Complete = "COMPLETE",
        /// The link expired.
        Expired = "EXPIRED",
        /// The email could not be sent.
        FailedToSend = "FAILED_TO_SEND",
        /// The job was revoked.
        Revoked = "REVOKED",
    }
}

open_enum! {
    /// How a binding link reaches the person.
    DeliveryMethod {
        /// By email, to the identity's primary address.
        Email = "EMAIL",
        /// In the response, to the caller.
        Return = "RETURN",
    }
}

open_enum! {
    /// Whether an identity may generate passkeys and log in.
    IdentityStatus {
        /// It may generate passkeys and log in.
        Active = "active",
        /// It may do neither.
        Suspended = "suspended",
    }
}

open_enum! {
    /// Whether an identity has passkeys.
    EnrollmentStatus {
        /// One or more active passkeys.
        Enrolled = "ENROLLED",
        /// No active passkey, and one or more pending enrolments.
        Pending = "PENDING",
        /// No active passkey, no pending enrolment, and one or more that failed.
        InviteFailed = "INVITE_FAILED",
        /// None of these.
        Unenrolled = "UNENROLLED",
    }
}

/// Personal data, such as an email address. `Debug` hides it, and it cannot be serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalData(String);

impl PersonalData {
    /// The value, for comparisons only. It must not appear in a log line, an error or a status.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for PersonalData {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// An identity, which can be enrolled. Its display name is not read, because it is usually a person's name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm of the identity.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub realm_id: Option<String>,
    /// The tenant of the identity.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub tenant_id: Option<String>,
    /// Missing in the vendor's own example.
    #[serde(default, deserialize_with = "fields::text")]
    pub status: Option<IdentityStatus>,
    /// "May be undefined", says the OpenAPI document.
    #[serde(default, deserialize_with = "fields::text")]
    pub enrollment_status: Option<EnrollmentStatus>,
    /// The username and the email address.
    #[serde(default)]
    traits: Option<Traits>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Traits {
    #[serde(default, deserialize_with = "fields::text")]
    username: Option<PersonalData>,
    #[serde(default, deserialize_with = "fields::text")]
    primary_email_address: Option<PersonalData>,
}

impl Identity {
    /// The recipient address of an email.
    #[must_use]
    pub fn primary_email_address(&self) -> Option<&PersonalData> {
        self.traits.as_ref()?.primary_email_address.as_ref().filter(|address| !address.expose().trim().is_empty())
    }

    /// Unique within the realm, ignoring case; often an email address.
    #[must_use]
    pub fn username(&self) -> Option<&PersonalData> {
        self.traits.as_ref()?.username.as_ref()
    }

    /// Whether this is its username, ignoring case and the composition of letters.
    #[must_use]
    pub fn has_username(&self, username: &str) -> bool {
        self.username().is_some_and(|own| username::is_same(own.expose(), username))
    }

    /// Whether people may take this for its username, although it may differ, such as in blanks.
    #[must_use]
    pub fn has_similar_username(&self, username: &str) -> bool {
        self.username().is_some_and(|own| username::is_similar(own.expose(), username))
    }
}

/// The binding of a new credential to an identity, from the sent link to the bound credential.
///
/// The link itself, which the response to a create may contain, is never read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CredentialBindingJob {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm of the job.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub realm_id: Option<String>,
    /// The tenant of the job.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub tenant_id: Option<String>,
    /// The identity of the job.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub identity_id: Option<String>,
    /// The configuration that the link was built with.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub authenticator_config_id: Option<String>,
    /// How the link reaches the person.
    #[serde(default, deserialize_with = "fields::text")]
    pub delivery_method: Option<DeliveryMethod>,
    /// The state of the job.
    #[serde(default, deserialize_with = "fields::text")]
    pub state: Option<JobState>,
    /// The bound credential, once there is one.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub credential_id: Option<String>,
    /// The redirect URI after the binding.
    #[serde(default, deserialize_with = "fields::text")]
    pub post_binding_redirect_uri: Option<String>,
    /// When the link stops working (seven days after the creation, in the vendor's examples).
    #[serde(default, deserialize_with = "fields::time")]
    pub expire_time: Option<String>,
    /// When the job was created, by the service's clock.
    #[serde(default, deserialize_with = "fields::time")]
    pub create_time: Option<String>,
    /// When it last changed.
    #[serde(default, deserialize_with = "fields::time")]
    pub update_time: Option<String>,
}

/// How identities may authenticate themselves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct AuthenticatorConfig {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm of the configuration.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub realm_id: Option<String>,
    /// The tenant of the configuration.
    #[serde(default, deserialize_with = "fields::other_id")]
    pub tenant_id: Option<String>,
    /// Missing in the vendor's how-to.
    #[serde(default, deserialize_with = "fields::text")]
    pub display_name: Option<String>,
    /// The settings from the API, which depend on the type.
    #[serde(default, deserialize_with = "fields::object")]
    pub config: Option<Fields>,
}

impl AuthenticatorConfig {
    /// `hosted_web`, `embedded`, `console` or `platform`, as the API returned it.
    #[must_use]
    pub fn config_type(&self) -> Option<&str> {
        self.config.as_ref()?.get("type")?.as_str()
    }
}

/// The answer to a change of a configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "AuthenticatorConfig")]
pub struct PatchedConfig {
    /// The configuration.
    pub config: AuthenticatorConfig,
    /// The same, with every text as messages may show it.
    pub shown: AuthenticatorConfig,
}

impl From<AuthenticatorConfig> for PatchedConfig {
    fn from(config: AuthenticatorConfig) -> Self {
        Self { shown: config.clone(), config }
    }
}

/// A job to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewJob {
    /// How the link is to reach the person.
    pub delivery_method: DeliveryMethod,
    /// The configuration to build the link with.
    pub authenticator_config_id: String,
    /// The redirect URI after the binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_binding_redirect_uri: Option<String>,
}

/// A configuration to create.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewAuthenticatorConfig {
    /// At most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The settings, including `type`.
    pub config: Fields,
}

/// The changes to a configuration. Omitted fields stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuthenticatorConfigPatch {
    /// The new display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The new settings, including `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Fields>,
}
