//! An AuthenticatorConfig's whole life: made once, taken over, brought to the spec, deleted.

use beyond_identity_operator::authenticator_config::mark::Mark;
use harness::simulator::{Config, Effect, Operation, Reply, Rule};
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use crate::fixture::{CLUSTER, CONFIG, Fixture, History, conditions, eventually, message, patch};

/// What the configuration's display name ends in.
fn mark(place: &Fixture) -> String {
    Mark::of(CLUSTER, &place.namespace, CONFIG).to_string()
}

/// The configuration that the fixture's AuthenticatorConfig asks for, as somebody else may have made it.
fn remote(display_name: String) -> Config {
    let config = json!({
        "type": "hosted_web",
        "authentication_methods": [{"type": "webauthn_passkey"}],
        "trusted_origins": ["https://app.example.com"],
    });
    Config { display_name: Some(display_name), config: config.as_object().unwrap().clone(), ..Config::of_type("") }
}

#[tokio::test]
async fn a_configuration_is_made_with_its_mark() {
    let place = Fixture::new().await;
    let history = History::of(&place.configs(), CONFIG).await;
    let _operator = place.start().await;
    place.create_config().await;
    let config = place.config_says("Available").await;

    let remotes = place.realm.configs();
    let [remote] = &remotes[..] else { panic!("not one configuration: {remotes:?}") };
    assert_eq!(remote.display_name, Some(format!("Hosted web {}", mark(&place))));
    let status = config.status.clone().unwrap();
    assert_eq!(status.id.as_ref(), Some(&remote.id));
    assert_eq!(status.tenant_id.as_deref(), Some(place.realm.tenant()));
    assert_eq!(status.realm_id.as_deref(), Some(place.realm.realm()));
    assert_eq!(status.endpoint.as_deref(), Some(place.realm.url()));
    assert_eq!(status.create, None);
    assert_eq!(status.observed_generation, config.metadata.generation);
    assert_eq!(conditions(&config), "Ready=True");
    assert_eq!(
        message(&config),
        format!("Configuration exists in realm {} of tenant {}", place.realm.realm(), place.realm.tenant())
    );
    assert_eq!(config.finalizers(), ["beyondidentity.dev/finalizer"]);
    let calls = place.realm.requests();
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    // One list alone may miss what is there.
    assert_eq!(operations, [Operation::ListConfigs, Operation::ListConfigs, Operation::CreateConfig]);
    assert_eq!(
        calls[2].json(),
        json!({"authenticator_config": {"display_name": remote.display_name, "config": remote.config}})
    );
    // Created; finalizer; announced; made.
    eventually("the watch has told of all", || history.versions().len() == 4).await;
}

#[tokio::test]
async fn a_configuration_that_bears_the_mark_is_taken_over() {
    let place = Fixture::new().await;
    let remote = remote(format!("Hosted web {}", mark(&place)));
    place.realm.add_config(Config::of_type("hosted_web"));
    place.realm.add_config(remote.clone());
    let _operator = place.start().await;
    place.create_config().await;
    let config = place.config_says("Available").await;
    assert_eq!(config.status.unwrap().id, Some(remote.id));
    assert_eq!(place.realm.requests_of(Operation::CreateConfig), []);
    assert_eq!(place.realm.requests_of(Operation::UpdateConfig), [], "it was as asked for");
}

#[tokio::test]
async fn a_configuration_that_bears_the_mark_and_that_one_list_misses_is_not_made_again() {
    let place = Fixture::new().await;
    let remote = remote(format!("Hosted web {}", mark(&place)));
    place.realm.add_config(remote.clone());
    let empty = Reply::json(200, &json!({"authenticator_configs": [], "total_size": 0}));
    place.realm.fault(Rule::new(Effect::Answer(empty)).on(Operation::ListConfigs).once());
    let _operator = place.start().await;
    place.create_config().await;
    let config = place.config_says("Available").await;
    assert_eq!(config.status.unwrap().id, Some(remote.id));
    assert_eq!(place.realm.requests_of(Operation::CreateConfig), []);
}

