//! A configuration that is there already is taken over by its id, or only observed.

use beyond_identity_operator::authenticator_config::mark::Mark;
use harness::simulator::{Config, Operation};
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, History, REQUEST, conditions, eventually, message, patch, refusal, wait_until_gone,
};

/// A configuration that somebody has made elsewhere.
fn theirs(fixture: &Fixture, name: Option<&str>) -> String {
    let mut config = Config { display_name: name.map(str::to_owned), ..Config::of_type("hosted_web") };
    config.config.insert("trusted_origins".to_owned(), json!(["https://theirs.example.com"]));
    fixture.realm.add_config(config.clone());
    config.id
}

fn mark(fixture: &Fixture, name: &str) -> String {
    Mark::of(CLUSTER, &fixture.namespace, name).to_string()
}

/// A spec that takes this configuration over, and sets nothing but its origins.
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

/// The calls that write to configurations.
fn writes(fixture: &Fixture) -> Vec<Operation> {
    let reads = [Operation::GetConfig, Operation::ListConfigs];
    fixture.realm.requests().iter().map(|call| call.operation).filter(|operation| !reads.contains(operation)).collect()
}

#[tokio::test]
async fn what_is_taken_over_gets_the_mark_behind_the_name_that_was_there_and_goes_with_its_object() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let id = theirs(&fixture, Some("Theirs"));
    let _operator = fixture.start().await;
    fixture.create_config_with(managing(&id)).await;
    let config = fixture.config_says("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&id));
    let named = format!("Theirs {}", mark(&fixture, CONFIG));
    assert_eq!(fixture.realm.config(&id).unwrap().display_name, Some(named.clone()));
    let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
    let config = json!({"type": "hosted_web", "trusted_origins": ["https://app.example.com"]});
    assert_eq!(call.json(), json!({"authenticator_config": {"display_name": named, "config": config}}));
    assert_eq!(fixture.realm.requests_of(Operation::ListConfigs), [], "it is known by its id");

    fixture.delete_config().await;
    wait_until_gone(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn one_without_a_name_is_marked_too() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let id = theirs(&fixture, None);
    let _operator = fixture.start().await;
    fixture.create_config_with(managing(&id)).await;
    fixture.config_says("Available").await;
    assert_eq!(fixture.realm.config(&id).unwrap().display_name, Some(mark(&fixture, CONFIG)));
}

#[tokio::test]
async fn another_resources_configuration_is_not_taken_until_its_mark_is_taken_out() {
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
    let says = history.says("ConfigurationInUse").await;
    assert_eq!(conditions(&says), "Reconciling=True Ready=False");
    assert_eq!(
        message(&says),
        format!(
            "Authenticator configuration {} has the ownership mark {} of another object, so it is neither changed \
             nor deleted; if that object no longer exists, remove the mark from the display name in Beyond Identity",
            first.id,
            mark(&fixture, CONFIG)
        )
    );
    let stalled = history.first("stalled", |config| conditions(config) == "Stalled=True Ready=False").await;
    assert_eq!(message(&stalled), message(&says));
    assert_eq!(stalled.status.unwrap().id, None);
    assert_eq!(fixture.realm.configs(), std::slice::from_ref(&first), "nothing is written to it");

    // Its owner goes, and leaves it.
    fixture.let_config_go().await;
    fixture.realm.edit_config(&first.id, |config| config.display_name = Some("Hosted web".to_owned()));
    let second = fixture.named_config_says("second", "Available").await;
    assert_eq!(second.status.unwrap().id.as_ref(), Some(&first.id));
    let named = format!("Hosted web {}", mark(&fixture, "second"));
    assert_eq!(fixture.realm.config(&first.id).unwrap().display_name, Some(named));
}

#[tokio::test]
async fn of_two_that_take_one_over_the_first_keeps_it_and_both_may_go() {
    let (fixture, _operator) = Fixture::ready().await;
    allow(&fixture, true).await;
    let first = fixture.realm.configs().remove(0);
    let second = fixture.config_with("second", managing(&first.id));
    fixture.configs().create(&Default::default(), &second).await.unwrap();
    fixture.named_config_says("second", "ConfigurationInUse").await;
    fixture.configs().delete("second", &Default::default()).await.unwrap();
    wait_until_gone(fixture.configs(), "second").await;
    assert_eq!(fixture.realm.configs(), [first]);
    assert_eq!(writes(&fixture), [Operation::CreateConfig]);
}

#[tokio::test]
async fn what_is_observed_is_shared_enrolled_with_and_never_written() {
    let fixture = Fixture::new().await;
    let stranger = format!("Theirs {}", Mark::of("elsewhere", "identity", "theirs"));
    let id = theirs(&fixture, Some(&stranger));
    let before = fixture.realm.configs();
    let _operator = fixture.start().await;
    fixture.create_config_with(observing(&id)).await;
    let config = fixture.config_says("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&id));
    fixture.create_request().await;
    fixture.request_says("LinkSent").await;
    // Nobody waits for those who use what stays anyway.
    fixture.delete_config().await;
    wait_until_gone(fixture.configs(), CONFIG).await;
    assert_eq!(writes(&fixture), [Operation::GetIdentity, Operation::ListJobs, Operation::CreateJob]);
    assert_eq!(fixture.realm.configs(), before);
    fixture.delete_request(REQUEST).await;
}

#[tokio::test]
async fn to_observe_one_has_to_say_which() {
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
async fn a_provider_config_for_many_namespaces_has_to_allow_it() {
    let fixture = Fixture::new().await;
    let id = theirs(&fixture, Some("Theirs"));
    let before = fixture.realm.configs();
    let _operator = fixture.start().await;
    fixture.create_config_with(managing(&id)).await;
    let config = fixture.config_says("ResourceIDNotAllowed").await;
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
    fixture.config_says("Available").await;
    // Taken back, it is about what is taken over as well: it is left.
    allow(&fixture, false).await;
    let deleted = fixture.change_config(json!({"config": {"trustedOrigins": []}})).await.unwrap();
    assert!(deleted.metadata.deletion_timestamp.is_none());
    fixture.config_says("ResourceIDNotAllowed").await;
    fixture.delete_config().await;
    let config = fixture.config_says("DeletionBlocked").await;
    assert!(message(&config).contains("does not allow adopting a configuration by its id"), "{}", message(&config));
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
}

#[tokio::test]
async fn one_that_is_not_there_or_of_another_type_is_said_and_can_be_corrected() {
    let fixture = Fixture::new().await;
    allow(&fixture, true).await;
    let console = Config::of_type("console");
    // One without the fields of its type.
    fixture.realm.allow_any_answer();
    fixture.realm.add_config(console.clone());
    let id = theirs(&fixture, Some("Theirs"));
    let _operator = fixture.start().await;
    fixture.create_config_with(managing("mistyped")).await;
    let config = fixture.config_says("ConfigurationNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        "Authenticator configuration mistyped does not exist in Beyond Identity; correct spec.resourceID, or remove \
         it to have one created"
    );
    fixture.change_config(json!({"resourceID": console.id})).await.unwrap();
    let config = fixture.config_says("TypeMismatch").await;
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
    fixture.config_says("Available").await;
    // From now on it stays.
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
    eventually("only one was written to", || fixture.calls(Operation::UpdateConfig) == 1).await;
    assert_eq!(fixture.realm.config(&console.id), Some(console));
}
