//! An upgrade: what an earlier version left in a status is stored, read and gone on from, whatever it was about to do.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::authenticator_config::mark::Mark;
use harness::simulator::{Config, Job, Operation};
use harness::statuses::{EarlierObject, lies_in, objects_of_earlier_versions};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, JANE, Operator, REQUEST, annotate, job_of, object, wait_for, wait_until_gone,
};

/// The objects whose files are named like this, as they would be in this place.
fn left(fixture: &Fixture, beginning: &str) -> Vec<Value> {
    let here = |left: EarlierObject| {
        let text = left.text.replace("fixture-tenant", fixture.realm.tenant());
        let text = text.replace("fixture-realm", fixture.realm.realm()).replace("fixture-provider", &fixture.provider);
        serde_json::from_str(&text.replace("fixture-namespace", &fixture.namespace)).unwrap()
    };
    objects_of_earlier_versions(beginning).unwrap().into_iter().map(here).collect()
}

fn api(fixture: &Fixture, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(beyond_identity_operator::api::GROUP, "v1alpha1", kind);
    Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &ApiResource::from_gvk(&kind))
}

/// Stores an object with its status, and gives back what the API server has of it.
async fn store(fixture: &Fixture, left: &Value) -> Value {
    let api = api(fixture, left["kind"].as_str().unwrap());
    let mut new = left.clone();
    let fields = new["metadata"].as_object_mut().unwrap();
    fields.retain(|field, _| ["name", "annotations", "finalizers"].contains(&field.as_str()));
    let mut stored = json!(api.create(&PostParams::default(), &object(new)).await.unwrap());
    stored["status"] = left["status"].clone();
    let name = stored["metadata"]["name"].as_str().unwrap().to_owned();
    json!(api.replace_status(&name, &PostParams::default(), &object(stored)).await.unwrap())
}

#[tokio::test]
async fn the_schema_of_today_takes_every_status_of_yesterday_as_it_is() {
    let fixture = Fixture::new().await;
    for (number, mut left) in left(&fixture, "").into_iter().enumerate() {
        left["metadata"]["name"] = json!(format!("left-{number}"));
        let stored = store(&fixture, &left).await;
        for part in ["status", "spec"] {
            assert!(lies_in(&left[part], &stored[part]), "{left:#} is stored as {stored:#}");
        }
    }
}

/// A realm that has the configuration and the jobs of which a request tells, with their states; and the request.
async fn with_what_it_had(fixture: &Fixture, left: &Value) -> Value {
    let operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.config_says("Available").await.status.unwrap().id.unwrap();
    operator.stop().await;

    let status = &left["status"];
    let add = |id: &Value, state: &Value| {
        let job = Job::email(JANE, &config);
        let state = state.as_str().or(Some("LINK_SENT")).map(str::to_owned);
        fixture.realm.add_job(Job { id: id.as_str().unwrap().to_owned(), state, ..job });
    };
    if status["jobID"].is_string() {
        add(&status["jobID"], &status["state"]);
    }
    for job in status["previousJobs"].as_array().into_iter().flatten() {
        add(&job["id"], &job["state"]);
    }
    let text = left.to_string();
    let named = [&status["authenticatorConfigID"], &status["send"]["authenticatorConfigID"]];
    let named = named.into_iter().filter_map(Value::as_str);
    serde_json::from_str(&named.fold(text, |text, id| text.replace(id, &config))).unwrap()
}

/// Waits until the request has another job than `before`.
async fn settled(fixture: &Fixture, before: Option<&str>) -> EnrollmentRequest {
    let before = before.map(str::to_owned);
    wait_for(fixture.requests(), REQUEST, "is settled", move |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.send.is_none() && status.job_id.is_some() && status.job_id != before
    })
    .await
}

/// Goes on from a request that was about to send, whose job was made, or was not.
async fn go_on_from_a_send(fixture: Fixture, left: Value, made: bool) {
    let left = with_what_it_had(&fixture, &left).await;
    let status = &left["status"];
    let (send, before) = (&status["send"], status["jobID"].as_str());
    let job = Job::email(JANE, send["authenticatorConfigID"].as_str().unwrap());
    if made {
        fixture.realm.add_job(job.clone());
    }
    store(&fixture, &left).await;

    let _operator = fixture.start().await;
    let request = settled(&fixture, before).await;
    assert_eq!(json!(request.status.as_ref().unwrap().attempt), send["attempt"]);
    let new = job_of(&request);
    let earlier = request.status.unwrap().previous_jobs.into_iter().next().map(|job| job.id);
    assert_eq!(earlier.as_deref(), before, "the job of before stepped back: {left:#}");
    assert_eq!(new == job.id, made, "{left:#}");
    // At its end nothing else was sent either.
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let mailed = if made { vec![] } else { vec![new] };
    assert_eq!(fixture.mailed(), mailed, "made: {made}, {left:#}");
}

