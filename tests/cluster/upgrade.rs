//! Upgrades: the status of an earlier version is accepted by the schema, decoded and continued from, in each phase.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use harness::simulator::{Config, Job, Operation};
use harness::statuses::{EarlierObject, lies_in, objects_of_earlier_versions};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, JANE, Operator, REQUEST, annotate, job_of, object, wait_for, wait_until_deleted,
};

/// The objects in files with this prefix, with the ids and names of this fixture.
fn earlier_objects(fixture: &Fixture, prefix: &str) -> Vec<Value> {
    let localize = |original: EarlierObject| {
        let text = original.text.replace("fixture-tenant", fixture.realm.tenant());
        let text = text.replace("fixture-realm", fixture.realm.realm()).replace("fixture-provider", &fixture.provider);
        serde_json::from_str(&text.replace("fixture-namespace", &fixture.namespace)).unwrap()
    };
    objects_of_earlier_versions(prefix).unwrap().into_iter().map(localize).collect()
}

fn api(fixture: &Fixture, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(beyond_identity_operator::api::GROUP, "v1alpha1", kind);
    Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &ApiResource::from_gvk(&kind))
}

/// Stores an object with its status, and returns the stored object.
async fn store(fixture: &Fixture, original: &Value) -> Value {
    let api = api(fixture, original["kind"].as_str().unwrap());
    let mut new = original.clone();
    let fields = new["metadata"].as_object_mut().unwrap();
    fields.retain(|field, _| ["name", "annotations", "finalizers"].contains(&field.as_str()));
    let mut stored = json!(api.create(&PostParams::default(), &object(new)).await.unwrap());
    stored["status"] = original["status"].clone();
    let name = stored["metadata"]["name"].as_str().unwrap().to_owned();
    json!(api.replace_status(&name, &PostParams::default(), &object(stored)).await.unwrap())
}

#[tokio::test]
async fn current_schema_keeps_earlier_statuses_unchanged() {
    let fixture = Fixture::new().await;
    for (number, mut original) in earlier_objects(&fixture, "").into_iter().enumerate() {
        original["metadata"]["name"] = json!(format!("left-{number}"));
        let stored = store(&fixture, &original).await;
        for part in ["status", "spec"] {
            assert!(lies_in(&original[part], &stored[part]), "{original:#} is stored as {stored:#}");
        }
    }
}

/// Adds the configuration and the jobs that the request's status names to the realm, and returns the request with their
/// ids.
async fn with_remote_objects(fixture: &Fixture, original: &Value) -> Value {
    let operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await.status.unwrap().id.unwrap();
    operator.stop().await;

    let status = &original["status"];
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
    let text = original.to_string();
    let named = [&status["authenticatorConfigID"], &status["send"]["authenticatorConfigID"]];
    let named = named.into_iter().filter_map(Value::as_str);
    serde_json::from_str(&named.fold(text, |text, id| text.replace(id, &config))).unwrap()
}

/// Waits until the request has a job other than `before`.
async fn settled(fixture: &Fixture, before: Option<&str>) -> EnrollmentRequest {
    let before = before.map(str::to_owned);
    wait_for(fixture.requests(), REQUEST, "is settled", move |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.send.is_none() && status.job_id.is_some() && status.job_id != before
    })
    .await
}

/// Continues a request with a send in doubt, whose job was created or not.
async fn continue_from_a_send(fixture: Fixture, original: Value, created: bool) {
    let original = with_remote_objects(&fixture, &original).await;
    let status = &original["status"];
    let (send, before) = (&status["send"], status["jobID"].as_str());
    let job = Job::email(JANE, send["authenticatorConfigID"].as_str().unwrap());
    if created {
        fixture.realm.add_job(job.clone());
    }
    store(&fixture, &original).await;

    let _operator = fixture.start().await;
    let request = settled(&fixture, before).await;
    assert_eq!(json!(request.status.as_ref().unwrap().attempt), send["attempt"]);
    let new = job_of(&request);
    let earlier = request.status.unwrap().previous_jobs.into_iter().next().map(|job| job.id);
    assert_eq!(earlier.as_deref(), before, "the earlier job becomes a previous job: {original:#}");
    assert_eq!(new == job.id, created, "{original:#}");
    // The deletion sends nothing else either.
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let mailed = if created { vec![] } else { vec![new] };
    assert_eq!(fixture.mailed(), mailed, "created: {created}, {original:#}");
}

