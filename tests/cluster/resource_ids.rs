//! An existing configuration is adopted by its id, or only observed.

use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use harness::simulator::{Config, Operation};
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, History, REQUEST, conditions, eventually, message, patch, refusal, wait_until_deleted,
};

/// A configuration that was created outside the operator.
fn unmanaged_config(fixture: &Fixture, name: Option<&str>) -> String {
    let mut config = Config { display_name: name.map(str::to_owned), ..Config::of_type("hosted_web") };
    config.config.insert("trusted_origins".to_owned(), json!(["https://theirs.example.com"]));
    fixture.realm.add_config(config.clone());
    config.id
}

fn mark(fixture: &Fixture, name: &str) -> String {
    OwnershipMark::of(CLUSTER, &fixture.namespace, name).to_string()
}

/// A spec that adopts this configuration, and sets only its origins.
fn managing(id: &str) -> Value {
    json!({
        "resourceID": id,
        "displayName": null,
        "config": {"authenticationMethods": null, "trustedOrigins": ["https://app.example.com"]},
    })
}

fn observing(id: &str) -> Value {
    json!({"resourceID": id, "managementPolicy": "Observe"})
}

async fn allow(fixture: &Fixture, allowed: bool) {
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowResourceIDs": allowed}})).await.unwrap();
}

/// All calls but reads of configurations.
fn writes(fixture: &Fixture) -> Vec<Operation> {
    let reads = [Operation::GetConfig, Operation::ListConfigs];
    fixture.realm.requests().iter().map(|call| call.operation).filter(|operation| !reads.contains(operation)).collect()
}

#[tokio::test]
async fn adopted_configuration_is_marked_and_stays_after_its_object() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let id = unmanaged_config(&fixture, Some("Theirs"));
    let _operator = fixture.start().await;
    fixture.create_config_with(managing(&id)).await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&id));
    let named = format!("Theirs {}", mark(&fixture, CONFIG));
    assert_eq!(fixture.realm.config(&id).unwrap().display_name, Some(named.clone()));
    let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else {
        panic!("there is not exactly one PATCH")
    };
    let config = json!({"type": "hosted_web", "trusted_origins": ["https://app.example.com"]});
    assert_eq!(call.json(), json!({"authenticator_config": {"display_name": named, "config": config}}));
    assert_eq!(fixture.realm.requests_of(Operation::ListConfigs), [], "an adopted configuration is read by its id");

    fixture.delete_config().await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert!(fixture.realm.config(&id).is_some(), "it existed before its object");
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
    let event = fixture.wait_for_config_event("Normal RemoteResourceRetained").await;
    assert_eq!(
        event.note,
        format!(
            "Authenticator configuration {id} stays in Beyond Identity because spec.resourceID names it and \
             spec.deletionPolicy is not Delete"
        )
    );
}

#[tokio::test]
async fn deletion_policy_of_an_adopted_configuration_can_be_explicit() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let id = unmanaged_config(&fixture, Some("Theirs"));
    let _operator = fixture.start().await;
    let mut spec = managing(&id);
    spec["deletionPolicy"] = json!("Delete");
    fixture.create_config_with(spec).await;
    fixture.wait_for_config("Available").await;
    fixture.delete_config().await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn deletion_policy_without_a_value_is_stored_without_one() {
    let fixture = Fixture::new().await;
    let stored = fixture.create_config().await;
    assert_eq!(json!(stored)["spec"].get("deletionPolicy"), None);
}

#[tokio::test]
async fn adopted_configuration_without_a_name_is_marked_too() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let id = unmanaged_config(&fixture, None);
    let _operator = fixture.start().await;
    fixture.create_config_with(managing(&id)).await;
    fixture.wait_for_config("Available").await;
    assert_eq!(fixture.realm.config(&id).unwrap().display_name, Some(mark(&fixture, CONFIG)));
}

#[tokio::test]
async fn configuration_of_another_owner_is_adopted_after_mark_removal() {
    const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.grace_period = GRACE;
        settings.resync_interval = GRACE;
    })
    .await;
    allow(&fixture, true).await;
    let first = fixture.realm.configs().remove(0);
    let history = History::of(&fixture.configs(), "second").await;
    let second = fixture.config_with("second", managing(&first.id));
    fixture.configs().create(&Default::default(), &second).await.unwrap();
    let in_use = history.first_with_reason("ConfigurationInUse").await;
    assert_eq!(conditions(&in_use), "Reconciling=True Ready=False");
    assert_eq!(
        message(&in_use),
        format!(
            "Authenticator configuration {} has the ownership mark {} of another object, so it is neither changed \
             nor deleted; set spec.managementPolicy to Observe to use it, or, only if that object no longer exists, \
             remove the mark from the display name in Beyond Identity",
            first.id,
            mark(&fixture, CONFIG)
        )
    );
    let stalled = history.first("stalled", |config| conditions(config) == "Stalled=True Ready=False").await;
    assert_eq!(message(&stalled), message(&in_use));
    assert_eq!(stalled.status.unwrap().id, None);
    assert_eq!(fixture.realm.configs(), std::slice::from_ref(&first), "the configuration is not changed");

    // The owner is deleted and orphans the configuration.
    fixture.orphan_config().await;
    fixture.realm.edit_config(&first.id, |config| config.display_name = Some("Hosted web".to_owned()));
    let second = fixture.wait_for_config_named("second", "Available").await;
    assert_eq!(second.status.unwrap().id.as_ref(), Some(&first.id));
    let named = format!("Hosted web {}", mark(&fixture, "second"));
    assert_eq!(fixture.realm.config(&first.id).unwrap().display_name, Some(named));
}

