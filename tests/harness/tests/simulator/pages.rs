//! Lists: their pages and their order.

use harness::simulator::{Config, Job};
use serde_json::{Value, json};

use crate::{Api, JANE, encoded, field_error, jobs_of, text};

const CONFIGS: &str = "authenticator-configs";

#[tokio::test]
async fn config_list_has_at_most_100_items_per_page() {
    let api = Api::new();
    for _ in 0..103 {
        api.realm.add_config(Config::of_type("hosted_web"));
    }
    for query in ["", "?page_size=0", "?page_size=1000"] {
        let (_, first) = api.get(&format!("{CONFIGS}{query}")).await;
        assert_eq!(first["authenticator_configs"].as_array().unwrap().len(), 100, "{query}");
        assert_eq!(first["total_size"], 103);
    }
    let mut listed = api.pages(&format!("{CONFIGS}?page_size=10"), "authenticator_configs").await;
    let created: Vec<String> = api.realm.configs().into_iter().map(|config| config.id).collect();
    assert_ne!(listed, created, "the list must not be in the order of creation");
    assert_eq!(listed, api.pages(&format!("{CONFIGS}?page_size=10"), "authenticator_configs").await);
    let mut created = created;
    listed.sort();
    created.sort();
    assert_eq!(listed, created);
}

#[tokio::test]
async fn job_list_has_pages_no_order_and_a_wildcard() {
    let api = Api::new();
    let config = Config::of_type("hosted_web");
    for number in 0..45 {
        api.realm.add_job(Job { id: format!("job-{number:02}"), ..Job::email(JANE, &config.id) });
    }
    api.realm.add_job(Job { id: "other".to_owned(), ..Job::email("joe", &config.id) });
    assert_eq!(api.realm.outbox(), [], "not created by the API");

    let (_, first) = api.get(&jobs_of(JANE)).await;
    assert_eq!(first["credential_binding_jobs"].as_array().unwrap().len(), 20);
    assert_eq!(first["total_size"], 45);
    let (_, all) = api.get(&format!("{}?page_size=200", jobs_of(JANE))).await;
    assert_eq!((all["credential_binding_jobs"].as_array().unwrap().len(), all.get("next_page_token")), (45, None));

    let mut listed = api.pages(&format!("{}?page_size=7", jobs_of(JANE)), "credential_binding_jobs").await;
    assert!(!listed.is_sorted() && !listed.iter().rev().is_sorted());
    listed.sort();
    let created: Vec<String> = (0..45).map(|number| format!("job-{number:02}")).collect();
    assert_eq!(listed, created);

    let (_, skipped) = api.get(&format!("{}?skip=40", jobs_of(JANE))).await;
    assert_eq!(skipped["credential_binding_jobs"].as_array().unwrap().len(), 5);
    let all = api.pages(&format!("{}?page_size=7", jobs_of("-")), "credential_binding_jobs").await;
    assert_eq!((all.len(), all.contains(&"other".to_owned())), (46, true));
    assert_eq!(api.get(&jobs_of("-")).await.1["total_size"], 46);
    let empty = json!({"credential_binding_jobs": [], "total_size": 0});
    assert_eq!(api.get(&jobs_of("nobody")).await, (200, empty), "the list of an unknown identity is empty");
    assert_eq!(api.get(&format!("{}/other", jobs_of(JANE))).await.0, 404, "a job of another identity is not found");

    let bad = field_error("page_token", "invalid page token");
    assert_eq!(api.get(&format!("{}?page_token=x", jobs_of(JANE))).await, (400, bad.clone()));
    let raw = text(&first["next_page_token"]);
    assert_eq!(api.get(&format!("{}?page_token={raw}", jobs_of(JANE))).await, (400, bad), "not encoded");
    let size = field_error("page_size", "not a number");
    assert_eq!(api.get(&format!("{}?page_size=-1", jobs_of(JANE))).await, (400, size));
}

#[tokio::test]
async fn page_token_keeps_the_size_but_not_the_skip() {
    let api = Api::new();
    for _ in 0..10 {
        api.realm.add_job(Job::email(JANE, "config"));
    }
    let count = |page: &Value| page["credential_binding_jobs"].as_array().unwrap().len();
    let (_, first) = api.get(&format!("{}?page_size=3&skip=2", jobs_of(JANE))).await;
    assert_eq!(count(&first), 3);
    let token = encoded(&text(&first["next_page_token"]));
    let next = format!("{}?page_token={token}", jobs_of(JANE));
    let (_, second) = api.get(&next).await;
    assert_eq!(count(&second), 3);
    let (_, rest) = api.get(&format!("{next}&page_size=200")).await;
    assert_eq!((count(&rest), rest.get("next_page_token")), (5, None));
    assert_eq!(rest["credential_binding_jobs"][0], second["credential_binding_jobs"][0]);
}
