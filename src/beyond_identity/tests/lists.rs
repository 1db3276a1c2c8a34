//! Lists: all pages are read, and a partial list is an error.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::server::{Reply, Server, answer, answer_with};
use super::{TIMEOUT, TOKEN, client};
use crate::beyond_identity::asked::Asked;
use crate::beyond_identity::client::Success;
use crate::beyond_identity::listing::{ITEMS, VALUES, read_all, union_by_id};
use crate::beyond_identity::operation::LIST_JOBS;
use crate::beyond_identity::redaction::Redactor;
use crate::beyond_identity::types::{AuthenticatorConfig, CredentialBindingJob};
use crate::beyond_identity::{Doubt, Error, Listing};

/// A page of jobs with these ids.
fn page(ids: &[&str], total: u64, next: Option<&str>) -> String {
    let jobs: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let mut page = serde_json::json!({ "credential_binding_jobs": jobs, "total_size": total });
    if let Some(next) = next {
        page["next_page_token"] = next.into();
    }
    page.to_string()
}

fn ids(listing: &Listing<CredentialBindingJob>) -> Vec<&str> {
    listing.items.iter().map(|job| job.id.as_str()).collect()
}

/// Lists against these pages. Each page must be requested once.
async fn list(pages: &[String]) -> Result<Listing<CredentialBindingJob>, Error> {
    let server = Server::start(pages.iter().map(|page| Reply::Keep(answer("200 OK", page)))).await;
    let listing = client(server.address, TIMEOUT).list_jobs("jane").await;
    assert_eq!(server.requests().len(), pages.len());
    listing
}

