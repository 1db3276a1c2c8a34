//! Who waits for another object is woken when that changes: under these settings nothing is looked at again by itself.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, Operator, REQUEST, conditions, never_by_itself, patch, wait_for};

const STALLED: &str = "Stalled=True Ready=False";

/// Waits until Jane's request is Stalled for this reason, and will not be looked at again by itself: the first look begins
/// the grace period and comes back soon, and one after a change of the spec finds that it is over.
async fn request_waits(fixture: &Fixture, reason: &str) {
    let request = fixture.request_says(reason).await;
    assert_eq!(conditions(&request), STALLED);
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.request_is_looked_at().await;
}

/// The same of an AuthenticatorConfig.
async fn config_waits(fixture: &Fixture, reason: &str) {
    let config = fixture.config_says(reason).await;
    assert_eq!(conditions(&config), STALLED);
    patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
    wait_for(
        fixture.configs(),
        CONFIG,
        "is looked at again",
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
    Fixture::ready_with(never_by_itself).await
}

#[tokio::test]
async fn a_request_hears_of_its_configuration() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(never_by_itself).await;
    fixture.create_request().await;
    request_waits(&fixture, "AuthenticatorConfigNotFound").await;
    // It is there, and not Ready; then it is.
    fixture.realm.pause();
    fixture.create_config().await;
    fixture.request_says("AuthenticatorConfigNotReady").await;
    fixture.realm.resume();
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_hears_of_its_provider_config() {
    let fixture = Fixture::new().await;
    fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
    let _operator = fixture.start_with(never_by_itself).await;
    fixture.create_config().await;
    config_waits(&fixture, "ProviderConfigNotFound").await;
    // One that is made, and then one that is changed.
    fixture.create_provider(|provider| provider["spec"]["allowedNamespaces"]["names"] = json!([])).await;
    config_waits(&fixture, "NamespaceNotAllowed").await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": [fixture.namespace]}})).await;
    fixture.config_says("Available").await;
}

#[tokio::test]
async fn a_request_hears_of_the_provider_config_of_its_configuration() {
    let (fixture, _operator) = ready().await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": []}})).await;
    // Nobody has this id, in case the operator's watch is a little behind.
    fixture.create_request_with(REQUEST, json!({"identity": {"id": "nobody"}})).await;
    request_waits(&fixture, "NamespaceNotAllowed").await;
    fixture.change_request(json!({"identity": {"id": JANE}})).await.unwrap();
    fixture.request_is_looked_at().await;
    change_provider(&fixture, json!({"allowedNamespaces": {"names": [fixture.namespace]}})).await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_hears_of_its_secret() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let _operator = fixture.start_with(never_by_itself).await;
    fixture.create_config().await;
    config_waits(&fixture, "SecretNotFound").await;
    fixture.create_secret("of-another-time").await;
    config_waits(&fixture, "Unauthorized").await;
    fixture.set_token(&fixture.token).await;
    fixture.config_says("Available").await;
}

#[tokio::test]
async fn a_request_hears_of_the_secret_that_leads_to_its_realm() {
    let (fixture, _operator) = ready().await;
    fixture.set_token("of-another-time").await;
    // Nor the one before, in case the operator's watch is a little behind.
    fixture.realm.set_token("of-yet-another-time");
    fixture.create_request().await;
    request_waits(&fixture, "Unauthorized").await;
    fixture.realm.set_token(&fixture.token);
    fixture.set_token(&fixture.token).await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_duplicate_hears_that_the_other_one_has_gone() {
    let (fixture, _operator) = ready().await;
    fixture.create_request_of("first", JANE).await;
    fixture.named_request_says("first", "LinkSent").await;
    fixture.create_request().await;
    request_waits(&fixture, "DuplicateRequest").await;
    fixture.delete_request("first").await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 2);
}
