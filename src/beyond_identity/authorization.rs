//! How a request is authorized: by a token at the API, or by client credentials at the token endpoint. The two services
//! also differ in the form of their requests and of their error bodies.

use std::time::Duration;

use reqwest::header::HeaderValue;

use super::client_credentials::ClientCredentials;
use super::error::Error;
use super::error_body::ErrorBody;
use super::operation::Operation;
use super::redaction::Redactor;
use super::secret::Secret;
use super::token::ApiToken;
use super::{outcome, token_request};

/// What authorizes a request.
#[derive(Clone, Copy)]
pub(super) enum Authorization<'a> {
    /// A token, at the API.
    Token(&'a ApiToken),
    /// Client credentials, at the token endpoint.
    Client(&'a ClientCredentials),
}

impl Authorization<'_> {
    /// The value of the `Authorization` header.
    pub(super) fn header(self) -> Option<HeaderValue> {
        match self {
            Self::Token(token) => token.header(),
            Self::Client(client) => client.header(),
        }
    }

    /// The `Content-Type` of a request body.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Token(_) => "application/json",
            Self::Client(_) => "application/x-www-form-urlencoded",
        }
    }

    /// The secret, to redact it from texts.
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Token(token) => token.secret(),
            Self::Client(client) => client.secret(),
        }
    }

    /// The error for a response that is not a success.
    pub(super) fn refused(
        self,
        operation: Operation,
        status: u16,
        after: Option<Duration>,
        body: &[u8],
        redactor: &Redactor,
    ) -> Error {
        match self {
            Self::Token(_) => {
                let body = ErrorBody::parse(body, redactor);
                let body = if operation.personal { body.without_detail() } else { body };
                outcome::refused(operation, status, after, &body)
            }
            Self::Client(_) => token_request::refused(status, after, body, redactor),
        }
    }
}
