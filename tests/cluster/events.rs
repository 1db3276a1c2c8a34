//! Events: one for each turn that an object takes, Warning where a person should look.

use crate::fixture::{CONFIG, Fixture, REQUEST, eventually, following, job_of, patch};

#[tokio::test]
async fn each_turn_is_one_event() {
    let place = Fixture::new().await;
    place.delete_secret().await;
    let _operator = place.start_with(following).await;
    place.create_config().await;
    place.config_says("SecretNotFound").await;
    // More than one look at the missing Secret.
    patch(&place.configs(), CONFIG, serde_json::json!({"metadata": {"annotations": {"a": "b"}}})).await.unwrap();
    place.create_request().await;
    place.request_says("AuthenticatorConfigNotReady").await;
    place.create_secret(&place.token).await;
    let request = place.request_says("LinkSent").await;
    place.realm.set_job_state(&job_of(&request), "EXPIRED");
    place.request_says("LinkExpired").await;
    let reads = || place.calls(harness::simulator::Operation::GetJob);
    let before = reads();
    eventually("it was looked at again", || reads() > before + 2).await;

    let turns = ["Normal AuthenticatorConfigNotReady", "Normal LinkSent", "Warning LinkExpired"];
    let events = place.tells("EnrollmentRequest", REQUEST, &turns).await;
    assert!(events.last().unwrap().note.starts_with("The link expired before a passkey was bound"), "{events:?}");
    let turns = ["Warning SecretNotFound", "Normal Available"];
    let events = place.tells("AuthenticatorConfig", CONFIG, &turns).await;
    assert!(events[0].note.contains("Secret beyond-identity does not exist in namespace"), "{events:?}");
}
