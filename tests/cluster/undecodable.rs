//! Objects that this version cannot decode, since a newer version wrote them, as after a rollback of the operator only.

use std::sync::OnceLock;

use beyond_identity_operator::api::{RECONCILE_REQUESTED_AT, crds};
use harness::control_plane::ControlPlane;
use harness::simulator::Identity;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::fixture::{
    Access, CONFIG, Fixture, JANE, Process, REQUEST, annotate, cluster, eventually, job_of, message, object, patch,
    shared_simulator, wait_for, wait_until_deleted,
};

/// A control plane whose definitions allow values that this version does not know. All tests of this file share it.
fn newer() -> &'static ControlPlane {
    static NEWER: OnceLock<ControlPlane> = OnceLock::new();
    NEWER.get_or_init(|| {
        let control_plane = ControlPlane::start().unwrap();
        let mut definitions: Vec<Value> = serde_saphyr::from_multiple(&crds::yaml()).unwrap();
        for definition in &mut definitions {
            let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            // A newer version may allow changes that this one forbids.
            schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
            if kind == "EnrollmentRequest" {
                schema["properties"]["status"]["properties"]["newer"] = json!({"type": "string"});
            }
            let spec = &mut schema["properties"]["spec"]["properties"];
            let values = match kind.as_str() {
                "EnrollmentRequest" => {
                    widen(&mut spec["deletionPolicy"], "Retain");
                    &mut spec["deliveryMethod"]
                }
                "AuthenticatorConfig" => {
                    let config = &mut spec["config"]["properties"];
                    &mut config["authenticationMethods"]["items"]["properties"]["type"]
                }
                "ClusterProviderConfig" | "ProviderConfig" => &mut spec["region"],
                other => panic!("{other}"),
            };
            widen(values, NEW);
        }
        cluster::install_definitions(
            &control_plane,
            &json!({"apiVersion": "v1", "kind": "List", "items": definitions}),
        );
        control_plane
    })
}

/// A value that this version does not know in any field.
const NEW: &str = "Newer";

fn widen(schema: &mut Value, value: &str) {
    schema["enum"].as_array_mut().unwrap().push(json!(value));
}

/// A fixture in that control plane, with a running operator and a Ready AuthenticatorConfig.
async fn ready() -> (Fixture, Process) {
    let client = Client::try_from(cluster::config_of(newer()).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    let process = start(&fixture).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    (fixture, process)
}

async fn start(fixture: &Fixture) -> Process {
    fixture.spawn(&Access::to(newer()), &[]).await
}

/// The objects of a kind in the fixture's namespace, undecoded.
fn dynamic(fixture: &Fixture, kind: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("beyondidentity.dev", "v1alpha1", kind));
    Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &kind)
}

fn requests(fixture: &Fixture) -> Api<DynamicObject> {
    dynamic(fixture, "EnrollmentRequest")
}

fn condition<'a>(object: &'a DynamicObject, type_: &str) -> Option<&'a Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// Waits until Ready has this reason for the current generation.
#[track_caller]
fn has_reason(api: Api<DynamicObject>, name: &str, reason: &'static str) -> impl Future<Output = DynamicObject> {
    wait_for(api, name, format!("has reason {reason}"), move |object: &DynamicObject| {
        let observed = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
        observed && condition(object, "Ready").is_some_and(|ready| ready["reason"] == reason)
    })
}

/// Asserts without a delay that no other email was sent: a later email to Joe is the only new one.
async fn assert_only_joe_is_emailed(fixture: &Fixture, before: usize) {
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.wait_for_request_named("later", "LinkSent").await;
    let recipients: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.address).collect();
    assert_eq!(recipients[before..], ["joe@example.com"]);
}

async fn sent_request_becomes_undecodable(fixture: &Fixture) -> String {
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let newer = json!({"spec": {"deliveryMethod": NEW, "attempt": 2}});
    patch(&requests(fixture), REQUEST, newer).await.unwrap();
    has_reason(requests(fixture), REQUEST, "NotDecodable").await;
    job
}

#[tokio::test]
async fn undecodable_request_is_reported_and_sends_nothing() {
    let (fixture, process) = ready().await;
    let mut request = json!(fixture.request(REQUEST, JANE));
    request["spec"]["identity"] = json!({"username": "jane.doe"});
    request["spec"]["deliveryMethod"] = json!(NEW);
    requests(&fixture).create(&PostParams::default(), &object(request)).await.unwrap();
    let request = has_reason(requests(&fixture), REQUEST, "NotDecodable").await;
    let message = condition(&request, "Stalled").unwrap()["message"].as_str().unwrap();
    assert_eq!(
        message,
        "This version of the operator cannot decode the object and does not act on it: spec.deliveryMethod: expected \
         `EMAIL`; upgrade the operator, or correct that field"
    );
    assert_eq!(condition(&request, "Ready").unwrap()["status"], "False");
    let event = fixture.wait_for_event(REQUEST, "Warning NotDecodable").await;
    assert_eq!(event.note, message);
    assert_only_joe_is_emailed(&fixture, 0).await;
    let (_, log) = process.stop();
    assert!(log.contains("NotDecodable") && !log.contains("jane.doe"), "{log}");
    assert!(!log.contains("lacks"), "the definitions have all that this version needs: {log}");
}

#[tokio::test]
async fn deletion_of_undecodable_request_revokes_its_link() {
    let (fixture, _process) = ready().await;
    let job = sent_request_becomes_undecodable(&fixture).await;
    assert_only_joe_is_emailed(&fixture, 1).await;
    fixture.delete_request("later").await;
    // The undecodable request still counts as a reference to its AuthenticatorConfig.
    fixture.delete_config().await;
    fixture.wait_for_config("InUse").await;
    requests(&fixture).delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(requests(&fixture), REQUEST).await;
    assert!(fixture.revocations().contains(&job), "{:?}", fixture.revocations());
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    wait_until_deleted(fixture.configs(), CONFIG).await;
}

