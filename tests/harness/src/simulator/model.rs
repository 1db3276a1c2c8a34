//! The objects of the service, and the records of the simulator.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::call::Operation;

/// The default lifetime of a link.
pub(super) const LINK_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// `active`, `suspended`, or absent, which counts as active.
    pub status: Option<String>,
    /// The primary email address.
    pub email: Option<String>,
    /// Its username, which is unique in the realm.
    pub username: Option<String>,
    /// `UNENROLLED`, `PENDING`, `INVITE_FAILED`, `ENROLLED`, or absent. Unless it is absent, a new job sets it to
    /// `PENDING`, and a completed job to `ENROLLED`.
    pub enrollment_status: Option<String>,
    /// When it was created, and updated last.
    pub create_time: String,
}

impl Identity {
    /// An active identity, whose username is its id.
    #[must_use]
    pub fn active(id: &str, email: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: Some("active".to_owned()),
            email: Some(email.to_owned()),
            username: Some(id.to_owned()),
            enrollment_status: Some("UNENROLLED".to_owned()),
            create_time: api_time(Timestamp::now()),
        }
    }

    /// With another status, or none.
    #[must_use]
    pub fn status(mut self, status: Option<&str>) -> Self {
        self.status = status.map(str::to_owned);
        self
    }

    /// Without an email address.
    #[must_use]
    pub fn without_email(mut self) -> Self {
        self.email = None;
        self
    }

    /// With another username.
    #[must_use]
    pub fn username(mut self, username: &str) -> Self {
        self.username = Some(username.to_owned());
        self
    }

    /// With another enrollment status, or none.
    #[must_use]
    pub fn enrollment_status(mut self, status: Option<&str>) -> Self {
        self.enrollment_status = status.map(str::to_owned);
        self
    }
}

/// A credential binding job, as the API returns it. The simulator adds tenant and realm. Times are text, so that a test
/// can compare them, or set an invalid one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the API")]
pub struct Job {
    pub id: String,
    pub identity_id: String,
    pub delivery_method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub authenticator_config_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_binding_redirect_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<String>,
}

impl Job {
    /// A job that was sent now, with a new id.
    #[must_use]
    pub fn email(identity_id: &str, authenticator_config_id: &str) -> Self {
        Self::sent(identity_id, authenticator_config_id, Timestamp::now(), LINK_LIFETIME)
    }

    pub(super) fn sent(identity_id: &str, config_id: &str, now: Timestamp, link_lifetime: SignedDuration) -> Self {
        Self {
            id: short_id(),
            identity_id: identity_id.to_owned(),
            delivery_method: "EMAIL".to_owned(),
            state: Some("LINK_SENT".to_owned()),
            authenticator_config_id: config_id.to_owned(),
            post_binding_redirect_uri: None,
            credential_id: None,
            create_time: Some(api_time(now)),
            update_time: Some(api_time(now)),
            expire_time: Some(api_time(now + link_lifetime)),
        }
    }

    /// Sets `EXPIRED` if the expire time has passed. A job whose request was delivered to the authenticator does not
    /// expire.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let can_expire = matches!(self.state.as_deref(), Some("LINK_SENT" | "LINK_OPENED"));
        let expires = || self.expire_time.as_ref()?.parse::<Timestamp>().ok();
        if can_expire && expires().is_some_and(|expires| expires <= now) {
            self.state = Some("EXPIRED".to_owned());
            self.update_time.clone_from(&self.expire_time);
        }
    }
}

/// An authenticator configuration. The simulator adds tenant and realm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Its id.
    pub id: String,
    /// Its name, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Type and settings, as the API writes them.
    pub config: Map<String, Value>,
}

impl Config {
    /// A configuration of this type without settings, with a new id.
    #[must_use]
    pub fn of_type(kind: &str) -> Self {
        Self { id: long_id(), display_name: None, config: Map::from_iter([("type".to_owned(), Value::from(kind))]) }
    }
}

/// An email that the service would have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are enough")]
pub struct Email {
    pub tenant: String,
    pub realm: String,
    pub identity_id: String,
    pub job_id: String,
    pub address: String,
    pub time: Timestamp,
}

/// An application that issues tokens for client credentials. Its realm may differ from the realm that the tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its realm.
    pub realm: String,
    /// Its id.
    pub id: String,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
    /// The scopes that a request may name. Without any, a token has all of them.
    pub scopes: Vec<String>,
    /// The lifetime of a token, in seconds.
    pub lifetime: u64,
}

/// A received request and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The operation.
    pub operation: Operation,
    /// The tenant. It is empty if the path has none.
    pub tenant: String,
    /// The realm. It is empty if the path has none.
    pub realm: String,
    /// The HTTP method.
    pub method: String,
    /// The path, encoded as received.
    pub path: String,
    /// The query, encoded as received.
    pub query: Option<String>,
    /// The body as received.
    pub body: String,
    /// Whether there was an `Authorization` header. Its value is not recorded.
    pub authorization: bool,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `traceparent` header.
    pub traceparent: Option<String>,
    /// When it was received completely.
    pub time: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
}

impl Recorded {
    /// The body as JSON. It is null if the body is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No outcome yet: a fault delays it.
    Pending,
    /// Answered with this status, even if the client has closed the connection.
    Answered(u16),
    /// The connection was closed without an answer.
    Dropped,
}

/// A time in the format of the service: UTC, always with microseconds.
pub(super) fn api_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// A random id of a job or a credential: 16 hexadecimal digits.
pub(super) fn short_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// A random id of a configuration: a version 4 UUID.
pub(super) fn long_id() -> String {
    let random = rand::random::<u128>();
    let digits = format!("{:032x}", random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
