//! The fields that decide what is sent are mutable until the email is sent, and immutable from then on.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, cluster, job_of, patch, refusal, wait_for};

const SENTENCE: &str = "identity, authenticatorConfigRef, deliveryMethod and postBindingRedirectURI are immutable once \
                        the email was or may have been sent: increase attempt to send again to the same identity, \
                        otherwise create another EnrollmentRequest";

/// One change of each kind to each immutable field. `deliveryMethod` has only one value.
fn changes() -> [Value; 5] {
    [
        json!({"identity": {"id": "joe"}}),
        json!({"identity": {"id": null, "username": JANE}}),
        json!({"authenticatorConfigRef": {"name": "another"}}),
        json!({"postBindingRedirectURI": "https://elsewhere.example.com/"}),
        json!({"postBindingRedirectURI": null}),
    ]
}

async fn assert_immutable(fixture: &Fixture) {
    for change in changes() {
        let message = refusal(fixture.change_request(change.clone()).await);
        assert!(message.contains(SENTENCE), "{change}: {message}");
    }
    // An apply without a change is accepted, and other fields may change.
    for change in [json!({"identity": {"id": JANE}}), json!({"deletionPolicy": "Orphan"})] {
        fixture.change_request(change).await.unwrap();
    }
    patch(&fixture.requests(), REQUEST, json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
}

#[tokio::test]
async fn spec_is_immutable_after_the_send() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    fixture.wait_for_request("LinkSent").await;
    assert_immutable(&fixture).await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn spec_is_immutable_while_the_send_is_in_flight() {
    let (fixture, _operator) = Fixture::ready().await;
    let rule = Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob);
    fixture.realm.fault(rule);
    fixture.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    fixture.wait_for_request("Sending").await;
    assert_immutable(&fixture).await;
}

#[tokio::test]
async fn spec_is_immutable_if_already_enrolled() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.edit_identity(JANE, |jane| jane.enrollment_status = Some("ENROLLED".to_owned()));
    fixture.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    fixture.wait_for_request("AlreadyEnrolled").await;
    assert_immutable(&fixture).await;
    assert_eq!(fixture.mailed().len(), 0);
}

#[tokio::test]
async fn redirect_uri_cannot_be_added_after_the_send() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    let added = fixture.change_request(json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    let message = refusal(added);
    assert!(message.contains(SENTENCE), "{message}");
}

#[tokio::test]
async fn fields_can_be_corrected_until_the_send() {
    let (fixture, _operator) = Fixture::ready().await;
    let mistyped = json!({
        "identity": {"id": "jaen"},
        "authenticatorConfigRef": {"name": "hosted-wbe"},
        "postBindingRedirectURI": "https://app.example.com/dnoe",
    });
    fixture.create_request_with(REQUEST, mistyped).await;
    fixture.wait_for_request("AuthenticatorConfigNotFound").await;
    fixture.change_request(json!({"authenticatorConfigRef": {"name": CONFIG}})).await.unwrap();
    fixture.wait_for_request("IdentityNotFound").await;
    fixture.change_request(json!({"postBindingRedirectURI": "https://app.example.com/done"})).await.unwrap();
    fixture.change_request(json!({"identity": {"id": null, "username": "jaen"}})).await.unwrap();
    fixture.change_request(json!({"identity": {"id": JANE, "username": null}})).await.unwrap();
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().identity_id.as_deref(), Some(JANE));
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    let [sent] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("there is not exactly one call") };
    assert_eq!(sent.json()["job"]["post_binding_redirect_uri"], "https://app.example.com/done");
}

/// Runs `kubectl replace` with Jane's request and this spec, as Argo CD does with `Replace=true`. With `--force` it is
/// as Argo CD with `Force=true` besides, and Flux with `force: true`.
async fn replace(fixture: &Fixture, spec: Value, arguments: &'static [&str]) -> Result<(), String> {
    let object = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "EnrollmentRequest",
        "metadata": {"name": REQUEST, "namespace": fixture.namespace},
        "spec": spec,
    });
    let run = move || {
        let all = [&["replace", "--filename", "-"], arguments].concat();
        cluster::control_plane().run_kubectl_with(&object.to_string(), all)
    };
    tokio::task::spawn_blocking(run).await.unwrap().map(|_| ()).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn replace_is_validated_and_force_creates_a_new_request() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let of = |identity: &str, policy: &str| json!({"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": identity}, "deletionPolicy": policy});

    let refused = replace(&fixture, of("joe", "Revoke"), &[]).await.unwrap_err();
    assert!(refused.contains(SENTENCE), "{refused}");
    // A replace also removes the finalizer.
    replace(&fixture, of(JANE, "Orphan"), &[]).await.unwrap();
    wait_for(
        fixture.requests(),
        REQUEST,
        "is reconciled, and has its finalizer again",
        |request: &EnrollmentRequest| {
            request.finalizers().len() == 1
                && request.status.as_ref().unwrap().observed_generation == request.metadata.generation
        },
    )
    .await;
    fixture.change_request(json!({"deletionPolicy": "Revoke"})).await.unwrap();
    assert_eq!((fixture.mailed(), fixture.remote_state(&first).as_str()), (vec![first.clone()], "LINK_SENT"));

    replace(&fixture, of("joe", "Revoke"), &["--force"]).await.unwrap();
    let second = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.remote_state(&first).as_str()), (vec![first, second], "REVOKED"));
}
