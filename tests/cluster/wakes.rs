//! Who waits for another object is woken when that changes: under these settings nothing is looked at again by itself.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, Operator, REQUEST, conditions, never_by_itself, patch, wait_for};

const STALLED: &str = "Stalled=True Ready=False";

/// Waits until Jane's request is Stalled for this reason, and will not be looked at again by itself: the first look begins
/// the grace period and comes back soon, and one after a change of the spec finds that it is over.
async fn request_waits(place: &Fixture, reason: &str) {
    let request = place.request_says(reason).await;
    assert_eq!(conditions(&request), STALLED);
    place.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    place.request_is_looked_at().await;
}

/// The same of an AuthenticatorConfig.
async fn config_waits(place: &Fixture, reason: &str) {
    let config = place.config_says(reason).await;
    assert_eq!(conditions(&config), STALLED);
    patch(&place.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
    wait_for(
        place.configs(),
        CONFIG,
        "is looked at again",
        |config: &beyond_identity_operator::api::AuthenticatorConfig| {
            config.status.as_ref().and_then(|status| status.observed_generation) == config.metadata.generation
        },
    )
    .await;
}

async fn change_provider(place: &Fixture, spec: Value) {
    patch(&place.providers(), &place.provider, json!({"spec": spec})).await.unwrap();
}

async fn ready() -> (Fixture, Operator) {
    Fixture::ready_with(never_by_itself).await
}

#[tokio::test]
async fn a_request_hears_of_its_configuration() {
    let place = Fixture::new().await;
    let _operator = place.start_with(never_by_itself).await;
    place.create_request().await;
    request_waits(&place, "AuthenticatorConfigNotFound").await;
    // It is there, and not Ready; then it is.
    place.realm.pause();
    place.create_config().await;
    place.request_says("AuthenticatorConfigNotReady").await;
    place.realm.resume();
    place.request_says("LinkSent").await;
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_hears_of_its_provider_config() {
    let place = Fixture::new().await;
    place.providers().delete(&place.provider, &DeleteParams::default()).await.unwrap();
    let _operator = place.start_with(never_by_itself).await;
    place.create_config().await;
    config_waits(&place, "ProviderConfigNotFound").await;
    // One that is made, and then one that is changed.
    place.create_provider(|provider| provider["spec"]["allowedNamespaces"]["names"] = json!([])).await;
    config_waits(&place, "NamespaceNotAllowed").await;
    change_provider(&place, json!({"allowedNamespaces": {"names": [place.namespace]}})).await;
    place.config_says("Available").await;
}

#[tokio::test]
async fn a_request_hears_of_the_provider_config_of_its_configuration() {
    let (place, _operator) = ready().await;
    change_provider(&place, json!({"allowedNamespaces": {"names": []}})).await;
    // Nobody has this id, in case the operator's watch is a little behind.
    place.create_request_with(REQUEST, json!({"identity": {"id": "nobody"}})).await;
    request_waits(&place, "NamespaceNotAllowed").await;
    place.change_request(json!({"identity": {"id": JANE}})).await.unwrap();
    place.request_is_looked_at().await;
    change_provider(&place, json!({"allowedNamespaces": {"names": [place.namespace]}})).await;
    place.request_says("LinkSent").await;
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_hears_of_its_secret() {
    let place = Fixture::new().await;
    place.delete_secret().await;
    let _operator = place.start_with(never_by_itself).await;
    place.create_config().await;
    config_waits(&place, "SecretNotFound").await;
    place.create_secret("of-another-time").await;
    config_waits(&place, "Unauthorized").await;
    place.set_token(&place.token).await;
    place.config_says("Available").await;
}

#[tokio::test]
async fn a_request_hears_of_the_secret_that_leads_to_its_realm() {
    let (place, _operator) = ready().await;
    place.set_token("of-another-time").await;
    // Nor the one before, in case the operator's watch is a little behind.
    place.realm.set_token("of-yet-another-time");
    place.create_request().await;
    request_waits(&place, "Unauthorized").await;
    place.realm.set_token(&place.token);
    place.set_token(&place.token).await;
    place.request_says("LinkSent").await;
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn a_duplicate_hears_that_the_other_one_has_gone() {
    let (place, _operator) = ready().await;
    place.create_request_of("first", JANE).await;
    place.named_request_says("first", "LinkSent").await;
    place.create_request().await;
    request_waits(&place, "DuplicateRequest").await;
    place.delete_request("first").await;
    place.request_says("LinkSent").await;
    assert_eq!(place.mailed().len(), 2);
}
