//! Fields that are taken out of the spec: what this object has set is unset, and nothing else.

use beyond_identity_operator::api::AuthenticatorConfig;
use harness::simulator::{Config, Effect, Operation, Reply, Rule};
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, History, SOON, conditions, eventually, message_of, patch, wait_for, wait_until_deleted,
};

/// A spec of the type `platform`, which the provider config allows.
async fn platform(fixture: &Fixture, roaming: Value) -> Value {
    let allowed = json!({"allowedConfigTypes": ["hosted_web", "embedded", "platform"], "allowResourceIDs": true,
        "allowedInvokeURLs": ["https://app.example.com"]});
    patch(&fixture.providers(), &fixture.provider, json!({"spec": allowed})).await.unwrap();
    json!({"config": {
        "type": "platform",
        "authenticationMethods": null,
        "trustedOrigins": ["https://app.example.com"],
        "roamingAuthConfig": roaming,
    }})
}

fn remote(fixture: &Fixture) -> Value {
    json!(fixture.realm.configs().remove(0).config)
}

/// The fields that the status says this object has set.
fn set_fields(config: &AuthenticatorConfig) -> Value {
    serde_json::to_value(config).unwrap()["status"]["setFields"].clone()
}

/// Waits until the status is about the current spec, and these fields are set.
async fn wait_for_set_fields(fixture: &Fixture, fields: Value) -> AuthenticatorConfig {
    wait_for(fixture.configs(), CONFIG, format!("has set {fields}"), move |config: &AuthenticatorConfig| {
        set_fields(config) == fields
            && config.status.as_ref().and_then(|it| it.observed_generation) == config.metadata.generation
    })
    .await
}

#[tokio::test]
async fn removed_origins_are_no_longer_trusted() {
    let (fixture, _operator) = Fixture::ready().await;
    let fields = json!(["displayName", "config.authenticationMethods", "config.trustedOrigins"]);
    let config = wait_for_set_fields(&fixture, fields).await;
    assert_eq!(conditions(&config), "Ready=True");
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    eventually("the origin is not trusted", || remote(&fixture)["trusted_origins"] == json!([])).await;
    let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
    let body = json!({"authenticator_config": {"config": {"type": "hosted_web", "trusted_origins": []}}});
    assert_eq!(call.json(), body);
    let config = wait_for_set_fields(&fixture, json!(["displayName", "config.authenticationMethods"])).await;
    assert_eq!(conditions(&config), "Ready=True");
    let event = fixture.wait_for_config_event("Normal DriftCorrected").await;
    assert!(event.note.ends_with("to match the spec: config.trustedOrigins"), "{}", event.note);
}

#[tokio::test]
async fn removed_display_name_and_nested_fields_are_unset() {
    let fixture = Fixture::new().await;
    let roaming = json!({"enabled": true, "allowUnknownUser": false, "allowedUserIDs": ["jane"],
        "allowedSourceIPs": ["192.0.2.0/24"]});
    let spec = platform(&fixture, roaming).await;
    let _operator = fixture.start().await;
    fixture.create_config_with(spec).await;
    fixture.wait_for_config("Available").await;
    // Somebody restricts what the spec never did.
    let id = fixture.realm.configs().remove(0).id;
    fixture.realm.edit_config(&id, |config| {
        config.config["roaming_auth_config"]["allowed_user_group_ids"] = json!(["a-group"]);
    });
    let change = json!({"displayName": null, "config": {"roamingAuthConfig": {"allowedUserIDs": null}}});
    fixture.change_config(change).await.unwrap();
    let list = |list: &str| remote(&fixture)["roaming_auth_config"][list].clone();
    eventually("the list is empty", || list("allowed_user_ids") == json!([])).await;
    assert_eq!(list("allowed_source_ips"), json!(["192.0.2.0/24"]));
    assert_eq!(list("allowed_user_group_ids"), json!(["a-group"]), "it was never set here");
    let name = fixture.realm.configs().remove(0).display_name.unwrap();
    assert!(name.starts_with('('), "only the mark is left: {name}");

    fixture.change_config(json!({"config": {"roamingAuthConfig": null}})).await.unwrap();
    eventually("roaming is off", || remote(&fixture)["roaming_auth_config"]["enabled"] == json!(false)).await;
    let config = wait_for_set_fields(&fixture, json!(["config.trustedOrigins"])).await;
    assert_eq!(conditions(&config), "Ready=True");
    assert_eq!(list("allowed_source_ips"), json!([]));
}

#[tokio::test]
async fn field_that_was_never_set_here_stays() {
    let fixture = Fixture::new().await;
    let mut theirs = Config::of_type("platform");
    theirs.config.insert("trusted_origins".to_owned(), json!(["https://theirs.example.com"]));
    fixture.realm.add_config(theirs.clone());
    let spec = platform(&fixture, json!({"enabled": true, "allowUnknownUser": true})).await;
    let _operator = fixture.start().await;
    let mut managed = fixture.config_with(CONFIG, spec);
    managed.spec.resource_id = Some(theirs.id.clone());
    managed.spec.config.trusted_origins = None;
    fixture.configs().create(&Default::default(), &managed).await.unwrap();
    fixture.wait_for_config("Available").await;
    fixture.change_config(json!({"config": {"roamingAuthConfig": null}})).await.unwrap();
    eventually("roaming is off", || remote(&fixture)["roaming_auth_config"]["enabled"] == json!(false)).await;
    assert_eq!(remote(&fixture)["trusted_origins"], json!(["https://theirs.example.com"]));
}