#[tokio::test]
async fn unknown_deletion_policy_retains_the_link() {
    let (fixture, _process) = ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    patch(&requests(&fixture), REQUEST, json!({"spec": {"deletionPolicy": "Retain"}})).await.unwrap();
    has_reason(requests(&fixture), REQUEST, "NotDecodable").await;
    requests(&fixture).delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(requests(&fixture), REQUEST).await;
    assert_eq!(fixture.revocations(), [""; 0]);
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}

#[tokio::test]
async fn undecodable_request_keeps_its_reservation_and_status() {
    let (fixture, process) = ready().await;
    let job = sent_request_becomes_undecodable(&fixture).await;
    let status = Patch::Merge(json!({"status": {"newer": "kept"}}));
    requests(&fixture).patch_status(REQUEST, &PatchParams::default(), &status).await.unwrap();
    annotate(&requests(&fixture), REQUEST, RECONCILE_REQUESTED_AT, "now").await;
    let handled = wait_for(requests(&fixture), REQUEST, "has handled the request", |request: &DynamicObject| {
        request.data["status"]["lastHandledReconcileAt"] == "now"
    })
    .await;
    assert_eq!(handled.data["status"]["newer"], "kept");
    assert_eq!(handled.data["status"]["jobID"], job.as_str());
    assert_eq!(process.stop().0, Some(0));
    let next = start(&fixture).await;
    fixture.create_request_of("second", JANE).await;
    let second = fixture.wait_for_request_named("second", "DuplicateRequest").await;
    assert!(second.status.unwrap().job_id.is_none());
    // After a fix the request continues.
    let fixed = json!({"spec": {"deliveryMethod": "EMAIL"}});
    patch(&requests(&fixture), REQUEST, fixed).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has sent again", |request| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(2))
    })
    .await;
    assert_eq!(request.status.unwrap().previous_jobs[0].id, job);
    assert_eq!(fixture.mailed().len(), 2);
    drop(next);
}

#[tokio::test]
async fn undecodable_send_in_doubt_survives_restart_and_blocks_others() {
    let (fixture, process) = ready().await;
    let (first, hidden) = fixture.second_attempt_in_doubt().await;
    let newer = json!({"spec": {"deliveryMethod": NEW}});
    patch(&requests(&fixture), REQUEST, newer).await.unwrap();
    let record = has_reason(requests(&fixture), REQUEST, "NotDecodable").await.data["status"]["send"].clone();
    assert_eq!(process.stop().0, Some(0));
    let next = start(&fixture).await;
    fixture.create_request_of("second", JANE).await;
    fixture.wait_for_request_named("second", "DuplicateRequest").await;
    let request = requests(&fixture).get(REQUEST).await.unwrap();
    assert_eq!(request.data["status"]["send"], record, "the record does not change");
    fixture.realm.remove_fault(hidden);
    let fixed = json!({"spec": {"deliveryMethod": "EMAIL"}});
    patch(&requests(&fixture), REQUEST, fixed).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has found its job", |request| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(2) && status.send.is_none())
    })
    .await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
    drop(next);
}

#[tokio::test]
async fn undecodable_configuration_blocks_sends_and_can_be_deleted() {
    let (fixture, _process) = ready().await;
    let id = fixture.wait_for_config("Available").await.status.unwrap().id.unwrap();
    let configs = dynamic(&fixture, "AuthenticatorConfig");
    let newer = json!({"spec": {"displayName": "Another", "config": {"authenticationMethods": [{"type": NEW}]}}});
    patch(&configs, CONFIG, newer).await.unwrap();
    fixture.create_request().await;
    fixture.wait_for_request("AuthenticatorConfigStalled").await;
    has_reason(configs.clone(), CONFIG, "NotDecodable").await;
    fixture.wait_for_event_of("AuthenticatorConfig", CONFIG, "Warning NotDecodable").await;
    assert_eq!(fixture.realm.outbox().len(), 0);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert!(
        fixture.realm.config(&id).unwrap().display_name.unwrap().starts_with("Hosted web"),
        "the configuration is not changed"
    );
    configs.delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(configs, CONFIG).await;
    assert!(fixture.realm.config(&id).is_none());
}

#[tokio::test]
async fn undecodable_provider_config_blocks_all_calls() {
    let (fixture, process) = ready().await;
    let newer = json!({"spec": {"region": NEW, "endpoint": null}});
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("beyondidentity.dev", "v1alpha1", "ClusterProviderConfig"));
    let providers: Api<DynamicObject> = Api::all_with(fixture.client.clone(), &kind);
    patch(&providers, &fixture.provider, newer).await.unwrap();
    // The log line shows that the watch has delivered the change. Later objects are reconciled with it.
    let logged = || process.log().into_iter().filter(|line| line["name"] == fixture.provider.as_str()).count();
    eventually("the log names the provider config", || logged() > 0).await;
    let calls = fixture.realm.requests().len();
    fixture.create_request().await;
    let request = fixture.wait_for_request("NotDecodable").await;
    assert!(message(&request).contains(&format!("ClusterProviderConfig {}", fixture.provider)));
    fixture.create_config_named("another").await;
    fixture.wait_for_config_named("another", "NotDecodable").await;
    assert_eq!(fixture.realm.requests().len(), calls, "no call is made");
    let fixed = json!({"spec": {"region": null, "endpoint": {"api": fixture.realm.url()}}});
    patch(&providers, &fixture.provider, fixed).await.unwrap();
    fixture.wait_for_request("LinkSent").await;
    fixture.wait_for_config_named("another", "Available").await;
}
