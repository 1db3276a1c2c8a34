//! Objects that this version cannot decode, since a newer one wrote them: as after a rollback of the operator alone.

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
    shared_simulator, wait_for, wait_until_gone,
};

/// A control plane whose definitions know values that this version does not. All tests of this file share it.
fn newer() -> &'static ControlPlane {
    static NEWER: OnceLock<ControlPlane> = OnceLock::new();
    NEWER.get_or_init(|| {
        let control_plane = ControlPlane::start().unwrap();
        let mut definitions: Vec<Value> = serde_saphyr::from_multiple(&crds::yaml()).unwrap();
        for definition in &mut definitions {
            let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            // What a newer version lets change, this one may not.
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
                "ClusterProviderConfig" => &mut spec["region"],
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

/// A value that this version does not know, wherever it stands.
const NEW: &str = "Newer";

fn widen(schema: &mut Value, value: &str) {
    schema["enum"].as_array_mut().unwrap().push(json!(value));
}

/// A place there, the program at work, and the AuthenticatorConfig Ready.
async fn ready() -> (Fixture, Process) {
    let client = Client::try_from(cluster::config_of(newer()).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    let process = start(&fixture).await;
    fixture.create_config().await;
    fixture.config_says("Available").await;
    (fixture, process)
}

async fn start(fixture: &Fixture) -> Process {
    fixture.spawn(&Access::to(newer()), &[]).await
}

/// The objects of a kind in the place's namespace, whatever is in them.
fn anything(fixture: &Fixture, kind: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("beyondidentity.dev", "v1alpha1", kind));
    Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &kind)
}

fn requests(fixture: &Fixture) -> Api<DynamicObject> {
    anything(fixture, "EnrollmentRequest")
}

fn condition<'a>(object: &'a DynamicObject, type_: &str) -> Option<&'a Value> {
    object.data["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// Waits until Ready has this reason, and is about the object as it is now.
#[track_caller]
fn says(api: Api<DynamicObject>, name: &str, reason: &'static str) -> impl Future<Output = DynamicObject> {
    wait_for(api, name, format!("says {reason}"), move |object: &DynamicObject| {
        let seen = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
        seen && condition(object, "Ready").is_some_and(|ready| ready["reason"] == reason)
    })
}

/// Nothing is waited for: somebody else's email comes later, and none has come before it.
async fn only_joe_gets_an_email_more(fixture: &Fixture, before: usize) {
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.named_request_says("later", "LinkSent").await;
    let recipients: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.address).collect();
    assert_eq!(recipients[before..], ["joe@example.com"]);
}

async fn jane_is_sent_and_then_edited(fixture: &Fixture) -> String {
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let newer = json!({"spec": {"deliveryMethod": NEW, "attempt": 2}});
    patch(&requests(fixture), REQUEST, newer).await.unwrap();
    says(requests(fixture), REQUEST, "NotDecodable").await;
    job
}

#[tokio::test]
async fn what_cannot_be_decoded_says_so_and_nothing_is_sent() {
    let (fixture, process) = ready().await;
    let mut request = json!(fixture.request(REQUEST, JANE));
    request["spec"]["identity"] = json!({"username": "jane.doe"});
    request["spec"]["deliveryMethod"] = json!(NEW);
    requests(&fixture).create(&PostParams::default(), &object(request)).await.unwrap();
    let said = says(requests(&fixture), REQUEST, "NotDecodable").await;
    let message = condition(&said, "Stalled").unwrap()["message"].as_str().unwrap();
    assert_eq!(
        message,
        "This version of the operator cannot decode the object and does not act on it: spec.deliveryMethod: expected \
         `EMAIL`; upgrade the operator, or correct that field"
    );
    assert_eq!(condition(&said, "Ready").unwrap()["status"], "False");
    let told = fixture.told(REQUEST, "Warning NotDecodable").await;
    assert_eq!(told.note, message);
    only_joe_gets_an_email_more(&fixture, 0).await;
    let (_, log) = process.stop();
    assert!(log.contains("NotDecodable") && !log.contains("jane.doe"), "{log}");
    assert!(!log.contains("lacks"), "the definitions have all that this version needs: {log}");
}

#[tokio::test]
async fn nothing_is_done_by_what_it_was_before_and_its_deletion_revokes_the_link() {
    let (fixture, _process) = ready().await;
    let job = jane_is_sent_and_then_edited(&fixture).await;
    only_joe_gets_an_email_more(&fixture, 1).await;
    fixture.delete_request("later").await;
    // Its AuthenticatorConfig is still in use.
    fixture.delete_config().await;
    fixture.config_says("InUse").await;
    requests(&fixture).delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_gone(requests(&fixture), REQUEST).await;
    assert!(fixture.revocations().contains(&job), "{:?}", fixture.revocations());
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    wait_until_gone(fixture.configs(), CONFIG).await;
}

#[tokio::test]
async fn a_deletion_policy_that_is_not_known_removes_nothing() {
    let (fixture, _process) = ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    patch(&requests(&fixture), REQUEST, json!({"spec": {"deletionPolicy": "Retain"}})).await.unwrap();
    says(requests(&fixture), REQUEST, "NotDecodable").await;
    requests(&fixture).delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_gone(requests(&fixture), REQUEST).await;
    assert_eq!(fixture.revocations(), [""; 0]);
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}

#[tokio::test]
async fn its_person_stays_reserved_through_a_restart_and_its_status_stays_whole() {
    let (fixture, process) = ready().await;
    let job = jane_is_sent_and_then_edited(&fixture).await;
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
    let second = fixture.named_request_says("second", "DuplicateRequest").await;
    assert!(second.status.unwrap().job_id.is_none());
    // Mended, it goes on where it was.
    let mended = json!({"spec": {"deliveryMethod": "EMAIL"}});
    patch(&requests(&fixture), REQUEST, mended).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has sent again", |request| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(2))
    })
    .await;
    assert_eq!(request.status.unwrap().previous_jobs[0].id, job);
    assert_eq!(fixture.mailed().len(), 2);
    drop(next);
}

