//! Identities and their credential binding jobs.

use harness::simulator::Identity;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, JANE, field_error, jobs_of, text};

fn resource_error(code: &str, message: &str, kind: &str, id: &str) -> Value {
    let detail = json!({"type": "ResourceInfo", "resource_type": kind, "id": id, "description": message});
    json!({"code": code, "message": message, "details": [detail]})
}

#[tokio::test]
async fn creating_a_job_sends_one_email() {
    let api = Api::new();
    let body = api.enrolment();
    let response = api.send(Method::POST, &jobs_of(JANE), Some(body.clone())).await.unwrap();
    assert!(response.headers().contains_key("date"));
    let (status, created) = crate::parts(response).await;
    assert_eq!(status, 200);
    let job = &created["credential_binding_job"];
    let id = text(&job["id"]);
    let expected = json!({
        "id": id,
        "identity_id": JANE,
        "realm_id": api.realm.realm(),
        "tenant_id": "tenant",
        "delivery_method": "EMAIL",
        "state": "LINK_SENT",
        "authenticator_config_id": body["job"]["authenticator_config_id"],
        "create_time": job["create_time"],
        "update_time": job["create_time"],
        "expire_time": job["expire_time"],
    });
    assert_eq!(created, json!({"credential_binding_job": expected}));
    assert_eq!((id.len(), u64::from_str_radix(&id, 16).is_ok()), (16, true), "{id}");

    let [create, expire] = ["create_time", "expire_time"].map(|name| text(&job[name]));
    assert_eq!((create.len(), create.find('.')), (27, Some(19)), "{create} has microseconds");
    let [create, expire]: [Timestamp; 2] = [create, expire].map(|time| time.parse().unwrap());
    assert_eq!(expire.duration_since(create).as_hours(), 7 * 24);

    assert_eq!(api.get(&format!("{}/{id}", jobs_of(JANE))).await, (200, expected.clone()), "a GET has no envelope");
    let list = json!({"credential_binding_jobs": [expected], "total_size": 1});
    assert_eq!(api.get(&jobs_of(JANE)).await, (200, list));

    let outbox = api.realm.outbox();
    assert_eq!(outbox.len(), 1);
    assert_eq!((outbox[0].job_id.as_str(), outbox[0].address.as_str()), (id.as_str(), "jane@example.com"));
    assert_eq!((outbox[0].identity_id.as_str(), outbox[0].realm.as_str()), (JANE, api.realm.realm()));
}

#[tokio::test]
async fn return_delivery_sends_no_email() {
    let api = Api::new();
    let mut body = api.enrolment();
    body["job"]["delivery_method"] = json!("RETURN");
    body["job"]["post_binding_redirect_uri"] = json!("https://a.example/done");
    let (status, created) = api.post(&jobs_of(JANE), body).await;
    assert_eq!(status, 200);
    assert!(text(&created["credential_binding_link"]).ends_with(":invokeAuthenticator"));
    assert_eq!(created["credential_binding_job"]["post_binding_redirect_uri"], "https://a.example/done");
    assert_eq!(api.realm.outbox(), []);
}

#[tokio::test]
async fn job_requires_an_active_identity_with_an_email() {
    let api = Api::new();
    let body = api.enrolment();
    api.realm.add_identity(Identity::active("suspended", "s@example.com").status(Some("suspended")));
    api.realm.add_identity(Identity::active("no-email", "").without_email());
    api.realm.add_identity(Identity::active("no-status", "n@example.com").status(None));

    let missing = resource_error("not_found", "identity not found", "Identity", "nobody");
    assert_eq!(api.post(&jobs_of("nobody"), body.clone()).await, (404, missing.clone()));
    assert_eq!(api.get("identities/nobody").await, (404, missing));
    let (status, error) = api.post(&jobs_of("suspended"), body.clone()).await;
    assert_eq!((status, &error["code"]), (400, &json!("bad_request")));
    let no_email = resource_error("unprocessable_entity", "Identity missing email address", "Identity", "no-email");
    assert_eq!(api.post(&jobs_of("no-email"), body.clone()).await, (422, no_email));
    assert_eq!(api.realm.jobs(), []);
    assert_eq!(api.realm.outbox(), []);

    assert_eq!(api.post(&jobs_of("no-status"), body.clone()).await.0, 200);
    api.realm.set_identity_status("suspended", "active");
    assert_eq!(api.post(&jobs_of("suspended"), body.clone()).await.0, 200);
    api.realm.set_identity_status("suspended", None);
    assert_eq!(api.get("identities/suspended").await.1.get("status"), None);
    api.realm.remove_identity("suspended");
    assert_eq!(api.get("identities/suspended").await.0, 404);
}

#[tokio::test]
async fn invalid_fields_of_a_job_are_rejected() {
    let api = Api::new();
    let good = api.enrolment();
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body["job"][name] = value;
        body
    };
    for (body, field, why) in [
        (json!({}), "job", "missing"),
        (with("delivery_method", Value::Null), "job.delivery_method", "missing"),
        (with("delivery_method", json!("SMS")), "job.delivery_method", "invalid value"),
        (with("authenticator_config_id", json!("")), "job.authenticator_config_id", "empty string"),
        (with("authenticator_config_id", json!("unknown")), "job.authenticator_config_id", "not found"),
        (with("post_binding_redirect_uri", json!(1)), "job.post_binding_redirect_uri", "not a string"),
    ] {
        assert_eq!(api.post(&jobs_of(JANE), body).await, (400, field_error(field, why)));
    }
    assert_eq!(api.realm.outbox(), []);
    let ignored = with("state", json!("COMPLETE"));
    let (status, created) = api.post(&jobs_of(JANE), ignored.clone()).await;
    assert_eq!((status, &created["credential_binding_job"]["state"]), (200, &json!("LINK_SENT")));
    assert_eq!(api.realm.requests().last().unwrap().json(), ignored);
}

#[tokio::test]
async fn job_state_changes_the_identity() {
    let api = Api::new();
    assert_eq!(api.get(&format!("identities/{JANE}")).await.1["enrollment_status"], "UNENROLLED");
    let (_, created) = api.post(&jobs_of(JANE), api.enrolment()).await;
    assert_eq!(api.get(&format!("identities/{JANE}")).await.1["enrollment_status"], "PENDING");
    let id = text(&created["credential_binding_job"]["id"]);
    let one = format!("{}/{id}", jobs_of(JANE));

    api.realm.set_job_state(&id, "LINK_OPENED");
    let (_, opened) = api.get(&one).await;
    assert_eq!((&opened["state"], opened.get("credential_id")), (&json!("LINK_OPENED"), None));
    assert!(text(&opened["update_time"]) > text(&opened["create_time"]));
    api.realm.set_job_state(&id, "COMPLETE");
    let (_, complete) = api.get(&one).await;
    assert_eq!(text(&complete["credential_id"]).len(), 16);
    assert_eq!(api.realm.identity(JANE).unwrap().enrollment_status.as_deref(), Some("ENROLLED"));
    api.realm.allow_any_answer();
    api.realm.edit_job(&id, |job| job.state = None);
    assert_eq!(api.get(&one).await.1.get("state"), None);

    api.realm.remove_job(&id);
    let missing = resource_error("not_found", "credential binding job not found", "CredentialBindingJob", &id);
    assert_eq!(api.get(&one).await, (404, missing));
}
