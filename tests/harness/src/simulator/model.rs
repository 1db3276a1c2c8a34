//! What the service keeps, and what the simulator counts.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::call::Operation;

/// How long a link lives, where a realm does not say otherwise.
pub(super) const LINK_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A person who can be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// `active`, `suspended`, or absent, which counts as active.
    pub status: Option<String>,
    /// The primary email address.
    pub email: Option<String>,
    /// Unique within the realm.
    pub username: Option<String>,
    /// `UNENROLLED`, `PENDING`, `INVITE_FAILED`, `ENROLLED`, or absent. Where it is there, a new job makes it `PENDING` and a
    /// completed one `ENROLLED`.
    pub enrollment_status: Option<String>,
}

impl Identity {
    /// One that can be enrolled. Its username is its id.
    #[must_use]
    pub fn active(id: &str, email: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: Some("active".to_owned()),
            email: Some(email.to_owned()),
            username: Some(id.to_owned()),
            enrollment_status: Some("UNENROLLED".to_owned()),
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

/// A credential binding job, in the fields that the service shows; it adds tenant and realm itself. Times are text, so that a
/// test can compare what it reads elsewhere, or set one that is odd.
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
    /// One that was just mailed, with a new id.
    #[must_use]
    pub fn email(identity_id: &str, authenticator_config_id: &str) -> Self {
        Self::mailed(identity_id, authenticator_config_id, Timestamp::now(), LINK_LIFE)
    }

    pub(super) fn mailed(identity_id: &str, config_id: &str, now: Timestamp, link_life: SignedDuration) -> Self {
        Self {
            id: short_id(),
            identity_id: identity_id.to_owned(),
            delivery_method: "EMAIL".to_owned(),
            state: Some("LINK_SENT".to_owned()),
            authenticator_config_id: config_id.to_owned(),
            post_binding_redirect_uri: None,
            credential_id: None,
            create_time: Some(wire(now)),
            update_time: Some(wire(now)),
            expire_time: Some(wire(now + link_life)),
        }
    }

    /// Lets the link run out, if its time has come. A person who got as far as the authenticator is let finish.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let open = matches!(self.state.as_deref(), Some("LINK_SENT" | "LINK_OPENED"));
        let until = || self.expire_time.as_ref()?.parse::<Timestamp>().ok();
        if open && until().is_some_and(|until| until <= now) {
            self.state = Some("EXPIRED".to_owned());
            self.update_time.clone_from(&self.expire_time);
        }
    }
}

/// An authenticator configuration; the service adds tenant and realm itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Its id.
    pub id: String,
    /// Its name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Type and settings, as the API writes them.
    pub config: Map<String, Value>,
}

impl Config {
    /// One of that type and without settings, with a new id.
    #[must_use]
    pub fn of_type(kind: &str) -> Self {
        Self { id: long_id(), display_name: None, config: Map::from_iter([("type".to_owned(), Value::from(kind))]) }
    }
}

/// An email that the service would have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Email {
    pub tenant: String,
    pub realm: String,
    pub identity_id: String,
    pub job_id: String,
    pub address: String,
    pub time: Timestamp,
}

/// A request that came in, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it asked for.
    pub operation: Operation,
    /// Of which tenant; empty where the path names none.
    pub tenant: String,
    /// Of which realm; empty where the path names none.
    pub realm: String,
    /// The HTTP method.
    pub method: String,
    /// The path, encoded as it came.
    pub path: String,
    /// The query, encoded as it came.
    pub query: Option<String>,
    /// The body as it came.
    pub body: String,
    /// Whether there was an `Authorization` header; what was in it is not kept.
    pub authorization: bool,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `traceparent` header.
    pub traceparent: Option<String>,
    /// When it had arrived whole.
    pub time: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

impl Recorded {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet: a fault delays it.
    Pending,
    /// Answered with this status, whether or not the caller still listened.
    Answered(u16),
    /// The connection was closed without an answer.
    Dropped,
}

/// A time as the service writes it: UTC, always with microseconds.
pub(super) fn wire(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// An id of a job or a credential: 16 hexadecimal digits.
pub(super) fn short_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// An id of a configuration: a version 4 UUID.
pub(super) fn long_id() -> String {
    let random = rand::random::<u128>();
    let digits = format!("{:032x}", random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
