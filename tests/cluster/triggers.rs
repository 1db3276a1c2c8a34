//! A change of an object enqueues the objects that wait for it. Under these settings no timer does.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, Operator, REQUEST, conditions, patch, wait_for, without_timers};

const STALLED: &str = "Stalled=True Ready=False";

/// Waits until Jane's request is Stalled for this reason, and is not requeued by a timer. The first reconcile starts
/// the grace period and requeues soon. The spec change causes a second one, which finds the grace period ended.
async fn request_is_stalled(fixture: &Fixture, reason: &str) {
    let request = fixture.wait_for_request(reason).await;
    assert_eq!(conditions(&request), STALLED);
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.wait_until_request_is_reconciled().await;
}

/// The same for the AuthenticatorConfig.
async fn config_is_stalled(fixture: &Fixture, reason: &str) {
    let config = fixture.wait_for_config(reason).await;
    assert_eq!(conditions(&config), STALLED);
    patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
    wait_for(
        fixture.configs(),
        CONFIG,
        "is reconciled again",
        |config: &beyond_identity_operator::api::AuthenticatorConfig| {
            config.status.as_ref().and_then(|status| status.observed_generation) == config.metadata.generation
        },
    )
    .await;
}

async fn change_provider(fixture: &Fixture, spec: Value) {
    patch(&fixture.providers(), &fixture.provider, json!({"spec": spec})).await.unwrap();
}

async fn ready() -> (Fixture, Operator) {
    Fixture::ready_with(without_timers).await
}

#[tokio::test]
async fn configuration_change_enqueues_its_requests() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(without_timers).await;
    fixture.create_request().await;
    request_is_stalled(&fixture, "AuthenticatorConfigNotFound").await;
    // The configuration exists, first not Ready and then Ready.
    fixture.realm.pause();
    fixture.create_config().await;
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    fixture.realm.resume();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn provider_config_change_enqueues_its_configurations() {
    let fixture = Fixture::new().await;
    fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
    let _operator = fixture.start_with(without_timers).await;
    fixture.create_config().await;
    config_is_stalled(&fixture, "ProviderConfigNotFound").await;
    // The provider config is created, and then changed.
    fixture.create_provider(|provider| provider["spec"]["allowedNamespaces"]["names"] = json!([])).await;
    config_is_stalled(&fixture, "NamespaceNotAllowed").await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": [fixture.namespace]}})).await;
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn provider_config_change_enqueues_requests() {
    let (fixture, _operator) = ready().await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": []}})).await;
    // No identity has this id, so nothing is sent if the operator's watch is behind.
    fixture.create_request_with(REQUEST, json!({"identity": {"id": "nobody"}})).await;
    request_is_stalled(&fixture, "NamespaceNotAllowed").await;
    fixture.change_request(json!({"identity": {"id": JANE}})).await.unwrap();
    fixture.wait_until_request_is_reconciled().await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": [fixture.namespace]}})).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn secret_change_enqueues_configurations() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let _operator = fixture.start_with(without_timers).await;
    fixture.create_config().await;
    config_is_stalled(&fixture, "SecretNotFound").await;
    fixture.create_secret("of-another-time").await;
    config_is_stalled(&fixture, "Unauthorized").await;
    fixture.set_token(&fixture.token).await;
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn secret_change_enqueues_requests() {
    let (fixture, _operator) = ready().await;
    fixture.set_token("of-another-time").await;
    // The previous token is rejected too, so nothing is sent if the operator's watch is behind.
    fixture.realm.set_token("of-yet-another-time");
    fixture.create_request().await;
    request_is_stalled(&fixture, "Unauthorized").await;
    fixture.realm.set_token(&fixture.token);
    fixture.set_token(&fixture.token).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn request_deletion_enqueues_its_duplicate() {
    let (fixture, _operator) = ready().await;
    fixture.create_request_of("first", JANE).await;
    fixture.wait_for_request_named("first", "LinkSent").await;
    fixture.create_request().await;
    request_is_stalled(&fixture, "DuplicateRequest").await;
    fixture.delete_request("first").await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 2);
}