#[tokio::test]
async fn a_send_of_an_earlier_version_is_settled_and_there_is_one_email() {
    let fixture = Fixture::new().await;
    let of_send = |left: &Value| left["status"]["send"].is_object();
    let names = left(&fixture, "enrollment-request-").into_iter().filter(of_send).count();
    assert!(names >= 4, "these are not all");
    let cases = (0..names).flat_map(|number| [(number, true), (number, false)]);
    let cases = cases.map(|(number, made)| async move {
        let fixture = Fixture::new().await;
        let left = left(&fixture, "enrollment-request-").into_iter().filter(of_send).nth(number);
        go_on_from_a_send(fixture, left.unwrap(), made).await;
    });
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn a_create_of_an_earlier_version_is_settled_and_there_is_one_configuration() {
    futures::future::join_all([true, false].map(|made| async move {
        let fixture = Fixture::new().await;
        let left = left(&fixture, "authenticator-config-creating").remove(0);
        let name = Mark::of(CLUSTER, &fixture.namespace, CONFIG).behind(left["spec"]["displayName"].as_str());
        let settings = json!({
            "type": "hosted_web", "authentication_methods": [{"type": "webauthn_passkey"}],
            "trusted_origins": ["https://app.example.com"],
        });
        let config = settings.as_object().unwrap().clone();
        let there = Config { display_name: Some(name), config, ..Config::of_type("hosted_web") };
        if made {
            fixture.realm.add_config(there.clone());
        }
        store(&fixture, &left).await;
        let _operator = fixture.start().await;
        let config = fixture.config_says("Available").await;
        let ids: Vec<_> = fixture.realm.configs().into_iter().map(|config| config.id).collect();
        let status = config.status.unwrap();
        assert_eq!((&[status.id.unwrap()][..], status.create), (&ids[..], None), "made: {made}");
        let creates = fixture.calls(Operation::CreateConfig);
        assert_eq!((creates, ids[0] == there.id), (usize::from(!made), made));
    }))
    .await;
}

/// Starts an operator that finds this request, and waits until it was looked at.
async fn found(fixture: &Fixture, name: &str) -> (EnrollmentRequest, Operator) {
    let left = left(fixture, &format!("enrollment-request-{name}")).remove(0);
    let left = with_what_it_had(fixture, &left).await;
    store(fixture, &left).await;
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "now").await;
    let operator = fixture.start().await;
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("now");
    (wait_for(fixture.requests(), REQUEST, "is looked at", handled).await, operator)
}

#[tokio::test]
async fn what_an_earlier_version_concluded_stays_concluded() {
    let concluded = [
        "link-sent",
        "complete",
        "link-expired",
        "adopted",
        "already-enrolled",
        "revoked-before-it-was-sent",
        "deleting",
    ];
    futures::future::join_all(concluded.map(|name| async move {
        let fixture = Fixture::new().await;
        let left = left(&fixture, &format!("enrollment-request-{name}")).remove(0);
        let (request, _operator) = found(&fixture, name).await;
        let status = json!(request.status);
        for field in ["jobID", "attempt", "adopted", "skipped"] {
            assert_eq!(status[field], left["status"][field], "{name}: {field}");
        }
        // So it says, but for what the one that was being deleted said of that.
        if name != "deleting" {
            let reasons = |status: &Value| -> Vec<Value> {
                status["conditions"].as_array().unwrap().iter().map(|condition| condition["reason"].clone()).collect()
            };
            assert_eq!(reasons(&status), reasons(&left["status"]), "{name}");
        }
        fixture.delete_request(REQUEST).await;
        wait_until_gone(fixture.requests(), REQUEST).await;
        assert_eq!(fixture.mailed().len(), 0, "{name}");
        let is_out = left["status"]["state"] == "LINK_SENT";
        assert_eq!(fixture.revocations().len(), usize::from(is_out), "{name}");
    }))
    .await;
}

#[tokio::test]
async fn what_an_earlier_version_had_not_begun_or_had_to_wait_with_is_sent() {
    for name in ["never-reconciled", "stalled"] {
        let fixture = Fixture::new().await;
        let (request, _operator) = found(&fixture, name).await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{name}");
    }
}

#[tokio::test]
async fn a_pause_of_an_earlier_version_goes_on_until_it_is_taken_back() {
    let fixture = Fixture::new().await;
    let left = left(&fixture, "enrollment-request-paused").remove(0);
    let left = with_what_it_had(&fixture, &left).await;
    store(&fixture, &left).await;
    let _operator = fixture.start().await;
    fixture.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    fixture.named_request_says("joe", "LinkSent").await;
    let request = fixture.requests().get(REQUEST).await.unwrap();
    let mut kept = left["status"].clone();
    // The sentence is that of this version.
    for condition in kept["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("message");
    }
    assert!(lies_in(&kept, &json!(request.status)), "{request:?}");
    annotate(&fixture.requests(), REQUEST, beyond_identity_operator::api::PAUSED, None).await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1, "joe's");
}

#[tokio::test]
async fn a_configuration_of_an_earlier_version_is_kept_and_deleted() {
    let fixture = Fixture::new().await;
    for name in ["available", "deleting"] {
        let left = left(&fixture, &format!("authenticator-config-{name}")).remove(0);
        let id = left["status"]["id"].as_str().unwrap().to_owned();
        let mark = Mark::of(CLUSTER, &fixture.namespace, CONFIG).behind(left["spec"]["displayName"].as_str());
        fixture.realm.add_config(Config { id: id.clone(), display_name: Some(mark), ..Config::of_type("hosted_web") });
        store(&fixture, &left).await;
        annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "now").await;
        let operator = fixture.start().await;
        let handled = |config: &AuthenticatorConfig| config.last_handled_reconcile_at() == Some("now");
        let config = wait_for(fixture.configs(), CONFIG, "is looked at", handled).await;
        assert_eq!(config.status.unwrap().id, Some(id), "{name}");
        assert_eq!(fixture.realm.configs().len(), 1, "{name}");
        fixture.delete_config().await;
        wait_until_gone(fixture.configs(), CONFIG).await;
        assert_eq!(fixture.realm.configs().len(), 0, "{name}");
        operator.stop().await;
    }
    assert_eq!(fixture.calls(Operation::CreateConfig), 0);
}