#[tokio::test]
async fn a_send_in_doubt_stays_in_doubt_through_a_restart_and_nobody_else_sends() {
    let (fixture, process) = ready().await;
    let (first, hidden) = fixture.second_attempt_in_doubt().await;
    let newer = json!({"spec": {"deliveryMethod": NEW}});
    patch(&requests(&fixture), REQUEST, newer).await.unwrap();
    let record = says(requests(&fixture), REQUEST, "NotDecodable").await.data["status"]["send"].clone();
    assert_eq!(process.stop().0, Some(0));
    let next = start(&fixture).await;
    fixture.create_request_of("second", JANE).await;
    fixture.named_request_says("second", "DuplicateRequest").await;
    let request = requests(&fixture).get(REQUEST).await.unwrap();
    assert_eq!(request.data["status"]["send"], record, "it was neither found nor given up");
    fixture.realm.remove_fault(hidden);
    let mended = json!({"spec": {"deliveryMethod": "EMAIL"}});
    patch(&requests(&fixture), REQUEST, mended).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has found its job", |request| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(2) && status.send.is_none())
    })
    .await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
    drop(next);
}

#[tokio::test]
async fn by_a_configuration_that_cannot_be_decoded_nobody_is_enrolled_and_its_deletion_deletes_it() {
    let (fixture, _process) = ready().await;
    let id = fixture.config_says("Available").await.status.unwrap().id.unwrap();
    let configs = anything(&fixture, "AuthenticatorConfig");
    let newer = json!({"spec": {"displayName": "Another", "config": {"authenticationMethods": [{"type": NEW}]}}});
    patch(&configs, CONFIG, newer).await.unwrap();
    fixture.create_request().await;
    fixture.request_says("AuthenticatorConfigStalled").await;
    says(configs.clone(), CONFIG, "NotDecodable").await;
    fixture.told_of("AuthenticatorConfig", CONFIG, "Warning NotDecodable").await;
    assert_eq!(fixture.realm.outbox().len(), 0);
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert!(fixture.realm.config(&id).unwrap().display_name.unwrap().starts_with("Hosted web"), "it was not changed");
    configs.delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_gone(configs, CONFIG).await;
    assert!(fixture.realm.config(&id).is_none());
}

#[tokio::test]
async fn nothing_goes_through_a_provider_config_that_cannot_be_decoded() {
    let (fixture, process) = ready().await;
    let newer = json!({"spec": {"region": NEW, "endpoint": null}});
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("beyondidentity.dev", "v1alpha1", "ClusterProviderConfig"));
    let providers: Api<DynamicObject> = Api::all_with(fixture.client.clone(), &kind);
    patch(&providers, &fixture.provider, newer).await.unwrap();
    // A watch is behind what was written just now. Each object that comes later is seen by a watch that is not.
    let named = || process.log().into_iter().filter(|line| line["name"] == fixture.provider.as_str()).count();
    eventually("it says that it does not use it", || named() > 0).await;
    let calls = fixture.realm.requests().len();
    fixture.create_request().await;
    let request = fixture.request_says("NotDecodable").await;
    assert!(message(&request).contains(&format!("ClusterProviderConfig {}", fixture.provider)));
    fixture.create_config_named("another").await;
    fixture.named_config_says("another", "NotDecodable").await;
    assert_eq!(fixture.realm.requests().len(), calls, "no token went anywhere");
    let mended = json!({"spec": {"region": null, "endpoint": {"api": fixture.realm.url()}}});
    patch(&providers, &fixture.provider, mended).await.unwrap();
    fixture.request_says("LinkSent").await;
    fixture.named_config_says("another", "Available").await;
}
