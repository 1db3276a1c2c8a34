//! Which configurations a provider config lets its namespaces create: types, invoke URLs and trusted origins.

use harness::simulator::Operation;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, History, JANE, REQUEST, conditions, job_of, message, patch, reason, refusal};

/// A spec of an `embedded` configuration, whose links lead to this address.
fn embedded(invoke_url: &str) -> Value {
    json!({"config": {"type": "embedded", "invokeURL": invoke_url, "invocationType": "automatic"}})
}

async fn allow(fixture: &Fixture, spec: Value) {
    patch(&fixture.providers(), &fixture.provider, json!({ "spec": spec })).await.unwrap();
}

fn sentence(fixture: &Fixture, field: &str, allowed_by: &str) -> String {
    format!(
        "ClusterProviderConfig {} does not allow {field}; correct it, or ask the cluster's admins for {allowed_by} there",
        fixture.provider
    )
}

#[tokio::test]
async fn embedded_configuration_needs_an_allowed_type_and_invoke_url() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    fixture.create_config_with(embedded("https://evil.example/bind")).await;
    fixture.create_request().await;
    let history = History::of(&fixture.configs(), CONFIG).await;

    let config = history.first_with_reason("ConfigNotAllowed").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(message(&config), sentence(&fixture, "spec.config.type embedded", "spec.allowedConfigTypes"));

    allow(&fixture, json!({"allowedConfigTypes": ["hosted_web", "embedded"]})).await;
    let invoke_url = sentence(&fixture, "the address in spec.config.invokeURL", "spec.allowedInvokeURLs");
    history.first("the invoke URL is not allowed", |config| message(config) == invoke_url).await;
    allow(&fixture, json!({"allowedInvokeURLs": ["https://app.example.com"]})).await;
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    assert_eq!((fixture.calls(Operation::CreateConfig), fixture.mailed()), (0, vec![]));

    patch(&fixture.configs(), CONFIG, json!({"spec": embedded("https://app.example.com/bind")})).await.unwrap();
    history.first_with_reason("Available").await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(fixture.mailed(), vec![job]);
}

#[tokio::test]
async fn withdrawn_permission_stops_sends_and_keeps_links_revocable() {
    let fixture = Fixture::new().await;
    allow(&fixture, json!({"allowedConfigTypes": ["embedded"], "allowedInvokeURLs": ["https://app.example.com"]}))
        .await;
    let _operator = fixture.start().await;
    fixture.create_config_with(embedded("https://app.example.com/bind")).await;
    fixture.wait_for_config("Available").await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);

    allow(&fixture, json!({"allowedInvokeURLs": ["https://other.example.com"]})).await;
    fixture.wait_for_config("ConfigNotAllowed").await;
    patch(&fixture.requests(), REQUEST, json!({"spec": {"attempt": 2}})).await.unwrap();
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    fixture.create_request_of("second", JANE).await;
    fixture.wait_for_request_named("second", "AuthenticatorConfigNotReady").await;
    assert_eq!(fixture.mailed(), vec![first.clone()]);

    patch(&fixture.requests(), REQUEST, json!({"spec": {"revoked": true}})).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    assert_eq!(
        (fixture.remote_state(&first).as_str(), reason(&fixture.wait_for_config("ConfigNotAllowed").await)),
        ("REVOKED", "ConfigNotAllowed")
    );
}

#[tokio::test]
async fn listed_origins_restrict_trusted_origins() {
    let fixture = Fixture::new().await;
    allow(&fixture, json!({"allowedTrustedOrigins": ["https://app.example.com"]})).await;
    let _operator = fixture.start().await;
    fixture.create_config_with(json!({"config": {"trustedOrigins": ["https://evil.example"]}})).await;
    let config = fixture.wait_for_config("ConfigNotAllowed").await;
    assert_eq!(
        message(&config),
        sentence(&fixture, "an origin in spec.config.trustedOrigins", "spec.allowedTrustedOrigins")
    );
    assert_eq!(fixture.calls(Operation::CreateConfig), 0);
    let corrected = json!({"spec": {"config": {"trustedOrigins": ["https://app.example.com"]}}});
    patch(&fixture.configs(), CONFIG, corrected).await.unwrap();
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn allowed_addresses_to_invoke_are_plain_origins() {
    let fixture = Fixture::new().await;
    for wrong in
        ["https://app.example.com/path", "https://user@app.example.com", "https://a.example\\@b", "app.example.com"]
    {
        let change = json!({"spec": {"allowedInvokeURLs": [wrong]}});
        let refused = refusal(patch(&fixture.providers(), &fixture.provider, change).await);
        assert!(refused.contains("spec.allowedInvokeURLs[0]"), "{wrong}: {refused}");
    }
}
