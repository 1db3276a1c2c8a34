//! The list of identities, with and without a filter.

use std::time::Duration;

use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use serde_json::{Value, json};

use crate::{Api, JANE, encoded, field_error, text};

fn filtered(filter: &str) -> String {
    format!("identities?filter={}", encoded(filter))
}

fn ids(page: &Value) -> Vec<String> {
    page["identities"].as_array().unwrap().iter().map(|identity| text(&identity["id"])).collect()
}

#[tokio::test]
async fn username_filter_is_case_insensitive() {
    let api = Api::new();
    api.realm.add_identity(Identity::active("1", "a@example.com").username("Ärla \"A\" @Example.com"));
    api.realm.add_identity(Identity::active("2", "b@example.com").username("arla"));
    let (status, found) = api.get(&filtered(r#"traits.username eq "äRLA \"a\" @example.COM""#)).await;
    assert_eq!(status, 200);
    let expected = json!({
        "id": "1",
        "tenant_id": "tenant",
        "realm_id": api.realm.realm(),
        "display_name": "Ärla \"A\" @Example.com",
        "status": "active",
        "enrollment_status": "UNENROLLED",
        "create_time": found["identities"][0]["create_time"],
        "update_time": found["identities"][0]["update_time"],
        "traits": {
            "type": "traits_v0",
            "username": "Ärla \"A\" @Example.com",
            "primary_email_address": "a@example.com",
        },
    });
    assert_eq!(found, json!({"identities": [expected], "total_size": 1}));
    assert_eq!(ids(&api.get(&filtered(r#"Traits.Username EQ "arla""#)).await.1), ["2"]);
    let empty = json!({"identities": [], "total_size": 0});
    assert_eq!(api.get(&filtered(r#"traits.username eq "arl""#)).await, (200, empty));
    let recorded = api.realm.requests_of(Operation::ListIdentities);
    assert_eq!(recorded.len(), 3);
}

#[tokio::test]
async fn unsupported_filter_is_rejected() {
    let api = Api::new();
    for filter in [
        "traits.username",
        "traits.username eq",
        "traits.username eq jane",
        "traits.username eq \"jane",
        "traits.username co \"jane\"",
        "traits.username eq \"jane\" or traits.username pr",
        "traits.primary_email_address eq \"jane@example.com\"",
        "jane",
    ] {
        assert_eq!(api.get(&filtered(filter)).await, (400, field_error("filter", "invalid filter")), "{filter}");
    }
    assert_eq!(api.get("identities?filter=").await.1["total_size"], 1, "no filter at all");
}

#[tokio::test]
async fn identity_list_has_pages_and_no_order() {
    let api = Api::new();
    let mut created = vec![JANE.to_owned()];
    for number in 0..24 {
        let id = format!("identity-{number:02}");
        api.realm.add_identity(Identity::active(&id, "joe@example.com"));
        created.push(id);
    }
    let (_, first) = api.get("identities").await;
    assert_eq!((ids(&first).len(), &first["total_size"]), (20, &json!(25)));
    let mut listed = api.pages("identities?page_size=7", "identities").await;
    assert!(!listed.is_sorted() && !listed.iter().rev().is_sorted());
    listed.sort();
    created.sort();
    assert_eq!(listed, created);

    api.realm.edit_identity(JANE, |jane| jane.username = Some("other".to_owned()));
    api.realm.remove_identity("identity-00");
    assert_eq!(api.get("identities").await.1["total_size"], 24);
}

#[tokio::test]
async fn page_token_keeps_the_filter() {
    let api = Api::new();
    // Usernames are unique in the service. The simulator allows duplicates, so that a filtered list has pages.
    for id in ["1", "2", "3"] {
        api.realm.add_identity(Identity::active(id, "twin@example.com").username("twin + twin"));
    }
    let filter = r#"traits.username eq "twin + twin""#;
    let path = format!("{}&page_size=1", filtered(filter));
    let mut listed = api.pages(&path, "identities").await;
    listed.sort();
    assert_eq!(listed, ["1", "2", "3"], "with the filter");

    let (_, first) = api.get(&path).await;
    let token = encoded(&text(&first["next_page_token"]));
    let next = format!("identities?page_token={token}");
    let (status, second) = api.get(&next).await;
    assert_eq!((status, ids(&second).len(), &second["total_size"]), (200, 1, &json!(3)), "without the filter");
    assert_ne!(ids(&first), ids(&second));
    let other = format!("{next}&filter={}", encoded(r#"traits.username eq "9ca7716e846cfa97""#));
    assert_eq!(api.get(&other).await, (400, field_error("filter", "does not match the page token")));
}

#[tokio::test]
async fn faults_apply_to_the_list() {
    let api = Api::new();
    api.realm.add_identity(Identity::active("2", "b@example.com"));
    let on = |effect: Effect| Rule::new(effect).on(Operation::ListIdentities);
    api.realm.fault(on(Effect::Answer(Reply::garbage())).once());
    assert_eq!(api.get("identities").await, (200, Value::Null));
    api.realm.fault(on(Effect::ShortPages(1)).once());
    assert_eq!(ids(&api.get("identities").await.1).len(), 1);
    api.realm.fault(on(Effect::LagList(Duration::from_secs(600))).once());
    assert_eq!(api.get("identities").await, (200, json!({"identities": [], "total_size": 0})));
    assert_eq!(ids(&api.get("identities").await.1).len(), 2);
}
