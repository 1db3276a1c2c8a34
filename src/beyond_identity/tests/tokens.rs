//! Requests for a token: their form, and the classes of their failures.

use std::time::Duration;

use data_encoding::BASE64;

use super::secrecy::Log;
use super::server::{Reply, Server, answer, answer_with};
use super::{TIMEOUT, token_endpoint};
use crate::beyond_identity::{
    CaBundle, ClientCredentials, Doubt, Error, HttpClient, IssuedToken, NotSent, Refusal, TokenEndpoint,
};

const SECRET: &str = "Seeded/Secret-0123456789";

async fn request(endpoint: &TokenEndpoint, timeout: Duration) -> Result<IssuedToken, Error> {
    let http = HttpClient::new("beyond-identity-operator/test", &CaBundle::default()).unwrap();
    http.request_token(endpoint, &ClientCredentials::new("client", SECRET), timeout).await
}

/// The outcome of a request with this reply.
async fn outcome(reply: Reply) -> Result<IssuedToken, Error> {
    let server = Server::start([reply]).await;
    let result = request(&token_endpoint(server.address), Duration::from_millis(500)).await;
    assert_eq!(server.requests().len(), 1, "sent once");
    result
}

async fn error(status: &str, body: &str) -> Error {
    outcome(Reply::Send(answer(status, body))).await.unwrap_err()
}

#[tokio::test]
async fn request_is_a_form_with_basic_credentials() {
    let body = r#"{"access_token":"access-token","token_type":"Bearer","expires_in":60,"scope":"a:read"}"#;
    let server = Server::start([Reply::Send(answer("200 OK", body)), Reply::Send(answer("200 OK", body))]).await;
    let mut endpoint = token_endpoint(server.address);
    let issued = request(&endpoint, TIMEOUT).await.unwrap();
    assert_eq!((issued.lifetime, issued.scopes), (Duration::from_secs(60), Some(vec!["a:read".to_owned()])));
    endpoint.scopes = vec!["a:read".to_owned(), "b:read".to_owned()];
    endpoint.application_id = "a/b".to_owned();
    request(&endpoint, TIMEOUT).await.unwrap();
    let requests = server.requests();
    for (request, path, form) in [
        (&requests[0], "application", "grant_type=client_credentials"),
        (&requests[1], "a%2Fb", "grant_type=client_credentials&scope=a%3Aread%20b%3Aread"),
    ] {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("POST /v1/tenants/tenant/realms/admin/applications/{path}/token HTTP/1.1\r\n"))
        );
        let basic = BASE64.encode(b"client:Seeded%2FSecret-0123456789");
        for line in [&*format!("authorization: Basic {basic}"), "content-type: application/x-www-form-urlencoded"] {
            assert!(head.lines().any(|written| written == line), "{line} is missing in {head}");
        }
        assert_eq!(body, form);
    }
    for id in ["", ".", "..", "-"] {
        let refused = request(&TokenEndpoint { realm_id: id.to_owned(), ..endpoint.clone() }, TIMEOUT).await;
        assert!(matches!(refused, Err(Error::Refused { cause: Refusal::Local, .. })), "{id:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn refusals_of_the_token_endpoint_are_recognized_in_both_forms() {
    let refusal = async |status: &str, body: &str| match error(status, body).await {
        Error::Refused { cause, .. } => Some(cause),
        Error::NotFound { .. } => None,
        other => panic!("{status} {body}: {other:?}"),
    };
    let unauthorized = Some(Refusal::Unauthorized);
    for code in ["invalid_client", "unauthorized_client", "invalid_grant"] {
        assert_eq!(refusal("400 No", &format!(r#"{{"error":"{code}"}}"#)).await, unauthorized, "{code}");
    }
    assert_eq!(refusal("401 No", r#"{"error":"invalid_client","error_description":"no"}"#).await, unauthorized);
    assert_eq!(refusal("401 No", r#"{"code":"unauthorized","message":"no"}"#).await, unauthorized);
    assert_eq!(refusal("403 No", r#"{"code":"forbidden","message":"no"}"#).await, Some(Refusal::Forbidden));
    for code in ["invalid_scope", "invalid_request", "unsupported_grant_type"] {
        assert_eq!(refusal("400 No", &format!(r#"{{"error":"{code}"}}"#)).await, Some(Refusal::BadRequest), "{code}");
    }
    assert_eq!(refusal("404 No", r#"{"code":"not_found","message":"no"}"#).await, None);
}

#[tokio::test]
async fn other_failures_are_outages_or_broken_answers() {
    let doubt = |error: Error| match error {
        Error::InDoubt { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    for status in ["400 No", "401 No", "403 No", "404 No", "409 No"] {
        for body in ["", "<html>", "{}", r#"{"message":"no Route matched"}"#, r#"{"error":{}}"#, "[]"] {
            assert_eq!(doubt(error(status, body).await), Doubt::NotFromTheApi, "{status} {body}");
        }
    }
    for status in ["500 No", "503 No"] {
        assert_eq!(doubt(error(status, "<html>").await), Doubt::Server);
    }
    assert_eq!(doubt(error("408 No", "").await), Doubt::Status);
    assert_eq!(doubt(error("302 Found", "").await), Doubt::Redirect);
    assert_eq!(doubt(error("200 OK", "<html>").await), Doubt::Unusable);
    assert_eq!(doubt(error("204 No Content", "").await), Doubt::Unusable);
    assert_eq!(doubt(outcome(Reply::Reset).await.unwrap_err()), Doubt::Connection);
    assert_eq!(doubt(outcome(Reply::Hang(Vec::new())).await.unwrap_err()), Doubt::Timeout);
    let flood = Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 3);
    assert_eq!(doubt(outcome(flood).await.unwrap_err()), Doubt::Unusable);
    let slow = outcome(Reply::Send(answer_with("429 Slow", "retry-after: 7\r\n", "<html>"))).await.unwrap_err();
    assert!(matches!(slow, Error::Retry { cause: NotSent::TooManyCalls, .. }), "{slow:?}");
    assert_eq!(slow.after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn errors_and_log_lines_contain_no_secrets() {
    let log = Log::default();
    let _guard = log.listen().await;
    let encoded = SECRET.replace('/', "%2F");
    let basic = BASE64.encode(format!("client:{encoded}").as_bytes());
    for secret in [SECRET, &encoded, &basic] {
        for status in ["400 No", "401 No", "404 No", "503 No", "200 OK"] {
            let body = format!(r#"{{"error":"invalid_client","error_description":"not {secret}","code":"{secret}"}}"#);
            let error = error(status, &body).await;
            for text in [error.to_string(), format!("{error:?}"), log.text()] {
                assert!(!text.contains(secret), "{secret} is in {text}");
            }
        }
    }
    let issued = outcome(Reply::Send(answer("200 OK", r#"{"access_token":"Seeded-Access-Token"}"#))).await;
    assert!(!format!("{issued:?}").contains("Seeded-Access-Token"));
    let log = log.text();
    assert!(log.contains("operation=\"token\"") && !log.contains("Seeded-Access-Token"), "{log}");
}
