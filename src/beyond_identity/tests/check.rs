//! The check of a token: its reads, and what they find.

use super::server::{Reply, Server, answer};
use super::{TIMEOUT, client};
use crate::beyond_identity::RealmCheck;

/// The check against these answers. Each must be requested.
async fn check(answers: &[Vec<u8>]) -> (RealmCheck, Vec<String>) {
    let server = Server::start(answers.iter().cloned().map(Reply::Keep)).await;
    let check = client(server.address, TIMEOUT).check().await;
    let requests = server.requests();
    assert_eq!(requests.len(), answers.len());
    (check, requests)
}

fn configs(names: &[&str], next: &str) -> Vec<u8> {
    let configs: Vec<_> =
        names.iter().map(|name| serde_json::json!({"id": *name, "display_name": *name, "config": {}})).collect();
    let page = serde_json::json!({"authenticator_configs": configs, "total_size": 2, "next_page_token": next});
    answer("200 OK", &page.to_string())
}

#[tokio::test]
async fn names_of_all_pages_are_found() {
    let identities = answer("200 OK", r#"{"identities":[],"total_size":0}"#);
    let jobs = answer("200 OK", r#"{"credential_binding_jobs":[],"total_size":0}"#);
    let pages = [configs(&["one"], "2"), configs(&["two"], "")];
    let (check, requests) = check(&[&pages[..], &pages, &[identities, jobs]].concat()).await;
    assert_eq!((check.granted.len(), check.failure), (3, None));
    assert_eq!(check.display_names, Some(vec!["one".to_owned(), "two".to_owned()]));
    assert!(requests[0].contains("/authenticator-configs?page_size=50 HTTP/1.1"), "{}", requests[0]);
}

#[tokio::test]
async fn incomplete_list_finds_no_names() {
    let (check, _) = check(&[configs(&["one"], "2"), answer("500 Internal Server Error", "{}")]).await;
    assert!(check.failure.is_some() && check.display_names.is_none());
}
