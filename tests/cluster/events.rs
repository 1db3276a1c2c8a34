//! Events: one for each turn that an object takes, Warning where a person should look.

use crate::fixture::{CONFIG, Fixture, REQUEST, eventually, following, job_of, patch};

#[tokio::test]
async fn each_turn_is_one_event() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let _operator = fixture.start_with(following).await;
    fixture.create_config().await;
    fixture.config_says("SecretNotFound").await;
    // More than one look at the missing Secret.
    patch(&fixture.configs(), CONFIG, serde_json::json!({"metadata": {"annotations": {"a": "b"}}})).await.unwrap();
    fixture.create_request().await;
    fixture.request_says("AuthenticatorConfigNotReady").await;
    fixture.create_secret(&fixture.token).await;
    let request = fixture.request_says("LinkSent").await;
    fixture.realm.set_job_state(&job_of(&request), "EXPIRED");
    fixture.request_says("LinkExpired").await;
    let reads = || fixture.calls(harness::simulator::Operation::GetJob);
    let before = reads();
    eventually("it was looked at again", || reads() > before + 2).await;

    let turns = ["Normal AuthenticatorConfigNotReady", "Normal LinkSent", "Warning LinkExpired"];
    let events = fixture.tells("EnrollmentRequest", REQUEST, &turns).await;
    assert!(events.last().unwrap().note.starts_with("The link expired before a passkey was bound"), "{events:?}");
    let turns = ["Warning SecretNotFound", "Normal Available"];
    let events = fixture.tells("AuthenticatorConfig", CONFIG, &turns).await;
    assert!(events[0].note.contains("Secret beyond-identity does not exist in namespace"), "{events:?}");
}
