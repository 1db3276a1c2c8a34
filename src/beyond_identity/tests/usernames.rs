//! Finding an identity by its username, which must appear in the query only.

use super::secrecy::Log;
use super::server::{Reply, Server, answer};
use super::{TIMEOUT, client};
use crate::beyond_identity::{Doubt, Error, Refusal};

/// Not an email address, so that no pattern can redact it.
const USERNAME: &str = "Seeded Jane+ä";

/// The username, encoded for the query.
const ENCODED: &str = "Seeded%20Jane%2B%C3%A4";

/// The same with a decomposed letter.
const DECOMPOSED: &str = "Seeded%20Jane%2Ba%CC%88";

fn page(ids: &[&str], total: u64, next: Option<&str>) -> String {
    let identities: Vec<_> =
        ids.iter().map(|id| serde_json::json!({ "id": id, "traits": { "username": USERNAME } })).collect();
    serde_json::json!({ "identities": identities, "total_size": total, "next_page_token": next }).to_string()
}

#[track_caller]
fn assert_clean(text: &str) {
    let text = text.to_lowercase();
    for secret in ["seeded", "jane"] {
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
}

#[tokio::test]
async fn filter_is_in_the_query_of_each_page() {
    let pages = [page(&["2"], 2, Some("t/1&x=y")), page(&["1"], 2, None)];
    // The decomposed form of the username finds one of them again.
    let again = page(&["1"], 1, None);
    let replies = pages.iter().chain(&pages).chain([&again]);
    let server = Server::start(replies.map(|page| Reply::Keep(answer("200 OK", page)))).await;
    let found = client(server.address, TIMEOUT).identities_by_username(USERNAME).await.unwrap();
    assert_eq!(found.iter().map(|identity| identity.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert!(found.iter().all(|identity| identity.has_username("SEEDED JANE+Ä")));
    assert_clean(&format!("{found:?}"));
    let query = |username: &str| {
        format!(
            "GET /v1/tenants/tenant/realms/realm/identities?page_size=200\
             &filter=traits.username%20eq%20%22{username}%22"
        )
    };
    let (first, requests) = (query(ENCODED), server.requests());
    assert_eq!(requests.len(), 5);
    assert!(requests[4].starts_with(&format!("{} HTTP/1.1", query(DECOMPOSED))), "{}", requests[4]);
    assert!(requests[0].starts_with(&format!("{first} HTTP/1.1")), "{}", requests[0]);
    assert!(requests[1].starts_with(&format!("{first}&page_token=t%2F1%26x%3Dy HTTP/1.1")), "{}", requests[1]);
}

#[tokio::test]
async fn only_an_empty_list_means_no_identity() {
    let none = || Reply::Keep(answer("200 OK", &page(&[], 0, None)));
    let server = Server::start([none(), none()]).await;
    assert!(client(server.address, TIMEOUT).identities_by_username(USERNAME).await.unwrap().is_empty());
    for body in ["", "{}", "[]", r#"{"credential_binding_jobs":[],"total_size":0}"#, r#"{"identities":[{}]}"#] {
        let server = Server::start([Reply::Send(answer("200 OK", body))]).await;
        let error = client(server.address, TIMEOUT).identities_by_username(USERNAME).await.unwrap_err();
        assert!(matches!(error, Error::InDoubt { cause: Doubt::Unusable, .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn invalid_username_is_not_sent() {
    let server = Server::start([]).await;
    let client = client(server.address, TIMEOUT);
    let long = "jane".repeat(25_000);
    for username in ["", "seeded\" or \"jane", "seeded\\jane", "seeded\njane", &long] {
        let error = client.identities_by_username(username).await.unwrap_err();
        assert!(matches!(error, Error::Refused { cause: Refusal::Local, .. }), "{error:?}");
        assert_clean(&format!("{error} {error:?}"));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn username_is_in_no_error_or_log_line() {
    let log = Log::default();
    let _guard = log.listen().await;
    let echo = format!(
        r#"{{"code":"bad_request","message":"no identity {USERNAME} ({ENCODED})","details":[
            {{"field_violations":[{{"field":"filter","description":"traits.username eq \"{USERNAME}\""}}]}}]}}"#
    );
    let mut replies: Vec<_> =
        ["200 OK", "307 Temporary", "400 No", "401 No", "403 No", "404 No", "409 No", "422 No", "429 No", "503 No"]
            .iter()
            .map(|status| Reply::Send(answer(status, &echo)))
            .collect();
    let wrong = format!(r#"{{"identities":[{{"id":"1","traits":"{USERNAME}"}}],"total_size":1}}"#);
    replies.extend([
        Reply::Send(answer("200 OK", &wrong)),
        Reply::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{wrong}").into_bytes()),
        Reply::Send(USERNAME.as_bytes().to_vec()),
        Reply::Send(vec![]),
        Reply::Reset,
        Reply::Hang(vec![]),
    ]);
    let (failures, server) = (replies.len(), Server::start(replies).await);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let short = std::time::Duration::from_millis(500);
    for address in std::iter::repeat_n(server.address, failures).chain([nobody]) {
        let error = client(address, short).identities_by_username(USERNAME).await.unwrap_err();
        assert_clean(&format!("{error} {error:?}"));
    }
    assert_eq!(server.requests().len(), failures);

    let log = log.text();
    assert_eq!(log.matches("Called the Beyond Identity API").count(), failures + 1, "one line for each call");
    // This includes the log lines of the HTTP library, down to trace level.
    assert_clean(&log);
}