#[tokio::test]
async fn empty_list_is_empty() {
    assert!(list(&[page(&[], 0, None)]).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn invalid_list_is_an_error_not_an_empty_list() {
    for body in [
        "{}",
        r#"{"total_size":0}"#,
        r#"{"credential_binding_jobs":null,"total_size":0}"#,
        r#"{"credential_binding_jobs":{},"total_size":0}"#,
        r#"{"authenticator_configs":[],"total_size":0}"#,
        r#"{"credential_binding_jobs":[],"credential_binding_jobs":[]}"#,
        r#"{"credential_binding_jobs":[],"total_size":-1}"#,
        r#"{"credential_binding_jobs":[],"next_page_token":7}"#,
        r#"{"credential_binding_jobs":[{}],"total_size":1}"#,
        r#"{"credential_binding_jobs":[{"id":""}],"total_size":1}"#,
        r#"{"credential_binding_jobs":[null],"total_size":1}"#,
        "[]",
        "",
        "<html>",
    ] {
        let error = list(&[body.to_owned()]).await.unwrap_err();
        assert!(matches!(error, Error::InDoubt { cause: Doubt::Unusable, status: Some(200), .. }), "{body}: {error:?}");
    }
    let server = Server::start([Reply::Send(answer("204 No Content", ""))]).await;
    client(server.address, TIMEOUT).list_jobs("jane").await.unwrap_err();
}

#[tokio::test]
async fn all_pages_are_read() {
    let first =
        answer_with("200 OK", "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", &page(&["c", "a"], 3, Some("t/1&x=y")));
    let second = answer_with("200 OK", "date: Sun, 06 Nov 1994 08:59:59 GMT\r\n", &page(&["b"], 3, Some("")));
    let pages = [first, second].map(Reply::Keep);
    let server = Server::start([pages.clone(), pages].concat()).await;
    let listing = client(server.address, TIMEOUT).list_jobs("jane").await.unwrap();
    assert_eq!(ids(&listing), ["a", "b", "c"]);
    assert_eq!(listing.server_time.unwrap().to_string(), "1994-11-06T08:49:37Z");
    let path = "GET /v1/tenants/tenant/realms/realm/identities/jane/credential-binding-jobs";
    let requests = server.requests();
    assert!(requests[0].starts_with(&format!("{path}?page_size=200 HTTP/1.1")), "{}", requests[0]);
    assert!(requests[1].starts_with(&format!("{path}?page_size=200&page_token=t%2F1%26x%3Dy HTTP/1.1")));
    assert_eq!(requests.len(), 4, "pages are read twice");
    assert_eq!(requests[2].lines().next(), requests[0].lines().next());
}

#[tokio::test]
async fn configurations_are_listed_100_a_page() {
    let body = r#"{"authenticator_configs":[{"id":"1","config":{"type":"hosted_web"}}],"total_size":1}"#;
    let server = Server::start([Reply::Keep(answer("200 OK", body))]).await;
    let listing: Listing<AuthenticatorConfig> =
        client(server.address, TIMEOUT).list_authenticator_configs().await.unwrap();
    assert_eq!(listing.items[0].config_type(), Some("hosted_web"));
    assert_eq!(listing.server_time, None);
    assert!(server.requests()[0].contains("/realms/realm/authenticator-configs?page_size=100 HTTP/1.1"));
}

#[tokio::test]
async fn list_that_shifts_is_read_again() {
    // An item was removed between the pages, so neither page contains "c".
    let shifted = [page(&["a", "b"], 3, Some("2")), page(&["d"], 4, None)];
    let whole = [page(&["a", "b"], 4, Some("2")), page(&["c", "d"], 4, None)];
    let listing = list(&[shifted, whole].concat()).await.unwrap();
    assert_eq!(ids(&listing), ["a", "b", "c", "d"]);
}

/// "a" was removed between the pages, so neither page contains "c". Counting "a", the total is reached.
#[tokio::test]
async fn item_hidden_by_a_shift_is_found_by_second_read() {
    let shifted = [page(&["a", "b"], 4, Some("2")), page(&["d"], 3, None)];
    let whole = [page(&["b", "c"], 3, Some("2")), page(&["d"], 3, None)];
    let listing = list(&[shifted, whole].concat()).await.unwrap();
    assert_eq!(ids(&listing), ["a", "b", "c", "d"]);
    // A list without a total is read again too.
    let bare = |id: &str, next: &str| format!(r#"{{"credential_binding_jobs":[{{"id":"{id}"}}]{next}}}"#);
    let next = r#","next_page_token":"2""#;
    let pages = [bare("a", next), bare("c", ""), bare("b", next), bare("c", "")];
    assert_eq!(ids(&list(&pages).await.unwrap()), ["a", "b", "c"]);
}

/// Which items are missing is unknown, so it could be the job of a send.
#[tokio::test]
async fn list_that_never_reaches_its_total_is_an_error() {
    for pages in [
        [page(&[], 1, None), page(&[], 1, None), page(&[], 1, None)],
        [page(&["a"], 9, None), page(&["b"], 9, None), page(&["a", "c"], 9, None)],
    ] {
        let error = list(&pages).await.unwrap_err();
        assert!(matches!(error, Error::InDoubt { cause: Doubt::Unusable, .. }), "{error:?}");
        assert!(error.to_string().ends_with(" items in 3 reads of the list"), "{error}");
    }
    // An item is removed meanwhile.
    assert_eq!(ids(&list(&[page(&["a"], 2, None), page(&["a"], 1, None)]).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn later_read_of_an_item_wins() {
    let page_in_state = |state: &str, more: &str| {
        format!(r#"{{"credential_binding_jobs":[{{"id":"a","state":"{state}"}}{more}],"total_size":2}}"#)
    };
    let pages = [("LINK_SENT", ""), ("LINK_OPENED", ""), ("COMPLETE", r#",{"id":"b"}"#)];
    let listing = list(&pages.map(|(state, more)| page_in_state(state, more))).await.unwrap();
    assert_eq!(ids(&listing), ["a", "b"]);
    assert_eq!(listing.items[0].state, Some("COMPLETE".into()));
}

#[tokio::test]
async fn list_without_total_size_is_read() {
    let listing = list(&[r#"{"credential_binding_jobs":[{"id":"a"}]}"#.to_owned()]).await.unwrap();
    assert_eq!(ids(&listing), ["a"]);
}

#[tokio::test]
async fn failed_page_fails_the_list() {
    for failure in [Reply::Send(answer("500 Broken", "")), Reply::Reset, Reply::Send(answer("200 OK", "{}"))] {
        for first in [page(&["a"], 2, Some("2")), page(&["a"], 2, None)] {
            let server = Server::start([Reply::Keep(answer("200 OK", &first)), failure.clone()]).await;
            let error = client(server.address, TIMEOUT).list_jobs("jane").await.unwrap_err();
            assert!(matches!(error, Error::InDoubt { .. }), "{error:?}");
            assert_eq!(server.requests().len(), 2);
        }
    }
}

#[tokio::test]
async fn repeated_page_token_is_an_error() {
    let pages = [page(&["a"], 9, Some("1")), page(&["b"], 9, Some("2")), page(&["c"], 9, Some("1"))];
    let error = list(&pages).await.unwrap_err();
    assert!(error.to_string().contains("repeats a page token"), "{error}");
}

/// Reads a list whose nth page is `body(n)`. Returns the error and the number of requests.
async fn endless(body: impl Fn(u32) -> String) -> (String, u32) {
    let requested = Cell::new(0);
    let fetch = |_: Option<String>, _: Duration| {
        requested.set(requested.get() + 1);
        std::future::ready(Ok(Success {
            status: 200,
            server_time: None,
            body: body(requested.get()).into_bytes(),
            _large: None,
        }))
    };
    let error = read_all::<CredentialBindingJob, _, _>(
        LIST_JOBS,
        TIMEOUT,
        &Redactor::hiding_messages(TOKEN),
        &Asked::default(),
        fetch,
    )
    .await
    .unwrap_err();
    (error.to_string(), requested.get())
}

#[tokio::test]
async fn endless_list_is_an_error() {
    let (error, requested) = endless(|n| page(&[], 0, Some(&n.to_string()))).await;
    assert!(error.contains("has more than 200 pages"), "{error}");
    assert_eq!(requested, 200);
}

#[tokio::test]
async fn oversized_list_is_an_error() {
    let blank = " ".repeat(8 << 20);
    let (error, requested) = endless(|n| page(&[], 0, Some(&n.to_string())) + &blank).await;
    assert!(error.contains("the complete list is larger than"), "{error}");
    assert_eq!(requested, 2);
}

/// Each item of 12 bytes takes hundreds in memory.
#[tokio::test]
async fn list_with_too_many_items_is_an_error() {
    let page_of = |from: usize, count: usize, next: Option<&str>| {
        let ids: Vec<String> = (from..from + count).map(|id| id.to_string()).collect();
        page(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 0, next)
    };
    let (error, requested) = endless(|_| page_of(0, ITEMS + 1, None)).await;
    assert!(error.contains("it has too many items"), "{error}");
    assert_eq!(requested, 1);
    let (error, requested) = endless(|n| page_of(n as usize * ITEMS / 2, ITEMS / 2, Some(&n.to_string()))).await;
    assert!(error.contains("the list has more than 20000 items"), "{error}");
    assert_eq!(requested, 3);
    assert_eq!(list(&[page_of(0, ITEMS, None)]).await.unwrap().items.len(), ITEMS);
}

/// Each value of two bytes takes many in memory.
#[tokio::test]
async fn list_with_too_many_values_is_an_error() {
    let page_with = |count: usize, next: &str| {
        let zeros = vec!["0"; count].join(",");
        format!(r#"{{"credential_binding_jobs":[{{"id":"a","unknown":[{zeros}]}}],"next_page_token":"{next}"}}"#)
    };
    let (error, requested) = endless(|_| page_with(VALUES, "")).await;
    assert!(error.contains("the complete list has more than 200000 values"), "{error}");
    assert_eq!(requested, 1);
    let (error, requested) = endless(|n| page_with(VALUES / 4, &n.to_string())).await;
    assert!(error.contains("the complete list has more than 200000 values"), "{error}");
    assert_eq!(requested, 4);
}

#[test]
fn union_of_long_lists_ends_soon() {
    let list = |from: u64| (from..from + 200_000).map(|id| id.to_string()).collect::<Vec<_>>();
    let all = union_by_id(list(0), list(100_000), |id| id);
    assert_eq!((all.len(), all[0].as_str(), all[299_999].as_str()), (300_000, "0", "299999"));
}

#[tokio::test(start_paused = true)]
async fn slow_list_times_out() {
    let timeouts = RefCell::new(Vec::new());
    let slow = |_: Option<String>, timeout: Duration| {
        let mut timeouts = timeouts.borrow_mut();
        timeouts.push(timeout.as_secs());
        let body = page(&[], 0, Some(&timeouts.len().to_string())).into_bytes();
        async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            Ok(Success { status: 200, server_time: None, body, _large: None })
        }
    };
    let (timeout, redactor) = (Duration::from_secs(5), Redactor::hiding_messages(TOKEN));
    let error = read_all::<CredentialBindingJob, _, _>(LIST_JOBS, timeout, &redactor, &Asked::default(), slow)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::InDoubt { cause: Doubt::Timeout, .. }), "{error:?}");
    // The list may take ten timeouts: 50 s. Eight pages take 48 s, so the ninth gets 2 s.
    assert_eq!(*timeouts.borrow(), [5, 5, 5, 5, 5, 5, 5, 5, 2]);
}

#[test]
fn calls_are_send() {
    fn sendable<T: Send>(_: T) {}
    let client = client(([127, 0, 0, 1], 1).into(), TIMEOUT);
    sendable(client.list_jobs("jane"));
    sendable(client.list_authenticator_configs());
    sendable(client.identity("jane"));
    sendable(client.identities_by_username("jane"));
}