#[tokio::test]
async fn what_is_taken_over_is_brought_to_the_spec() {
    let place = Fixture::new().await;
    let mut other = remote(mark(&place));
    other.config.insert("trusted_origins".to_owned(), json!([]));
    place.realm.add_config(other.clone());
    let _operator = place.start().await;
    place.create_config().await;
    let config = place.config_says("Available").await;
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&other.id));
    assert_eq!(
        place.realm.config(&other.id).unwrap(),
        Config { id: other.id, ..remote(format!("Hosted web {}", mark(&place))) }
    );
    let calls: Vec<_> = place.realm.requests().iter().map(|call| call.operation).collect();
    // Once to know it, since a list lags, and once more just before it is changed.
    assert_eq!(calls, [Operation::ListConfigs, Operation::GetConfig, Operation::GetConfig, Operation::UpdateConfig]);
}

#[tokio::test]
async fn a_change_of_the_spec_is_a_patch_of_what_differs() {
    let (place, _operator) = Fixture::ready().await;
    let made = place.realm.configs()[0].clone();
    let change = json!({"spec": {"config": {"trustedOrigins": ["https://other.example.com"]}}});
    let generation = patch(&place.configs(), CONFIG, change).await.unwrap().metadata.generation;
    let config = crate::fixture::wait_for(place.configs(), CONFIG, "has been looked at", move |config| {
        config.status.as_ref().is_some_and(|status| status.observed_generation == generation)
    })
    .await;
    assert_eq!(conditions(&config), "Ready=True");

    let patches = place.realm.requests_of(Operation::UpdateConfig);
    let [call] = &patches[..] else { panic!("not one PATCH: {patches:?}") };
    assert_eq!(
        call.json(),
        json!({"authenticator_config": {
            "config": {"type": "hosted_web", "trusted_origins": ["https://other.example.com"]},
        }})
    );
    assert!(call.path.ends_with(&made.id), "{}", call.path);
    let now = &place.realm.configs()[0];
    assert_eq!(now.display_name, made.display_name);
    assert_eq!(now.config["authentication_methods"], made.config["authentication_methods"]);
    assert_eq!(now.config["trusted_origins"], json!(["https://other.example.com"]));
}

#[tokio::test]
async fn a_configuration_goes_with_its_object() {
    let (place, _operator) = Fixture::ready().await;
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
    assert_eq!(place.calls(Operation::DeleteConfig), 1);
}

#[tokio::test]
async fn a_configuration_that_is_gone_already_holds_nothing_up() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.remove_config(&place.realm.configs()[0].id);
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    gone(&place).await;
    assert_eq!(place.realm.requests_of(Operation::DeleteConfig), []);
}

#[tokio::test]
async fn a_deletion_that_the_service_refuses_says_so_and_is_tried_again() {
    let (place, operator) = Fixture::ready().await;
    let refused = harness::simulator::Reply::error(400, "bad_request", "an application still uses it");
    let rule = place.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig));
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let config = place.config_says("DeletionBlocked").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert_eq!(
        message(&config),
        format!(
            "Deletion is waiting because authenticator configuration {} is not deleted in Beyond Identity yet: \
             DELETE authenticator-configs/{{id}} was refused as invalid (400): an application still uses it",
            place.realm.configs()[0].id
        )
    );
    place.realm.remove_fault(rule);
    // Refused, it is tried again at the resync interval, or by the next operator.
    operator.stop().await;
    let _next = place.start().await;
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
}

#[tokio::test]
async fn a_configuration_that_bears_anothers_mark_is_left_alone() {
    let (place, _operator) = Fixture::ready().await;
    let id = place.realm.configs()[0].id.clone();
    let stranger = Mark::of("elsewhere", "identity", "theirs").to_string();
    place.realm.edit_config(&id, |config| config.display_name = Some(stranger.clone()));
    let change = json!({"spec": {"displayName": "Another name"}});
    patch(&place.configs(), CONFIG, change).await.unwrap();
    let config = place.config_says("ConfigurationInUse").await;
    assert!(message(&config).contains(&format!("Authenticator configuration {id} has the ownership mark {stranger}")));
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    gone(&place).await;
    assert_eq!(place.realm.configs().len(), 1);
    assert_eq!(place.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(place.realm.requests_of(Operation::DeleteConfig), []);
}

async fn gone(place: &Fixture) {
    crate::fixture::wait_until_gone(place.configs(), CONFIG).await;
}
