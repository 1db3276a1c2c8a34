//! Revoking a job: one POST, whose response needs no body.

use std::time::Duration;

use super::server::{Reply, Server, answer, answer_with};
use super::{TIMEOUT, client};
use crate::beyond_identity::{Doubt, Error, NotSent, Refusal};

/// Revokes a job against one scripted reply. The request must reach the server once, whatever the reply.
async fn revoke(reply: Reply) -> Result<(), Error> {
    // A second request would succeed.
    let server = Server::start([reply, Reply::Send(answer("200 OK", "{}"))]).await;
    let outcome = client(server.address, Duration::from_millis(500)).revoke_job("jane", "job").await;
    assert_eq!(server.requests().len(), 1);
    outcome
}

#[tokio::test]
async fn verb_stays_literal_and_ids_are_encoded() {
    let reply = || Reply::Keep(answer("200 OK", r#"{"id":"1","state":"REVOKED"}"#));
    let server = Server::start([reply(), reply()]).await;
    let client = client(server.address, TIMEOUT);
    client.revoke_job("jane", "57d73b5909ede35a").await.unwrap();
    client.revoke_job("a/b", "../%2e:revoke?#").await.unwrap();
    let requests = server.requests();
    let jobs = "POST /v1/tenants/tenant/realms/realm/identities";
    assert!(requests[0].starts_with(&format!("{jobs}/jane/credential-binding-jobs/57d73b5909ede35a:revoke HTTP/1.1")));
    assert!(requests[0].contains("\r\ncontent-type: application/json\r\n"));
    assert!(requests[0].ends_with("\r\n\r\n{}"), "{}", requests[0]);
    let odd = format!("{jobs}/a%2Fb/credential-binding-jobs/..%2F%252e%3Arevoke%3F%23:revoke HTTP/1.1");
    assert!(requests[1].starts_with(&odd), "{}", requests[1]);

    for id in ["", ".", "..", "-"] {
        for (identity, job) in [("jane", id), (id, "job")] {
            let error = client.revoke_job(identity, job).await.unwrap_err();
            assert!(matches!(error, Error::Refused { cause: Refusal::Local, .. }), "{error:?}");
        }
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn success_needs_no_body() {
    for body in ["", "{}", r#"{"credential_binding_job":{"id":"1"}}"#, "<html>", "null"] {
        revoke(Reply::Send(answer("200 OK", body))).await.unwrap();
    }
    revoke(Reply::Send(answer("204 No Content", ""))).await.unwrap();
    revoke(Reply::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec())).await.unwrap();
    revoke(Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec())).await.unwrap();
    revoke(Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 3)).await.unwrap();
}

#[tokio::test]
async fn failure_is_classified_by_status() {
    let refused = |cause| Error::Refused { cause, message: String::new() };
    for (status, expected) in [
        (400, refused(Refusal::BadRequest)),
        (401, refused(Refusal::Unauthorized)),
        (403, refused(Refusal::Forbidden)),
        (404, Error::NotFound { message: String::new() }),
        (429, Error::Retry { cause: NotSent::TooManyCalls, after: None, message: String::new() }),
    ] {
        let body = r#"{"code":"x","message":"no"}"#;
        let error = revoke(Reply::Send(answer(&format!("{status} No"), body))).await.unwrap_err();
        assert_eq!(error.status(), expected.status());
        assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&expected), "{error:?}");
    }
    let forbidden = revoke(Reply::Send(answer("403 No", r#"{"code":"forbidden","message":"forbidden"}"#)))
        .await
        .unwrap_err()
        .to_string();
    assert!(forbidden.contains("the scope credential-binding-jobs:revoke"), "{forbidden}");
}

#[tokio::test]
async fn ambiguous_response_is_in_doubt() {
    let conflict = r#"{"code":"conflict","message":"it is complete"}"#;
    for (reply, expected, status) in [
        (Reply::Send(answer("409 Conflict", conflict)), Doubt::Status, Some(409)),
        (Reply::Send(answer("403 No", "<html>")), Doubt::NotFromTheApi, Some(403)),
        (Reply::Send(answer("404 No", r#"{"message":"no"}"#)), Doubt::NotFromTheApi, Some(404)),
        (Reply::Send(answer("409 Conflict", "")), Doubt::NotFromTheApi, Some(409)),
        (Reply::Send(answer("503 Busy", "")), Doubt::Server, Some(503)),
        (Reply::Send(answer_with("307 Temporary", "location: /elsewhere\r\n", "")), Doubt::Redirect, Some(307)),
        (Reply::Reset, Doubt::Connection, None),
        (Reply::Send(b"HTTP/1.1 200 O".to_vec()), Doubt::Connection, None),
        (Reply::Hang(vec![]), Doubt::Timeout, None),
    ] {
        match revoke(reply).await {
            Err(Error::InDoubt { cause, status: answered, .. }) => assert_eq!((cause, answered), (expected, status)),
            other => panic!("not in doubt: {other:?}"),
        }
    }
    assert_eq!(
        revoke(Reply::Send(answer("409 Conflict", conflict))).await.unwrap_err().to_string(),
        "POST credential-binding-jobs/{id}:revoke returned 409; the request may have taken effect: code conflict; the \
         message of the response is hidden (--show-service-messages)"
    );
}

#[tokio::test]
async fn no_connection_means_not_sent() {
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(address, TIMEOUT).revoke_job("jane", "job").await.unwrap_err();
    assert!(matches!(error, Error::Retry { cause: NotSent::NoConnection, .. }), "{error:?}");
}
