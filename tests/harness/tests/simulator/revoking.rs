//! Revoking a job, and the cases in which it is refused.

use harness::simulator::{Ambiguities, Effect, Job, Operation, Outcome, Rule};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, JANE, jobs_of};

/// Adds a job of Jane in this state. Returns its id, and the path that revokes it.
fn job(api: &Api, state: Option<&str>) -> (String, String) {
    let job = Job { state: state.map(str::to_owned), ..Job::email(JANE, "config") };
    let path = format!("{}/{}:revoke", jobs_of(JANE), job.id);
    api.realm.add_job(job.clone());
    (job.id, path)
}

fn job_error(code: &str, message: &str, id: &str) -> Value {
    let detail =
        json!({"type": "ResourceInfo", "resource_type": "CredentialBindingJob", "id": id, "description": message});
    json!({"code": code, "message": message, "details": [detail]})
}

#[tokio::test]
async fn outstanding_job_is_revoked_once() {
    let api = Api::new();
    for state in [Some("LINK_SENT"), Some("LINK_OPENED"), Some("REQUEST_DELIVERED"), Some("TELEPORTED"), None] {
        let (id, path) = job(&api, state);
        let before = api.realm.job(&id).unwrap();
        let (status, revoked) = api.post(&path, json!({})).await;
        assert_eq!((status, &revoked["id"], &revoked["state"]), (200, &json!(id), &json!("REVOKED")), "{state:?}");
        assert_eq!(api.get(&format!("{}/{id}", jobs_of(JANE))).await, (200, revoked));
        assert!(api.realm.job(&id).unwrap().update_time > before.update_time);
        let conflict = job_error("conflict", "credential binding job is not outstanding", &id);
        assert_eq!(api.post(&path, json!({})).await, (409, conflict));
    }
    assert_eq!(api.realm.requests_of(Operation::RevokeJob).len(), 10);
}

#[tokio::test]
async fn failed_job_can_be_revoked_if_the_service_says_so() {
    let api = Api::new();
    api.realm.set_ambiguities(Ambiguities { revokes_failed_jobs: true, ..Ambiguities::default() });
    for (state, status) in [("FAILED_TO_SEND", 200), ("EXPIRED", 409)] {
        let (_, path) = job(&api, Some(state));
        assert_eq!(api.post(&path, json!({})).await.0, status, "{state}");
    }
}

#[tokio::test]
async fn finished_job_cannot_be_revoked() {
    let api = Api::new();
    for state in ["COMPLETE", "EXPIRED", "FAILED_TO_SEND", "REVOKED"] {
        let (id, path) = job(&api, Some(state));
        let before = api.realm.job(&id);
        let conflict = job_error("conflict", "credential binding job is not outstanding", &id);
        assert_eq!(api.post(&path, json!({})).await, (409, conflict), "{state}");
        assert_eq!(api.realm.job(&id), before);
    }
}

#[tokio::test]
async fn unknown_job_cannot_be_revoked() {
    let api = Api::new();
    let (id, path) = job(&api, Some("LINK_SENT"));
    let missing = |id: &str| (404, job_error("not_found", "credential binding job not found", id));
    assert_eq!(api.post(&format!("{}/unknown:revoke", jobs_of(JANE)), json!({})).await, missing("unknown"));
    assert_eq!(api.post(&format!("{}/{id}:revoke", jobs_of("joe")), json!({})).await, missing(&id));
    // An encoded verb belongs to the id, and a POST to a job is unknown.
    assert_eq!(api.post(&path.replace(':', "%3A"), json!({})).await.0, 404);
    assert_eq!(api.get(&path).await.0, 404);
    let last = api.realm.requests().pop().unwrap();
    assert_eq!(last.operation, Operation::Unknown);
    assert_eq!(api.realm.job(&id).unwrap().state.as_deref(), Some("LINK_SENT"));
}

#[tokio::test]
async fn body_is_an_empty_object_or_absent() {
    let api = Api::new();
    for body in [json!([]), json!("{}"), json!(null)] {
        let (_, path) = job(&api, Some("LINK_SENT"));
        assert_eq!(api.post(&path, body).await.0, 400);
        assert_eq!(api.call(Method::POST, &path, None).await.0, 200);
    }
}

#[tokio::test]
async fn realm_may_refuse_to_revoke() {
    let api = Api::new();
    let (id, path) = job(&api, Some("LINK_SENT"));
    api.realm.refuse_revoke(401);
    assert_eq!(api.post(&path, json!({})).await, (401, json!({"code": "unauthorized", "message": "unauthorized"})));
    api.realm.refuse_revoke(403);
    assert_eq!(api.post(&path, json!({})).await, (403, job_error("forbidden", "forbidden", &id)));
    assert_eq!(api.get(&format!("{}/{id}", jobs_of(JANE))).await.1["state"], "LINK_SENT", "a GET is not refused");
    api.realm.refuse_revoke(None);
    assert_eq!(api.post(&path, json!({})).await.0, 200);
}

#[tokio::test]
async fn faults_apply_to_revoke() {
    let api = Api::new();
    let (id, path) = job(&api, Some("LINK_SENT"));
    let state = || api.realm.job(&id).unwrap().state.unwrap();
    let revoke = || api.send(Method::POST, &path, Some(json!({})));
    let on = |effect: Effect| Rule::new(effect).on(Operation::RevokeJob).about(&id).once();
    api.realm.fault(on(Effect::LoseRequest));
    revoke().await.unwrap_err();
    api.realm.fault(on(Effect::unavailable()));
    assert_eq!(revoke().await.unwrap().status(), 503);
    assert_eq!(state(), "LINK_SENT");
    api.realm.fault(on(Effect::LoseAnswer));
    revoke().await.unwrap_err();
    assert_eq!(state(), "REVOKED");
    let outcomes: Vec<Outcome> = api.realm.requests().iter().map(|request| request.outcome).collect();
    assert_eq!(outcomes, [Outcome::Dropped, Outcome::Answered(503), Outcome::Dropped]);
}
