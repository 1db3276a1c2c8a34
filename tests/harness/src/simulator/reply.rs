//! HTTP answers, and the error bodies of the service.

use axum::body::Body;
use axum::http::Response;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

use super::half_body::HalfBody;

/// A complete HTTP answer. A `Date` header is added if it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    pub body: Vec<u8>,
    /// Whether the connection is closed after half of the body. `Content-Length` is that of the whole body.
    pub cut_off: bool,
}

impl Reply {
    /// A status and a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    /// A status and any body.
    #[must_use]
    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self { body: body.as_bytes().to_vec(), ..Self::empty(status).header("content-type", content_type) }
    }

    /// A status without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut_off: false }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, but the connection is closed after half of the body.
    #[must_use]
    pub fn cut_off(self) -> Self {
        Self { cut_off: true, ..self }
    }

    /// 503, in the form of the service.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::error(503, "service_unavailable", "service unavailable")
    }

    /// 500, in the form of the service.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::error(500, "internal_server_error", "internal server error")
    }

    /// 429, with or without `Retry-After` in seconds.
    #[must_use]
    pub fn too_many_requests(retry_after: Option<u64>) -> Self {
        let reply = Self::error(429, "too_many_requests", "too many requests");
        match retry_after {
            Some(seconds) => reply.header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// 200 with the HTML page of a proxy.
    #[must_use]
    pub fn garbage() -> Self {
        Self::text(200, "text/html", "<!doctype html><title>Welcome</title><p>Please sign in")
    }

    /// This status with the HTML page of a proxy or a load balancer. The service has not received the request.
    #[must_use]
    pub fn proxy_page(status: u16) -> Self {
        let page = "<!doctype html><title>Not here</title><center><h1>Not here</h1></center><hr><center>nginx</center>";
        Self::text(status, "text/html", page)
    }

    /// This status with the JSON error of an API gateway, which differs from the form of the service.
    #[must_use]
    pub fn gateway_error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"message": message}))
    }

    /// 404 for a realm that does not exist in the tenant.
    #[must_use]
    pub fn realm_not_found(id: &str) -> Self {
        Self::resource_error(404, "not_found", "realm not found", "Realm", id)
    }

    /// An error without details.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"code": code, "message": message}))
    }

    /// An error about one resource: 404, 422 or another.
    #[must_use]
    pub fn resource_error(status: u16, code: &str, message: &str, resource_type: &str, id: &str) -> Self {
        let detail = json!({"type": "ResourceInfo", "resource_type": resource_type, "id": id, "description": message});
        Self::json(status, &json!({"code": code, "message": message, "details": [detail]}))
    }

    /// 400 with the invalid fields: the name and the error of each.
    #[must_use]
    pub fn invalid(violations: &[Violation]) -> Self {
        let violations: Vec<Value> =
            violations.iter().map(|(field, description)| json!({"field": field, "description": description})).collect();
        let detail = json!({"type": "FieldViolations", "field_violations": violations});
        Self::json(400, &json!({"code": "bad_request", "message": "invalid parameters", "details": [detail]}))
    }

    /// Adds this time as `Date`, unless it has one.
    pub(super) fn dated(self, time: Timestamp) -> Self {
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
            return self;
        }
        match DateTimePrinter::new().timestamp_to_rfc9110_string(&time) {
            Ok(date) => self.header("date", &date),
            Err(_) => self,
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Self { status, headers, body, cut_off } = self;
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let body = if cut_off {
            // With an empty body, the length is still one byte, so that something is missing.
            response = response.header("content-length", body.len().max(1));
            Body::new(HalfBody::of(body))
        } else {
            Body::from(body)
        };
        // Only a test can set an invalid status or header.
        response.body(body).unwrap_or_else(|error| {
            let mut response = Response::new(Body::from(format!("invalid reply: {error}")));
            *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}

/// A field and its error.
pub(super) type Violation = (String, String);