#[tokio::test]
async fn observed_configuration_is_not_unset() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = SOON).await;
    let id = fixture.realm.configs().remove(0).id;
    fixture.orphan_config().await;
    let observing = json!({"resourceID": id, "managementPolicy": "Observe"});
    fixture.create_config_with(observing).await;
    fixture.wait_for_config("Available").await;
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    let polls = || fixture.calls(Operation::GetConfig);
    let before = polls();
    eventually("it is polled twice", || polls() >= before + 2).await;
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    fixture.delete_config().await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
}

#[tokio::test]
async fn field_that_cannot_be_unset_is_reported() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.change_config(json!({"config": {"authenticationMethods": null}})).await.unwrap();
    let reported = |config: &AuthenticatorConfig| conditions(config) == "Ready=True FieldNotUnset=True";
    let config = wait_for(fixture.configs(), CONFIG, "reports the field", reported).await;
    assert_eq!(
        message_of(&config, "FieldNotUnset"),
        "config.authenticationMethods was set by this object and is no longer in the spec, but the configuration in \
         Beyond Identity still has its last value; set the field in the spec to the value that it should have"
    );
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    fixture.change_config(json!({"config": {"authenticationMethods": [{"type": "software_passkey"}]}})).await.unwrap();
    wait_for(fixture.configs(), CONFIG, "reports nothing", |config| conditions(config) == "Ready=True").await;
}

#[tokio::test]
async fn refused_unset_is_stalled_and_names_the_field() {
    let (fixture, _operator) = Fixture::ready().await;
    let refused = Reply::error(400, "bad_request", "trusted_origins must not be empty");
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::UpdateConfig));
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    let stalled = |config: &AuthenticatorConfig| conditions(config) == "Stalled=True Ready=False FieldNotUnset=True";
    let config = wait_for(fixture.configs(), CONFIG, "is stalled", stalled).await;
    assert!(message_of(&config, "FieldNotUnset").starts_with("config.trustedOrigins was set by this object"));
    fixture.realm.remove_fault(rule);
    fixture.change_config(json!({"config": {"trustedOrigins": []}})).await.unwrap();
    wait_for(fixture.configs(), CONFIG, "is ready", |config| conditions(config) == "Ready=True").await;
}

/// The status knows of the field before the service does.
#[tokio::test]
async fn field_is_recorded_before_it_is_sent() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    wait_for_set_fields(&fixture, json!(["displayName", "config.authenticationMethods"])).await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::UpdateConfig).once());
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.change_config(json!({"config": {"trustedOrigins": ["https://b.example.com"]}})).await.unwrap();
    let all = json!(["displayName", "config.authenticationMethods", "config.trustedOrigins"]);
    wait_for_set_fields(&fixture, all.clone()).await;
    let first = history.first("records the field", |config| set_fields(config) == all).await;
    assert_ne!(first.status.unwrap().observed_generation, first.metadata.generation, "before the PATCH is answered");
    // Removed while the outcome is unknown.
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    wait_for_set_fields(&fixture, json!(["displayName", "config.authenticationMethods"])).await;
    assert_eq!(remote(&fixture)["trusted_origins"], json!([]));
}

#[tokio::test]
async fn unset_that_the_service_ignores_is_reported_and_not_repeated() {
    fn keep_one(config: &mut Config) {
        if config.config["trusted_origins"] == json!([]) {
            config.config["trusted_origins"] = json!(["https://app.example.com"]);
        }
    }
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = SOON).await;
    fixture.realm.keep_configs_as(keep_one as fn(&mut Config));
    fixture.change_config(json!({"config": {"trustedOrigins": null}})).await.unwrap();
    let reported = |config: &AuthenticatorConfig| conditions(config) == "Ready=True FieldNotUnset=True";
    let config = wait_for(fixture.configs(), CONFIG, "reports the field", reported).await;
    assert!(message_of(&config, "FieldNotUnset").starts_with("config.trustedOrigins was set by this object"));
    let event = fixture.wait_for_config_event("Warning OtherValueStored").await;
    assert!(event.note.contains("was sent as [] and is kept as [\"https://app.example.com\"]"), "{}", event.note);
    let polls = || fixture.calls(Operation::GetConfig);
    let before = polls();
    eventually("it is polled three times", || polls() >= before + 3).await;
    assert_eq!(fixture.calls(Operation::UpdateConfig), 1);
    // Somebody removes the origin by hand.
    let id = fixture.realm.configs().remove(0).id;
    fixture.realm.edit_config(&id, |config| config.config["trusted_origins"] = json!([]));
    wait_for(fixture.configs(), CONFIG, "reports nothing", |config| conditions(config) == "Ready=True").await;
}