#[tokio::test]
async fn second_adopter_is_refused_and_can_be_deleted() {
    let (fixture, _operator) = Fixture::ready().await;
    allow(&fixture, true).await;
    let first = fixture.realm.configs().remove(0);
    let second = fixture.config_with("second", managing(&first.id));
    fixture.configs().create(&Default::default(), &second).await.unwrap();
    fixture.wait_for_config_named("second", "ConfigurationInUse").await;
    fixture.configs().delete("second", &Default::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), "second").await;
    assert_eq!(fixture.realm.configs(), [first]);
    assert_eq!(writes(&fixture), [Operation::CreateConfig]);
}

#[tokio::test]
async fn observed_configuration_is_usable_and_never_written() {
    let fixture = Fixture::new().await;
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"sharedRealm": true}})).await.unwrap();
    let display_name = format!("Theirs {}", OwnershipMark::of("elsewhere", "identity", "theirs"));
    let id = unmanaged_config(&fixture, Some(&display_name));
    let before = fixture.realm.configs();
    let _operator = fixture.start().await;
    fixture.create_config_with(observing(&id)).await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&id));
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    // The deletion does not wait for referring requests, since the remote configuration stays.
    fixture.delete_config().await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(writes(&fixture), [Operation::GetIdentity, Operation::ListJobs, Operation::CreateJob]);
    assert_eq!(fixture.realm.configs(), before);
    fixture.delete_request(REQUEST).await;
}

#[tokio::test]
async fn observe_requires_a_valid_resource_id() {
    const SENTENCE: &str =
        "spec: Invalid value: managementPolicy Observe requires resourceID, the id of the configuration to observe";
    let fixture = Fixture::new().await;
    let message = refusal(fixture.try_create_config_with(json!({"managementPolicy": "Observe"})).await);
    assert!(message.contains(SENTENCE), "{message}");
    for id in ["", "a/b", "..", &"x".repeat(65)] {
        let message = refusal(fixture.try_create_config_with(observing(id)).await);
        assert!(message.contains("spec.resourceID: "), "{id}: {message}");
    }
    fixture.create_config_with(observing("an-id")).await;
}

#[tokio::test]
async fn adoption_requires_permission_of_the_provider_config() {
    let fixture = Fixture::new().await;
    let id = unmanaged_config(&fixture, Some("Theirs"));
    let before = fixture.realm.configs();
    let _operator = fixture.start().await;
    let mut spec = managing(&id);
    spec["deletionPolicy"] = json!("Delete");
    fixture.create_config_with(spec).await;
    let config = fixture.wait_for_config("ResourceIDNotAllowed").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not allow adopting a configuration by its id, which could belong to \
             another namespace; set spec.managementPolicy to Observe here, or spec.allowResourceIDs to true there \
             for all its namespaces",
            fixture.provider
        )
    );
    assert_eq!((fixture.realm.requests().len(), fixture.realm.configs()), (0, before));
    allow(&fixture, true).await;
    fixture.wait_for_config("Available").await;
    // Without the permission, an adopted configuration is no longer changed or deleted either.
    allow(&fixture, false).await;
    let changed = fixture.change_config(json!({"config": {"trustedOrigins": []}})).await.unwrap();
    assert!(changed.metadata.deletion_timestamp.is_none());
    fixture.wait_for_config("ResourceIDNotAllowed").await;
    fixture.delete_config().await;
    let config = fixture.wait_for_config("DeletionBlocked").await;
    assert!(message(&config).contains("does not allow adopting a configuration by its id"), "{}", message(&config));
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
}

#[tokio::test]
async fn missing_or_mistyped_resource_id_is_reported_and_correctable() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let console = Config::of_type("console");
    // `of_type` leaves out the fields of the type, which breaks the contract.
    fixture.realm.allow_any_answer();
    fixture.realm.add_config(console.clone());
    let id = unmanaged_config(&fixture, Some("Theirs"));
    let _operator = fixture.start().await;
    fixture.create_config_with(managing("mistyped")).await;
    let config = fixture.wait_for_config("ConfigurationNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        "Authenticator configuration mistyped does not exist in Beyond Identity; correct spec.resourceID, or remove \
         it to have one created"
    );
    fixture.change_config(json!({"resourceID": console.id})).await.unwrap();
    let config = fixture.wait_for_config("TypeMismatch").await;
    assert_eq!(conditions(&config), "Stalled=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "Authenticator configuration {} has the type console, but spec.config.type is hosted_web; correct \
             spec.config.type, or create another AuthenticatorConfig",
            console.id
        )
    );
    fixture.change_config(json!({"resourceID": id})).await.unwrap();
    fixture.wait_for_config("Available").await;
    // After the adoption the fields are immutable.
    for other in
        [json!({"resourceID": console.id}), json!({"resourceID": null}), json!({"config": {"type": "platform"}})]
    {
        let message = refusal(fixture.change_config(other).await);
        assert!(
            message.contains("spec.resourceID are immutable once the configuration was created or adopted"),
            "{message}"
        );
    }
    fixture.change_config(json!({"managementPolicy": "Observe"})).await.unwrap();
    eventually("only one configuration is written", || fixture.calls(Operation::UpdateConfig) == 1).await;
    assert_eq!(fixture.realm.config(&console.id), Some(console));
}
