//! What decides what is sent can be corrected until it was sent, and not from then on.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, cluster, job_of, patch, refusal, wait_for};

const SENTENCE: &str = "identity, authenticatorConfigRef, deliveryMethod and postBindingRedirectURI are immutable once \
                        the email was or may have been sent: increase attempt to send again to the same identity, \
                        otherwise create another EnrollmentRequest";

/// All that decides what is sent, each changed in each way. (There is one delivery method.)
fn changes() -> [Value; 5] {
    [
        json!({"identity": {"id": "joe"}}),
        json!({"identity": {"id": null, "username": JANE}}),
        json!({"authenticatorConfigRef": {"name": "another"}}),
        json!({"postBindingRedirectURI": "https://elsewhere.example.com/"}),
        json!({"postBindingRedirectURI": null}),
    ]
}

async fn assert_immutable(place: &Fixture) {
    for change in changes() {
        let message = refusal(place.change_request(change.clone()).await);
        assert!(message.contains(SENTENCE), "{change}: {message}");
    }
    // What changes nothing may be applied again and again, and the rest may change.
    for change in [json!({"identity": {"id": JANE}}), json!({"deletionPolicy": "Orphan"})] {
        place.change_request(change).await.unwrap();
    }
    patch(&place.requests(), REQUEST, json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_does_not_change() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    place.request_says("LinkSent").await;
    assert_immutable(&place).await;
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn nor_does_what_may_have_been_sent() {
    let (place, _operator) = Fixture::ready().await;
    let rule = Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob);
    place.realm.fault(rule);
    place.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    place.request_says("Sending").await;
    assert_immutable(&place).await;
}

#[tokio::test]
async fn nor_does_what_was_concluded_without_an_email() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.edit_identity(JANE, |jane| jane.enrollment_status = Some("ENROLLED".to_owned()));
    place.create_request_with(REQUEST, json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    place.request_says("AlreadyEnrolled").await;
    assert_immutable(&place).await;
    assert_eq!(place.mailed().len(), 0);
}

#[tokio::test]
async fn a_uri_that_was_not_sent_is_not_added_later() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    place.request_says("LinkSent").await;
    let added = place.change_request(json!({"postBindingRedirectURI": "https://app.example.com/done"})).await;
    let message = refusal(added);
    assert!(message.contains(SENTENCE), "{message}");
}

#[tokio::test]
async fn everything_mistyped_is_corrected_while_nothing_was_sent() {
    let (place, _operator) = Fixture::ready().await;
    let mistyped = json!({
        "identity": {"id": "jaen"},
        "authenticatorConfigRef": {"name": "hosted-wbe"},
        "postBindingRedirectURI": "https://app.example.com/dnoe",
    });
    place.create_request_with(REQUEST, mistyped).await;
    place.request_says("AuthenticatorConfigNotFound").await;
    place.change_request(json!({"authenticatorConfigRef": {"name": CONFIG}})).await.unwrap();
    place.request_says("IdentityNotFound").await;
    place.change_request(json!({"postBindingRedirectURI": "https://app.example.com/done"})).await.unwrap();
    place.change_request(json!({"identity": {"id": null, "username": "jaen"}})).await.unwrap();
    place.change_request(json!({"identity": {"id": JANE, "username": null}})).await.unwrap();
    let request = place.request_says("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().identity_id.as_deref(), Some(JANE));
    assert_eq!(place.mailed(), [job_of(&request)]);
    let [sent] = &place.realm.requests_of(Operation::CreateJob)[..] else { panic!("not one call") };
    assert_eq!(sent.json()["job"]["post_binding_redirect_uri"], "https://app.example.com/done");
}

/// What `kubectl replace` does with Jane's request and this spec, as Argo CD does with `Replace=true`; and with
/// `--force`, as with `Force=true` besides, and as Flux does with `force: true`.
async fn replace(place: &Fixture, spec: Value, arguments: &'static [&str]) -> Result<(), String> {
    let object = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "EnrollmentRequest",
        "metadata": {"name": REQUEST, "namespace": place.namespace},
        "spec": spec,
    });
    let run = move || {
        let all = [&["replace", "--filename", "-"], arguments].concat();
        cluster::control_plane().run_kubectl_with(&object.to_string(), all)
    };
    tokio::task::spawn_blocking(run).await.unwrap().map(|_| ()).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn a_replace_takes_nothing_away_and_is_refused_like_any_other_change_but_a_forced_one_is_a_new_request() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.add_identity(Identity::active("joe", "joe@example.com"));
    place.create_request().await;
    let first = job_of(&place.request_says("LinkSent").await);
    let of = |identity: &str, policy: &str| json!({"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": identity}, "deletionPolicy": policy});

    let refused = replace(&place, of("joe", "Revoke"), &[]).await.unwrap_err();
    assert!(refused.contains(SENTENCE), "{refused}");
    // Who replaces an object takes its finalizer off, too.
    replace(&place, of(JANE, "Orphan"), &[]).await.unwrap();
    wait_for(place.requests(), REQUEST, "is looked at, and has its finalizer again", |request: &EnrollmentRequest| {
        request.finalizers().len() == 1
            && request.status.as_ref().unwrap().observed_generation == request.metadata.generation
    })
    .await;
    place.change_request(json!({"deletionPolicy": "Revoke"})).await.unwrap();
    assert_eq!((place.mailed(), place.remote_state(&first).as_str()), (vec![first.clone()], "LINK_SENT"));

    replace(&place, of("joe", "Revoke"), &["--force"]).await.unwrap();
    let second = job_of(&place.request_says("LinkSent").await);
    assert_eq!((place.mailed(), place.remote_state(&first).as_str()), (vec![first, second], "REVOKED"));
}
