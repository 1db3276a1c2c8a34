//! Events: one for each change of the reason of an object. The type is Warning if action may be needed.

use beyond_identity_operator::api::RECONCILE_REQUESTED_AT;
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, REQUEST, eventually, job_of, patch, poll_often};

#[tokio::test]
async fn each_change_of_reason_emits_one_event() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let _operator = fixture.start_with(poll_often).await;
    fixture.create_config().await;
    fixture.wait_for_config("SecretNotFound").await;
    // The Secret is missing in more than one reconcile.
    let again = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: "now"}}});
    patch(&fixture.configs(), CONFIG, again).await.unwrap();
    fixture.create_request().await;
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    fixture.create_secret(&fixture.token).await;
    let request = fixture.wait_for_request("LinkSent").await;
    fixture.realm.set_job_state(&job_of(&request), "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    let reads = || fixture.calls(harness::simulator::Operation::GetJob);
    let before = reads();
    eventually("the job is polled again", || reads() > before + 2).await;

    let expected = ["Normal AuthenticatorConfigNotReady", "Normal LinkSent", "Warning LinkExpired"];
    let events = fixture.wait_for_events("EnrollmentRequest", REQUEST, &expected).await;
    assert!(events.last().unwrap().note.starts_with("The link expired before a passkey was bound"), "{events:?}");
    let expected = ["Normal SecretNotFound", "Normal Available"];
    let events = fixture.wait_for_events("AuthenticatorConfig", CONFIG, &expected).await;
    assert!(events[0].note.contains("Secret beyond-identity does not exist in namespace"), "{events:?}");
}

/// The name of an event begins with that of its object, and has room for 253 characters.
#[tokio::test]
async fn objects_with_the_longest_names_have_events() {
    let (fixture, _operator) = Fixture::ready().await;
    for length in [236, 237, 253] {
        let name = "n".repeat(length);
        fixture.create_request_with(&name, json!({"identity": {"id": format!("nobody-{length}")}})).await;
        let event = fixture.wait_for_event(&name, "Warning IdentityNotFound").await;
        assert!(event.note.contains("identity"), "{event:?}");
    }
}
