//! The lifecycle of an AuthenticatorConfig: created once, taken over, updated to the spec, deleted.

use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use harness::simulator::{Config, Effect, Operation, Reply, Rule};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use crate::fixture::{CLUSTER, CONFIG, Fixture, HIDDEN, History, conditions, eventually, message, patch};

/// The ownership mark, which ends the display name.
fn mark(fixture: &Fixture) -> String {
    OwnershipMark::of(CLUSTER, &fixture.namespace, CONFIG).to_string()
}

/// A remote configuration that matches the spec of the fixture's AuthenticatorConfig, with this display name.
fn remote(display_name: String) -> Config {
    let config = json!({
        "type": "hosted_web",
        "authentication_methods": [{"type": "webauthn_passkey"}],
        "trusted_origins": ["https://app.example.com"],
    });
    Config { display_name: Some(display_name), config: config.as_object().unwrap().clone(), ..Config::of_type("") }
}

#[tokio::test]
async fn configuration_is_created_with_ownership_mark() {
    let fixture = Fixture::new().await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;

    let remotes = fixture.realm.configs();
    let [remote] = &remotes[..] else { panic!("not one configuration: {remotes:?}") };
    assert_eq!(remote.display_name, Some(format!("Hosted web {}", mark(&fixture))));
    let status = config.status.clone().unwrap();
    assert_eq!(status.id.as_ref(), Some(&remote.id));
    assert_eq!(status.tenant_id.as_deref(), Some(fixture.realm.tenant()));
    assert_eq!(status.realm_id.as_deref(), Some(fixture.realm.realm()));
    assert_eq!(status.endpoint.as_deref(), Some(fixture.realm.url()));
    assert_eq!(status.create, None);
    assert_eq!(status.observed_generation, config.metadata.generation);
    assert_eq!(conditions(&config), "Ready=True");
    assert_eq!(
        message(&config),
        format!("Configuration exists in realm {} of tenant {}", fixture.realm.realm(), fixture.realm.tenant())
    );
    assert_eq!(config.finalizers(), ["beyondidentity.dev/finalizer"]);
    let calls = fixture.realm.requests();
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    // One list alone can miss an existing configuration.
    assert_eq!(operations, [Operation::ListConfigs, Operation::ListConfigs, Operation::CreateConfig]);
    assert_eq!(
        calls[2].json(),
        json!({"authenticator_config": {"display_name": remote.display_name, "config": remote.config}})
    );
    // Versions: created, finalizer, write-ahead record, Available.
    eventually("the watch has delivered all versions", || history.versions().len() == 4).await;
}

#[tokio::test]
async fn configuration_with_own_mark_is_taken_over() {
    let fixture = Fixture::new().await;
    let remote = remote(format!("Hosted web {}", mark(&fixture)));
    fixture.realm.add_config(Config::of_type("hosted_web"));
    fixture.realm.add_config(remote.clone());
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id, Some(remote.id));
    assert_eq!(fixture.realm.requests_of(Operation::CreateConfig), []);
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), [], "it already matches the spec");
}

#[tokio::test]
async fn taken_over_configuration_has_duplicates_in_an_event() {
    let fixture = Fixture::new().await;
    let (mut drifted, equal) = (remote(mark(&fixture)), remote(format!("Hosted web {}", mark(&fixture))));
    drifted.id = "0-the-lowest".to_owned();
    fixture.realm.add_config(drifted.clone());
    fixture.realm.add_config(equal.clone());
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&equal.id));
    let event = fixture.wait_for_config_event("Warning DuplicateConfiguration").await;
    assert_eq!(
        event.note,
        format!(
            "Several authenticator configurations have the ownership mark of this object: {} is used, and {} is left \
             alone; delete in Beyond Identity what status.id does not name, unless something still uses it",
            equal.id, drifted.id
        )
    );
    assert_eq!(fixture.realm.config(&drifted.id), Some(drifted));
}

#[tokio::test]
async fn configuration_missing_from_one_list_is_not_created_again() {
    let fixture = Fixture::new().await;
    let remote = remote(format!("Hosted web {}", mark(&fixture)));
    fixture.realm.add_config(remote.clone());
    let empty = Reply::json(200, &json!({"authenticator_configs": [], "total_size": 0}));
    fixture.realm.fault(Rule::new(Effect::Answer(empty)).on(Operation::ListConfigs).once());
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id, Some(remote.id));
    assert_eq!(fixture.realm.requests_of(Operation::CreateConfig), []);
}

