//! The transport: each failure on the wire maps to a class of error.

use std::time::{Duration, Instant};

use super::server::{Reply, Server, answer, answer_with};
use super::{TIMEOUT, TOKEN, client, client_with, new_job};
use crate::beyond_identity::client::{LARGE_BODIES, OBJECT_LIMIT};
use crate::beyond_identity::types::{AuthenticatorConfigPatch, DeliveryMethod, NewAuthenticatorConfig, NewJob};
use crate::beyond_identity::{CaBundle, Doubt, Error, HttpClient, NotSent, Refusal};

/// Creates a job against one scripted reply. The POST must reach the server once, whatever the reply.
async fn create(reply: Reply) -> Result<String, Error> {
    // A second request would succeed.
    let server = Server::start([reply, Reply::Send(answer("200 OK", r#"{"id":"again"}"#))]).await;
    let outcome = client(server.address, TIMEOUT).create_job("jane", &new_job(), Duration::from_millis(500)).await;
    assert_eq!(server.requests().len(), 1);
    outcome.map(|answer| answer.item.id)
}

fn doubt(outcome: Result<String, Error>) -> (Doubt, Option<u16>) {
    match outcome {
        Err(Error::InDoubt { cause, status, .. }) => (cause, status),
        other => panic!("not in doubt: {other:?}"),
    }
}

#[tokio::test]
async fn success_is_decoded() {
    let body =
        r#"{"credential_binding_job":{"id":"1","state":"LINK_SENT"},"credential_binding_link":"https://x/?t=1"}"#;
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let server = Server::start([Reply::Send(answer_with("200 OK", date, body))]).await;
    let created = client(server.address, TIMEOUT).create_job("jane", &new_job(), TIMEOUT).await.unwrap();
    assert_eq!(created.item.id, "1");
    assert_eq!(created.server_time.unwrap().to_string(), "1994-11-06T08:49:37Z");
    assert!(!format!("{created:?}").contains("https://x"));
}

#[tokio::test]
async fn no_connection_means_not_sent() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(address, TIMEOUT).create_job("jane", &new_job(), TIMEOUT).await.unwrap_err();
    assert!(matches!(error, Error::Retry { cause: NotSent::NoConnection, after: None, .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.status(), None);
}

#[tokio::test]
async fn broken_connection_is_in_doubt() {
    assert_eq!(doubt(create(Reply::Reset).await), (Doubt::Connection, None));
    assert_eq!(doubt(create(Reply::Send(vec![])).await), (Doubt::Connection, None));
    assert_eq!(doubt(create(Reply::Send(b"HTTP/1.1 200 O".to_vec())).await), (Doubt::Connection, None));
    assert_eq!(doubt(create(Reply::Send(b"SSH-2.0-OpenSSH\r\n".to_vec())).await), (Doubt::Connection, None));
}

#[tokio::test]
async fn truncated_body_is_in_doubt() {
    let whole = r#"{"id":"1"}"#;
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{whole}");
    assert_eq!(doubt(create(Reply::Send(short.into_bytes())).await), (Doubt::Connection, Some(200)));
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n{whole}\r\n");
    assert_eq!(doubt(create(Reply::Send(chunked.clone().into_bytes())).await), (Doubt::Connection, Some(200)));
    assert_eq!(create(Reply::Send(format!("{chunked}0\r\n\r\n").into_bytes())).await.unwrap(), "1");
}

#[tokio::test]
async fn silent_server_times_out() {
    let started = Instant::now();
    assert_eq!(doubt(create(Reply::Hang(vec![])).await), (Doubt::Timeout, None));
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"id\"".to_vec();
    assert_eq!(doubt(create(Reply::Hang(half)).await), (Doubt::Timeout, Some(200)));
    assert!(started.elapsed() < TIMEOUT);
}

#[tokio::test]
async fn client_timeout_applies_to_reads() {
    let server = Server::start([Reply::Hang(vec![])]).await;
    let error = client(server.address, Duration::from_millis(100)).identity("jane").await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { cause: Doubt::Timeout, .. }), "{error:?}");
    assert_eq!(error.to_string(), "GET identities/{id} got no complete response within 100 ms");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let other = Server::start([Reply::Send(answer("200 OK", r#"{"id":"stolen"}"#))]).await;
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("location: http://{}/\r\n", other.address);
        let (cause, _) = doubt(create(Reply::Send(answer_with(status, &location, ""))).await);
        assert_eq!(cause, Doubt::Redirect);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn unusable_success_is_in_doubt() {
    for body in [
        "",
        "<html>Welcome</html>",
        "[]",
        "null",
        "7",
        "{}",
        r#"{"id":7}"#,
        r#"{"id":""}"#,
        r#"{"credential_binding_job":{}}"#,
    ] {
        assert_eq!(doubt(create(Reply::Send(answer("200 OK", body))).await), (Doubt::Unusable, Some(200)), "{body}");
    }
    assert_eq!(doubt(create(Reply::Send(answer("204 No Content", ""))).await), (Doubt::Unusable, Some(204)));
    let deep = "[".repeat(1_000_000);
    assert_eq!(doubt(create(Reply::Send(answer("200 OK", &deep))).await), (Doubt::Unusable, Some(200)));
}

#[tokio::test]
async fn oversized_body_is_not_read_to_the_end() {
    const FLOOD: usize = 50;
    for head in [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", FLOOD << 20),
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", FLOOD << 20),
    ] {
        let server = Server::start([Reply::Flood(head.into_bytes(), FLOOD)]).await;
        let outcome = client(server.address, TIMEOUT).create_job("jane", &new_job(), TIMEOUT).await;
        assert_eq!(doubt(outcome.map(|answer| answer.item.id)), (Doubt::Unusable, Some(200)));
        // Bytes beyond the limit of 1 MiB were already in system buffers.
        assert!(server.flooded() < FLOOD << 19, "{}", server.flooded());
    }
}

/// A list of jobs with a body that counts as large.
fn large_list() -> String {
    format!(r#"{{"credential_binding_jobs": [], "padding": "{}"}}"#, "x".repeat(2 * OBJECT_LIMIT))
}

#[tokio::test]
async fn large_bodies_wait_for_each_other_and_a_post_does_not() {
    let hang = Reply::Hang(answer("200 OK", &large_list())[..OBJECT_LIMIT + 100].to_vec());
    let hanging = Server::start(vec![hang; LARGE_BODIES]).await;
    let small = || Reply::Send(answer("200 OK", r#"{"id":"small"}"#));
    let other = Server::start([small(), Reply::Send(answer("200 OK", &large_list())), small()]).await;
    let http = HttpClient::new("beyond-identity-operator/test", &CaBundle::default()).unwrap();
    let client = |server: &Server| client_with(http.clone(), server.address, "realm", TIMEOUT);
    let list = |server: &Server| {
        let client = client(server);
        tokio::spawn(async move { client.list_jobs("jane").await.map(|listed| listed.items.len()) })
    };
    let hung: Vec<_> = (0..LARGE_BODIES).map(|_| list(&hanging)).collect();
    while http.large_bodies.available_permits() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let create = async || client(&other).create_job("jane", &new_job(), TIMEOUT).await.unwrap().item.id;
    assert_eq!(create().await, "small");
    let large = list(&other);
    while other.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(create().await, "small");
    assert!(!large.is_finished());
    hung[0].abort();
    assert_eq!(large.await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn refusal_counts_only_in_the_form_of_the_api() {
    for (status, expected) in [
        (400, Error::Refused { cause: Refusal::BadRequest, message: String::new() }),
        (401, Error::Refused { cause: Refusal::Unauthorized, message: String::new() }),
        (403, Error::Refused { cause: Refusal::Forbidden, message: String::new() }),
        (422, Error::Refused { cause: Refusal::Unprocessable, message: String::new() }),
        (404, Error::NotFound { message: String::new() }),
    ] {
        let respond = |body: &str| create(Reply::Send(answer(&format!("{status} No"), body)));
        for body in [r#"{"code":"x","message":"no"}"#, r#"{"resource_type":"Identity","id":"1","description":"no"}"#] {
            let error = respond(body).await.unwrap_err();
            assert_eq!(error.status(), expected.status());
            assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error:?}");
        }
        for body in ["", "<html>", "{}", r#"{"message":"no Route matched"}"#, r#"{"code":404,"message":"Not Found"}"#] {
            assert_eq!(doubt(respond(body).await), (Doubt::NotFromTheApi, Some(status)), "{body}");
        }
        // A truncated or oversized body cannot be recognized as an API error.
        let whole = r#"{"code":"x","message":"no"}"#;
        let cut = format!("HTTP/1.1 {status} No\r\ncontent-length: 1000\r\n\r\n{whole}").into_bytes();
        let flood = Reply::Flood(format!("HTTP/1.1 {status} No\r\n\r\n").into_bytes(), 3);
        for reply in [Reply::Send(cut.clone()), Reply::Hang(cut), flood] {
            assert_eq!(doubt(create(reply).await), (Doubt::NotFromTheApi, Some(status)));
        }
    }
}

#[tokio::test]
async fn status_429_means_not_sent_whatever_its_body() {
    for body in [r#"{"code":"x","message":"no"}"#, "<html>", ""] {
        let error = create(Reply::Send(answer("429 Slow", body))).await.unwrap_err();
        assert!(matches!(error, Error::Retry { cause: NotSent::TooManyCalls, after: None, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn missing_realm_is_a_refusal_not_a_missing_job() {
    let body = r#"{"code":"not_found","message":"realm not found","details":[
        {"type":"ResourceInfo","resource_type":"Realm","id":"realm","description":"realm not found"}]}"#;
    let server = Server::start([Reply::Send(answer("404 Not Found", body))]).await;
    let error = client(server.address, TIMEOUT).job("jane", "1").await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Refusal::UnknownRealm, .. }), "{error:?}");
}

#[tokio::test]
async fn job_is_read_with_the_server_time() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let server = Server::start([Reply::Send(answer_with("200 OK", date, r#"{"id":"1"}"#))]).await;
    let read = client(server.address, TIMEOUT).job("jane", "1").await.unwrap();
    assert_eq!((read.item.id.as_str(), read.server_time.unwrap().to_string().as_str()), ("1", "1994-11-06T08:49:37Z"));
}

/// A cached answer is older than it looks, and a cached 404 hides what exists by now.
#[tokio::test]
async fn answer_of_a_cache_is_unusable_and_no_cache_is_asked_for() {
    let error = r#"{"code":"not_found","message":"no"}"#;
    for (status, body) in [("200 OK", r#"{"id":"1"}"#), ("404 Not Found", error), ("401 Unauthorized", error)] {
        let cached = |age: &str| Reply::Send(answer_with(status, &format!("age: {age}\r\n"), body));
        let server = Server::start([cached("1"), cached("0")]).await;
        let client = client(server.address, TIMEOUT);
        let unusable = client.job("jane", "1").await.unwrap_err();
        assert!(matches!(unusable, Error::InDoubt { cause: Doubt::Unusable, .. }), "{unusable:?}");
        assert!(unusable.to_string().contains("from a cache that kept it for 1 s"), "{unusable}");
        assert!(!matches!(client.job("jane", "1").await, Err(Error::InDoubt { .. })), "{status}");
        assert!(server.requests().iter().all(|request| request.contains("cache-control: no-cache\r\n")));
    }
    // The answer to a call that changes something says what it did.
    assert_eq!(create(Reply::Send(answer_with("200 OK", "age: 7\r\n", r#"{"id":"1"}"#))).await.unwrap(), "1");
}

#[tokio::test]
async fn requested_wait_is_returned() {
    let limited = create(Reply::Send(answer_with("429 Slow", "Retry-After: 7\r\n", ""))).await.unwrap_err();
    assert_eq!(limited.after(), Some(Duration::from_secs(7)));
    let busy = create(Reply::Send(answer_with("503 Busy", "RateLimit-Reset: 9\r\n", ""))).await.unwrap_err();
    assert_eq!(busy.after(), Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn post_on_a_closed_connection_is_sent_once() {
    let body = answer("200 OK", r#"{"id":"1"}"#);
    let server = Server::start([Reply::Keep(body.clone()), Reply::Reset, Reply::Send(body)]).await;
    let client = client(server.address, TIMEOUT);
    client.identity("1").await.unwrap();
    let error = client.create_job("jane", &new_job(), TIMEOUT).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { cause: Doubt::Connection, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn request_has_documented_path_headers_and_body() {
    let server = Server::start([Reply::Send(answer("200 OK", r#"{"id":"1"}"#))]).await;
    let job = NewJob { post_binding_redirect_uri: Some("https://example.com/".to_owned()), ..new_job() };
    client(server.address, TIMEOUT).create_job("jane", &job, TIMEOUT).await.unwrap();
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some("POST /v1/tenants/tenant/realms/realm/identities/jane/credential-binding-jobs HTTP/1.1")
    );
    let headers: Vec<&str> = lines.collect();
    let authorization = format!("authorization: Bearer {TOKEN}");
    for header in [
        authorization.as_str(),
        "accept: application/json",
        "content-type: application/json",
        "user-agent: beyond-identity-operator/test",
    ] {
        assert!(headers.contains(&header), "{header} is missing in {headers:?}");
    }
    let sent: NewJob = NewJob { delivery_method: DeliveryMethod::from("EMAIL"), ..job };
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), serde_json::json!({ "job": sent }));
    assert!(body.contains(r#""delivery_method":"EMAIL""#));
}

#[tokio::test]
async fn configurations_are_created_patched_and_deleted() {
    let config = answer("200 OK", r#"{"authenticator_config":{"id":"c","config":{"type":"hosted_web"}}}"#);
    let bare = answer("200 OK", r#"{"id":"c","config":{"type":"hosted_web"}}"#);
    let server = Server::start([
        Reply::Send(config),
        Reply::Send(bare.clone()),
        Reply::Send(bare),
        Reply::Send(answer("200 OK", "")),
        Reply::Send(answer("204 No Content", "")),
        // An unexpected, truncated body does not change the result.
        Reply::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec()),
        Reply::Send(answer("404 Not Found", r#"{"code":"not_found","message":"It is not there."}"#)),
    ])
    .await;
    let client = client(server.address, TIMEOUT);
    let fields = serde_json::json!({ "type": "hosted_web" }).as_object().unwrap().clone();
    let new = NewAuthenticatorConfig { display_name: None, config: fields };
    let created = client.create_authenticator_config(&new, TIMEOUT).await.unwrap().item;
    assert_eq!((created.id.as_str(), created.config_type()), ("c", Some("hosted_web")));
    assert_eq!(client.authenticator_config("c").await.unwrap(), created);
    let patch = AuthenticatorConfigPatch { display_name: Some("Name".to_owned()), config: None };
    client.patch_authenticator_config("c", &patch).await.unwrap();
    for _ in 0..3 {
        client.delete_authenticator_config("c").await.unwrap();
    }
    let missing = client.delete_authenticator_config("c").await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "DELETE authenticator-configs/{id} found no object with this id (404): code not_found; the message of the \
         response is hidden (--show-service-messages)"
    );
    let requests = server.requests();
    assert!(requests[0].ends_with(r#"{"authenticator_config":{"config":{"type":"hosted_web"}}}"#));
    assert!(requests[2].starts_with("PATCH /v1/tenants/tenant/realms/realm/authenticator-configs/c HTTP/1.1"));
    assert!(requests[2].ends_with(r#"{"authenticator_config":{"display_name":"Name"}}"#));
}

#[tokio::test]
async fn id_is_encoded_as_one_path_segment() {
    let server = Server::start([Reply::Send(answer("200 OK", r#"{"id":"~A-z_0.9"}"#))]).await;
    let client = client(server.address, TIMEOUT);
    client.job("../a b/ä?#%2e%2e:revoke", "~A-z_0.9").await.unwrap();
    assert!(server.requests()[0].starts_with(
        "GET /v1/tenants/tenant/realms/realm/identities/..%2Fa%20b%2F%C3%A4%3F%23%252e%252e%3Arevoke\
         /credential-binding-jobs/~A-z_0.9 HTTP/1.1"
    ));
    for id in ["", ".", "..", "-"] {
        let error = client.create_job(id, &new_job(), TIMEOUT).await.unwrap_err();
        assert!(matches!(error, Error::Refused { cause: Refusal::Local, .. }), "{error:?}");
        assert_eq!(error.status(), None);
        client.list_jobs(id).await.unwrap_err();
        client.delete_authenticator_config(id).await.unwrap_err();
    }
    let long = "x".repeat(100_000);
    let error = client.identity(&long).await.unwrap_err();
    assert!(matches!(error, Error::Refused { cause: Refusal::Local, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}
