//! Requests an access token for client credentials (RFC 6749, section 4.4).

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::utf8_percent_encode;
use reqwest::Url;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value};

use super::authorization::Authorization;
use super::client::{Call, HttpClient};
use super::client_credentials::ClientCredentials;
use super::endpoint::Endpoint;
use super::error::{Doubt, Error, NotSent, Refusal};
use super::error_body::message;
use super::operation::REQUEST_TOKEN;
use super::outcome;
use super::redaction::Redactor;
use super::requests::SEGMENT;
use super::token_answer::IssuedToken;

/// The size limit of a response with a token, in bytes.
const TOKEN_LIMIT: usize = 64 * 1024;

/// Where the tokens of an application are issued, and with which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// The base URL.
    pub auth: Endpoint,
    /// The tenant.
    pub tenant_id: String,
    /// The realm of the application, which may differ from the realm that the token is for.
    pub realm_id: String,
    /// The application.
    pub application_id: String,
    /// The requested scopes. If empty, the application decides.
    pub scopes: Vec<String>,
}

impl TokenEndpoint {
    fn url(&self) -> Option<Url> {
        let Self { auth, tenant_id, realm_id, application_id, .. } = self;
        let mut url = format!("{auth}/v1");
        for (collection, id) in [("tenants", tenant_id), ("realms", realm_id), ("applications", application_id)] {
            // A dot segment would lead to another path, and a dash could match every object.
            if matches!(id.as_str(), "" | "." | ".." | "-") {
                return None;
            }
            let _ = write!(url, "/{collection}/{}", utf8_percent_encode(id, SEGMENT));
        }
        Url::parse(&format!("{url}/token")).ok()
    }

    fn form(&self) -> String {
        let mut form = "grant_type=client_credentials".to_owned();
        if !self.scopes.is_empty() {
            let _ = write!(form, "&scope={}", utf8_percent_encode(&self.scopes.join(" "), SEGMENT));
        }
        form
    }
}

impl HttpClient {
    /// Requests a token once, within `timeout`.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::NotFound`] if the service does not issue a token for these credentials, and
    /// [`Doubt::Unusable`] or [`Doubt::NotFromTheApi`] if the response is not one of a token endpoint. A request for a
    /// token changes nothing, so it may be repeated after any error.
    pub async fn request_token(
        &self,
        endpoint: &TokenEndpoint,
        client: &ClientCredentials,
        timeout: Duration,
    ) -> Result<IssuedToken, Error> {
        let operation = REQUEST_TOKEN;
        let url = endpoint
            .url()
            .ok_or_else(|| outcome::local(operation, "the ids of the application do not form a valid URL"))?;
        let authorization = Authorization::Client(client);
        let body = Some(endpoint.form().into_bytes());
        let call = Call { operation, url, authorization, body, timeout, limit: TOKEN_LIMIT };
        let success = self.send(&endpoint.auth, call).await?;
        let body = Zeroizing::new(success.body);
        IssuedToken::parse(&body).map_err(|why| outcome::unusable(operation, success.status, &why))
    }
}

/// The error for a response of the token endpoint that is not a success. A refusal is only trusted in a form that the
/// token endpoint uses: that of RFC 6749, section 5.2, or that of the API.
pub(super) fn refused(status: u16, after: Option<Duration>, body: &[u8], redactor: &Redactor) -> Error {
    let operation = REQUEST_TOKEN;
    let body = match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => body,
        _ => Map::new(),
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (code, description) = match text("error") {
        Some(error) => (Some(error), text("error_description")),
        None => (text("code"), text("message")),
    };
    let shown = code.filter(|code| redactor.is_word(code)).map(|code| format!("code {code}"));
    let parts: Vec<String> = shown.into_iter().chain(message(description.unwrap_or_default(), redactor)).collect();
    let detail = if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) };
    let sentence = |answer: &str| format!("{operation} {answer}{detail}");
    let doubt = |cause, answer: &str| Error::InDoubt { cause, status: Some(status), after, message: sentence(answer) };
    let refusal = |cause, answer: &str, remedy: &str| {
        let message = sentence(answer);
        Error::Refused { cause, message: format!("{message}; {remedy}") }
    };
    match status {
        429 => Error::Retry {
            cause: NotSent::TooManyCalls,
            after,
            message: sentence("was rate limited (429) and can be retried later"),
        },
        500.. => doubt(Doubt::Server, &format!("failed with a server error ({status})")),
        300..400 => doubt(
            Doubt::Redirect,
            &format!("returned a redirect ({status}), which is not followed; check the endpoint"),
        ),
        408 | 425 => doubt(Doubt::Status, &format!("returned {status}")),
        _ if code.is_none() => {
            let message = format!(
                "{operation} returned {status}, but not in the form of a token endpoint; check the token endpoint, and \
                 any proxy or load balancer in between"
            );
            Error::InDoubt { cause: Doubt::NotFromTheApi, status: Some(status), after, message }
        }
        400 if code == Some("invalid_scope") => refusal(
            Refusal::BadRequest,
            "was refused (400)",
            "request only scopes that the application has, or none to get all of them",
        ),
        401 | 403 => credentials_refused(status, refusal),
        400 if matches!(code, Some("invalid_client" | "unauthorized_client" | "invalid_grant")) => {
            credentials_refused(status, refusal)
        }
        404 => Error::NotFound {
            message: format!(
                "{}; check the ids of the application and of its realm",
                sentence("found no such application (404)")
            ),
        },
        _ => refusal(Refusal::BadRequest, &format!("was refused ({status})"), "check the application"),
    }
}

fn credentials_refused(status: u16, refusal: impl Fn(Refusal, &str, &str) -> Error) -> Error {
    let remedy = "check that the client id and the client secret are those of the application, that it allows client \
                  credentials with HTTP Basic, and the realm of the application";
    let cause = if status == 403 { Refusal::Forbidden } else { Refusal::Unauthorized };
    refusal(cause, &format!("was refused ({status})"), remedy)
}
