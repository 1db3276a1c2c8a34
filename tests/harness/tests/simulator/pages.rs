//! Lists: their pages and their order.

use harness::simulator::{Config, Job};
use serde_json::{Value, json};

use crate::{Api, JANE, encoded, field_error, jobs_of, text};

const CONFIGS: &str = "authenticator-configs";

#[tokio::test]
async fn a_list_of_configurations_has_pages_of_at_most_a_hundred() {
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
    let made: Vec<String> = api.realm.configs().into_iter().map(|config| config.id).collect();
    assert_ne!(listed, made, "the order must not be one to rely on");
    assert_eq!(listed, api.pages(&format!("{CONFIGS}?page_size=10"), "authenticator_configs").await);
    let mut made = made;
    listed.sort();
    made.sort();
    assert_eq!(listed, made);
}

#[tokio::test]
async fn a_list_of_jobs_has_pages_and_no_order_and_knows_the_wildcard() {
    let api = Api::new();
    let config = Config::of_type("hosted_web");
    for number in 0..45 {
        api.realm.add_job(Job { id: format!("job-{number:02}"), ..Job::email(JANE, &config.id) });
    }
    api.realm.add_job(Job { id: "other".to_owned(), ..Job::email("somebody", &config.id) });
    assert_eq!(api.realm.outbox(), [], "made by another hand");

    let (_, first) = api.get(&jobs_of(JANE)).await;
    assert_eq!(first["credential_binding_jobs"].as_array().unwrap().len(), 20);
    assert_eq!(first["total_size"], 45);
    let (_, all) = api.get(&format!("{}?page_size=200", jobs_of(JANE))).await;
    assert_eq!((all["credential_binding_jobs"].as_array().unwrap().len(), all.get("next_page_token")), (45, None));

    let mut listed = api.pages(&format!("{}?page_size=7", jobs_of(JANE)), "credential_binding_jobs").await;
    assert!(!listed.is_sorted() && !listed.iter().rev().is_sorted());
    listed.sort();
    let made: Vec<String> = (0..45).map(|number| format!("job-{number:02}")).collect();
    assert_eq!(listed, made);

    let (_, skipped) = api.get(&format!("{}?skip=40", jobs_of(JANE))).await;
    assert_eq!(skipped["credential_binding_jobs"].as_array().unwrap().len(), 5);
    let everybodys = api.pages(&format!("{}?page_size=7", jobs_of("-")), "credential_binding_jobs").await;
    assert_eq!((everybodys.len(), everybodys.contains(&"other".to_owned())), (46, true));
    assert_eq!(api.get(&jobs_of("-")).await.1["total_size"], 46);
    let nobody = json!({"credential_binding_jobs": [], "total_size": 0});
    assert_eq!(api.get(&jobs_of("nobody")).await, (200, nobody), "a list knows no 404");
    assert_eq!(api.get(&format!("{}/other", jobs_of(JANE))).await.0, 404, "it is somebody else's");

    let bad = field_error("page_token", "invalid page token");
    assert_eq!(api.get(&format!("{}?page_token=x", jobs_of(JANE))).await, (400, bad.clone()));
    let raw = text(&first["next_page_token"]);
    assert_eq!(api.get(&format!("{}?page_token={raw}", jobs_of(JANE))).await, (400, bad), "not encoded");
    let size = field_error("page_size", "not a number");
    assert_eq!(api.get(&format!("{}?page_size=-1", jobs_of(JANE))).await, (400, size));
}

#[tokio::test]
async fn a_page_token_keeps_the_size_but_not_the_skip() {
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