#[tokio::test]
async fn send_of_earlier_version_is_settled_with_one_email() {
    let fixture = Fixture::new().await;
    let of_send = |original: &Value| original["status"]["send"].is_object();
    let names = earlier_objects(&fixture, "enrollment-request-").into_iter().filter(of_send).count();
    assert!(names >= 4, "objects with a send are missing");
    let cases = (0..names).flat_map(|number| [(number, true), (number, false)]);
    let cases = cases.map(|(number, created)| async move {
        let fixture = Fixture::new().await;
        let original = earlier_objects(&fixture, "enrollment-request-").into_iter().filter(of_send).nth(number);
        continue_from_a_send(fixture, original.unwrap(), created).await;
    });
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn create_of_earlier_version_is_settled_with_one_configuration() {
    futures::future::join_all([true, false].map(|created| async move {
        let fixture = Fixture::new().await;
        let original = earlier_objects(&fixture, "authenticator-config-creating").remove(0);
        let name =
            OwnershipMark::of(CLUSTER, &fixture.namespace, CONFIG).behind(original["spec"]["displayName"].as_str());
        let settings = json!({
            "type": "hosted_web", "authentication_methods": [{"type": "webauthn_passkey"}],
            "trusted_origins": ["https://app.example.com"],
        });
        let config = settings.as_object().unwrap().clone();
        let there = Config { display_name: Some(name), config, ..Config::of_type("hosted_web") };
        if created {
            fixture.realm.add_config(there.clone());
        }
        store(&fixture, &original).await;
        let _operator = fixture.start().await;
        let config = fixture.wait_for_config("Available").await;
        let ids: Vec<_> = fixture.realm.configs().into_iter().map(|config| config.id).collect();
        let status = config.status.unwrap();
        assert_eq!((&[status.id.unwrap()][..], status.create), (&ids[..], None), "created: {created}");
        let creates = fixture.calls(Operation::CreateConfig);
        assert_eq!((creates, ids[0] == there.id), (usize::from(!created), created));
    }))
    .await;
}

/// Starts an operator on this stored request, and waits until the request is reconciled.
async fn reconciled(fixture: &Fixture, name: &str) -> (EnrollmentRequest, Operator) {
    let original = earlier_objects(fixture, &format!("enrollment-request-{name}")).remove(0);
    let original = with_remote_objects(fixture, &original).await;
    store(fixture, &original).await;
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "now").await;
    let operator = fixture.start().await;
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("now");
    (wait_for(fixture.requests(), REQUEST, "is reconciled", handled).await, operator)
}

#[tokio::test]
async fn conclusions_of_earlier_version_are_kept() {
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
        let original = earlier_objects(&fixture, &format!("enrollment-request-{name}")).remove(0);
        let (request, _operator) = reconciled(&fixture, name).await;
        let status = json!(request.status);
        for field in ["jobID", "attempt", "adopted", "skipped"] {
            assert_eq!(status[field], original["status"][field], "{name}: {field}");
        }
        // The reasons stay as well, except for the object in deletion.
        if name != "deleting" {
            let reasons = |status: &Value| -> Vec<Value> {
                status["conditions"].as_array().unwrap().iter().map(|condition| condition["reason"].clone()).collect()
            };
            assert_eq!(reasons(&status), reasons(&original["status"]), "{name}");
        }
        fixture.delete_request(REQUEST).await;
        wait_until_deleted(fixture.requests(), REQUEST).await;
        assert_eq!(fixture.mailed().len(), 0, "{name}");
        let is_active = original["status"]["state"] == "LINK_SENT";
        assert_eq!(fixture.revocations().len(), usize::from(is_active), "{name}");
    }))
    .await;
}

#[tokio::test]
async fn pending_request_of_earlier_version_is_sent() {
    for name in ["never-reconciled", "stalled"] {
        let fixture = Fixture::new().await;
        let (request, _operator) = reconciled(&fixture, name).await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{name}");
    }
}

#[tokio::test]
async fn pause_of_earlier_version_lasts_until_resumed() {
    let fixture = Fixture::new().await;
    let original = earlier_objects(&fixture, "enrollment-request-paused").remove(0);
    let original = with_remote_objects(&fixture, &original).await;
    store(&fixture, &original).await;
    let _operator = fixture.start().await;
    fixture.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
    let request = fixture.requests().get(REQUEST).await.unwrap();
    let mut kept = original["status"].clone();
    // The message may differ between versions.
    for condition in kept["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("message");
    }
    assert!(lies_in(&kept, &json!(request.status)), "{request:?}");
    annotate(&fixture.requests(), REQUEST, beyond_identity_operator::api::PAUSED, None).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1, "only joe is emailed");
}

#[tokio::test]
async fn configuration_of_earlier_version_is_kept_and_deleted() {
    let fixture = Fixture::new().await;
    for name in ["available", "deleting"] {
        let original = earlier_objects(&fixture, &format!("authenticator-config-{name}")).remove(0);
        let id = original["status"]["id"].as_str().unwrap().to_owned();
        let mark =
            OwnershipMark::of(CLUSTER, &fixture.namespace, CONFIG).behind(original["spec"]["displayName"].as_str());
        fixture.realm.add_config(Config { id: id.clone(), display_name: Some(mark), ..Config::of_type("hosted_web") });
        store(&fixture, &original).await;
        annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "now").await;
        let operator = fixture.start().await;
        let handled = |config: &AuthenticatorConfig| config.last_handled_reconcile_at() == Some("now");
        let config = wait_for(fixture.configs(), CONFIG, "is reconciled", handled).await;
        assert_eq!(config.status.unwrap().id, Some(id), "{name}");
        assert_eq!(fixture.realm.configs().len(), 1, "{name}");
        fixture.delete_config().await;
        wait_until_deleted(fixture.configs(), CONFIG).await;
        assert_eq!(fixture.realm.configs().len(), 0, "{name}");
        operator.stop().await;
    }
    assert_eq!(fixture.calls(Operation::CreateConfig), 0);
}