#[tokio::test]
async fn configuration_taken_over_is_updated_to_the_spec() {
    let fixture = Fixture::new().await;
    let mut other = remote(mark(&fixture));
    other.config.insert("trusted_origins".to_owned(), json!([]));
    fixture.realm.add_config(other.clone());
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&other.id));
    assert_eq!(
        fixture.realm.config(&other.id).unwrap(),
        Config { id: other.id, ..remote(format!("Hosted web {}", mark(&fixture))) }
    );
    let calls: Vec<_> = fixture.realm.requests().iter().map(|call| call.operation).collect();
    // The first GET is needed because a list lags. The second GET precedes the PATCH.
    assert_eq!(calls, [Operation::ListConfigs, Operation::GetConfig, Operation::GetConfig, Operation::UpdateConfig]);
}

#[tokio::test]
async fn spec_change_patches_changed_fields() {
    let (fixture, _operator) = Fixture::ready().await;
    let before = fixture.realm.configs()[0].clone();
    let change = json!({"spec": {"config": {"trustedOrigins": ["https://other.example.com"]}}});
    let generation = patch(&fixture.configs(), CONFIG, change).await.unwrap().metadata.generation;
    let config = crate::fixture::wait_for(fixture.configs(), CONFIG, "is reconciled", move |config| {
        config.status.as_ref().is_some_and(|status| status.observed_generation == generation)
    })
    .await;
    assert_eq!(conditions(&config), "Ready=True");

    let patches = fixture.realm.requests_of(Operation::UpdateConfig);
    let [call] = &patches[..] else { panic!("not one PATCH: {patches:?}") };
    assert_eq!(
        call.json(),
        json!({"authenticator_config": {
            "config": {"type": "hosted_web", "trusted_origins": ["https://other.example.com"]},
        }})
    );
    assert!(call.path.ends_with(&before.id), "{}", call.path);
    let now = &fixture.realm.configs()[0];
    assert_eq!(now.display_name, before.display_name);
    assert_eq!(now.config["authentication_methods"], before.config["authentication_methods"]);
    assert_eq!(now.config["trusted_origins"], json!(["https://other.example.com"]));
}

#[tokio::test]
async fn configuration_is_deleted_with_its_object() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    assert_eq!(fixture.calls(Operation::DeleteConfig), 1);
}

#[tokio::test]
async fn missing_configuration_does_not_block_deletion() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.remove_config(&fixture.realm.configs()[0].id);
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(&fixture).await;
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
}

#[tokio::test]
async fn refused_deletion_is_reported_and_retried() {
    let (fixture, operator) = Fixture::ready().await;
    let refused = harness::simulator::Reply::error(400, "bad_request", "an application still uses it");
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig));
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let config = fixture.wait_for_config("DeletionBlocked").await;
    assert_eq!(conditions(&config), "Ready=True", "conditions are kept during deletion");
    assert_eq!(
        message(&config),
        format!(
            "Deletion is waiting because authenticator configuration {} is not deleted in Beyond Identity yet: \
             DELETE authenticator-configs/{{id}} was refused as invalid (400): code bad_request; {HIDDEN}",
            fixture.realm.configs()[0].id
        )
    );
    fixture.realm.remove_fault(rule);
    // A refused deletion is retried at the resync interval, or after a restart.
    operator.stop().await;
    let _next = fixture.start().await;
    wait_until_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn configuration_with_another_objects_mark_is_not_changed() {
    let (fixture, _operator) = Fixture::ready().await;
    let id = fixture.realm.configs()[0].id.clone();
    let other_mark = OwnershipMark::of("elsewhere", "identity", "theirs").to_string();
    fixture.realm.edit_config(&id, |config| config.display_name = Some(other_mark.clone()));
    let change = json!({"spec": {"displayName": "Another name"}});
    patch(&fixture.configs(), CONFIG, change).await.unwrap();
    let config = fixture.wait_for_config("ConfigurationInUse").await;
    assert!(
        message(&config).contains(&format!("Authenticator configuration {id} has the ownership mark {other_mark}"))
    );
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs().len(), 1);
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
}

async fn wait_until_deleted(fixture: &Fixture) {
    crate::fixture::wait_until_deleted(fixture.configs(), CONFIG).await;
}
