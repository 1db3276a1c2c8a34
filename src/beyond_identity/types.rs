//! What the API says and is told: identities, credential binding jobs, authenticator configurations.
//!
//! Only `id` is needed in an answer. Anything else may be missing, `null`, empty or of another type than documented, and is
//! `None` then; fields that are not known are left out. Times stay the strings that the API wrote.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fields;
pub use super::fields::Fields;
use super::open_enum::open_enum;

open_enum! {
    /// Where a credential binding job stands. The list is open: older documents of the vendor name fewer states.
    JobState {
        /// The link was sent.
        LinkSent = "LINK_SENT",
        /// The link was opened.
        LinkOpened = "LINK_OPENED",
        /// The request reached the authenticator.
        RequestDelivered = "REQUEST_DELIVERED",
        /// A credential was bound.
        Complete = "COMPLETE",
        /// The link's time ran out.
        Expired = "EXPIRED",
        /// The email could not be sent.
        FailedToSend = "FAILED_TO_SEND",
        /// Somebody revoked the job.
        Revoked = "REVOKED",
    }
}

open_enum! {
    /// How a binding link reaches the person.
    DeliveryMethod {
        /// By email, to the identity's primary address.
        Email = "EMAIL",
        /// In the answer, to whoever makes the call.
        Return = "RETURN",
    }
}

open_enum! {
    /// Whether an identity may generate passkeys and log in.
    IdentityStatus {
        /// It may.
        Active = "active",
        /// It may not.
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

/// A value about a person, such as an email address. `Debug` hides it, and it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal(String);

impl Personal {
    /// The value, for comparing it; it belongs in no log line, error or status.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Personal {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// Somebody who can be enrolled. The display name is not read: it is usually a person's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub realm_id: Option<String>,
    /// The tenant that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub tenant_id: Option<String>,
    /// Missing in the vendor's own example.
    #[serde(default, deserialize_with = "fields::text")]
    pub status: Option<IdentityStatus>,
    /// "May be undefined", says the OpenAPI document.
    #[serde(default, deserialize_with = "fields::text")]
    pub enrollment_status: Option<EnrollmentStatus>,
    /// Who it is.
    #[serde(default)]
    traits: Option<Traits>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Traits {
    #[serde(default, deserialize_with = "fields::text")]
    username: Option<Personal>,
    #[serde(default, deserialize_with = "fields::text")]
    primary_email_address: Option<Personal>,
}

impl Identity {
    /// Where an email would go to.
    #[must_use]
    pub fn primary_email_address(&self) -> Option<&Personal> {
        self.traits.as_ref()?.primary_email_address.as_ref().filter(|address| !address.expose().trim().is_empty())
    }

    /// Unique within the realm, without regard to case; often an email address.
    #[must_use]
    pub fn username(&self) -> Option<&Personal> {
        self.traits.as_ref()?.username.as_ref()
    }

    /// Whether that is its username, without regard to case.
    #[must_use]
    pub fn has_username(&self, username: &str) -> bool {
        self.username().is_some_and(|own| own.expose().to_lowercase() == username.to_lowercase())
    }
}

/// The binding of a new credential to an identity, from the link that is sent to the credential that is bound.
///
/// The link itself, which a create may answer with, is never read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CredentialBindingJob {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub realm_id: Option<String>,
    /// The tenant that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub tenant_id: Option<String>,
    /// Whose job it is.
    #[serde(default, deserialize_with = "fields::text")]
    pub identity_id: Option<String>,
    /// The configuration that the link was built with.
    #[serde(default, deserialize_with = "fields::text")]
    pub authenticator_config_id: Option<String>,
    /// How the link reaches the person.
    #[serde(default, deserialize_with = "fields::text")]
    pub delivery_method: Option<DeliveryMethod>,
    /// Where it stands.
    #[serde(default, deserialize_with = "fields::text")]
    pub state: Option<JobState>,
    /// Once a credential is bound.
    #[serde(default, deserialize_with = "fields::text")]
    pub credential_id: Option<String>,
    /// Where the person is led to after the binding.
    #[serde(default, deserialize_with = "fields::text")]
    pub post_binding_redirect_uri: Option<String>,
    /// When the link stops working (seven days after the creation, in the vendor's examples).
    #[serde(default, deserialize_with = "fields::text")]
    pub expire_time: Option<String>,
    /// When the job was made, by the service's clock.
    #[serde(default, deserialize_with = "fields::text")]
    pub create_time: Option<String>,
    /// When it last changed.
    #[serde(default, deserialize_with = "fields::text")]
    pub update_time: Option<String>,
}

/// How identities may authenticate themselves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct AuthenticatorConfig {
    /// Unique within the realm.
    #[serde(deserialize_with = "fields::id")]
    pub id: String,
    /// The realm that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub realm_id: Option<String>,
    /// The tenant that it belongs to.
    #[serde(default, deserialize_with = "fields::text")]
    pub tenant_id: Option<String>,
    /// Missing in the vendor's how-to.
    #[serde(default, deserialize_with = "fields::text")]
    pub display_name: Option<String>,
    /// The settings as the API wrote them; which there are depends on the type.
    #[serde(default, deserialize_with = "fields::object")]
    pub config: Option<Fields>,
}

impl AuthenticatorConfig {
    /// `hosted_web`, `embedded`, `console` or `platform`, as the API wrote it.
    #[must_use]
    pub fn config_type(&self) -> Option<&str> {
        self.config.as_ref()?.get("type")?.as_str()
    }
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewJob {
    /// How the link is to reach the person.
    pub delivery_method: DeliveryMethod,
    /// The configuration to build the link with.
    pub authenticator_config_id: String,
    /// Where to lead the person after the binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_binding_redirect_uri: Option<String>,
}

/// A configuration to be made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewAuthenticatorConfig {
    /// At most 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The settings, `type` among them.
    pub config: Fields,
}

/// What is to change in a configuration. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuthenticatorConfigPatch {
    /// The new display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The new settings. `type` belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Fields>,
}
