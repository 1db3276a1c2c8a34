//! A service that keeps values in a form of its own: the same meaning is no drift, and another value is sent once.

use std::time::Duration;

use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use harness::simulator::{Config, Operation};
use serde_json::{Value, json};

use crate::fixture::{CLUSTER, CONFIG, Fixture, History, SOON, eventually, patch};

/// A form that no comparison knows.
fn over_https(config: &mut Config) {
    for origin in config.config.get_mut("trusted_origins").and_then(Value::as_array_mut).into_iter().flatten() {
        *origin = json!(origin.as_str().unwrap().replace("http://", "https://"));
    }
}

/// Waits until the configuration was compared with its spec three more times.
async fn compare_often(fixture: &Fixture) {
    let polls = || fixture.calls(Operation::GetConfig);
    let before = polls();
    eventually("it is polled three times", || polls() >= before + 3).await;
}

fn patches(fixture: &Fixture) -> usize {
    fixture.calls(Operation::UpdateConfig)
}

/// The notes of the events about values that the service keeps in another form.
async fn notes(fixture: &Fixture) -> Vec<String> {
    let mut events = fixture.events("AuthenticatorConfig", CONFIG).await;
    events.retain(|event| event.turn == "Warning OtherValueStored");
    events.into_iter().map(|event| event.note).collect()
}

#[tokio::test]
async fn other_forms_of_the_same_meaning_are_not_drift() {
    let fixture = Fixture::new().await;
    fixture.realm.keep_configs_as(Config::normalize as fn(&mut Config));
    let allowed =
        json!({"allowedConfigTypes": ["platform", "embedded"], "allowedInvokeURLs": ["https://app.example.com"]});
    patch(&fixture.providers(), &fixture.provider, json!({"spec": allowed})).await.unwrap();
    let _operator = fixture.start_with(|settings| settings.resync_interval = SOON).await;
    let platform = json!({"displayName": "  Zu\u{308}rich", "config": {
        "type": "platform",
        "authenticationMethods": null,
        "trustedOrigins": ["https://App.Example.com:443", "http://[2001:DB8:0:0::1]:80"],
        "roamingAuthConfig": {"enabled": true, "allowUnknownUser": false,
            "allowedSourceIPs": ["198.51.100.9/24", "2001:DB8:0::1", "2001:db8::ffff/64"]},
    }});
    fixture.create_config_with(platform).await;
    fixture.wait_for_config("Available").await;
    let kept = fixture.realm.configs().remove(0);
    let mark = OwnershipMark::of(CLUSTER, &fixture.namespace, CONFIG);
    assert_eq!(kept.display_name, Some(format!("Z\u{fc}rich {mark}")));
    assert_eq!(kept.config["trusted_origins"], json!(["https://app.example.com", "http://[2001:db8::1]"]));
    let ranges = json!(["198.51.100.0/24", "2001:db8::1", "2001:db8::/64"]);
    assert_eq!(kept.config["roaming_auth_config"]["allowed_source_ips"], ranges);
    let history = History::of(&fixture.configs(), CONFIG).await;
    compare_often(&fixture).await;
    assert_eq!((patches(&fixture), history.versions().len()), (0, 0));

    // Another network is drift.
    fixture.realm.edit_config(&kept.id, |config| {
        config.config["roaming_auth_config"]["allowed_source_ips"][0] = json!("198.51.101.0/24");
    });
    eventually("the drift is corrected", || fixture.realm.configs()[0] == kept).await;
    assert_eq!(patches(&fixture), 1);
}

#[tokio::test]
async fn value_that_is_kept_in_another_form_is_sent_once() {
    let fixture = Fixture::new().await;
    fixture.realm.keep_configs_as(over_https as fn(&mut Config));
    let operator = fixture.start_with(|settings| settings.resync_interval = SOON).await;
    fixture.create_config_with(json!({"config": {"trustedOrigins": ["http://app.example.com"]}})).await;
    fixture.wait_for_config_event("Warning OtherValueStored").await;
    let id = fixture.realm.configs()[0].id.clone();
    assert_eq!(
        notes(&fixture).await,
        [format!(
            "The service keeps another value in authenticator configuration {id} than was sent: config.trustedOrigins \
             was sent as [\"http://app.example.com\"] and is kept as [\"https://app.example.com\"]; it is not sent \
             again until the spec or that value changes"
        )]
    );
    let history = History::of(&fixture.configs(), CONFIG).await;
    compare_often(&fixture).await;
    assert_eq!((patches(&fixture), history.versions().len()), (1, 0));

    // The next process knows it from the status.
    operator.stop().await;
    let _next = fixture.start_with(|settings| settings.resync_interval = SOON).await;
    compare_often(&fixture).await;
    assert_eq!((patches(&fixture), history.versions().len()), (1, 0));

    // Another writer, who changes it later, is drift.
    fixture.realm.edit_config(&id, |config| config.config["trusted_origins"] = json!([]));
    let origins = || fixture.realm.configs()[0].config["trusted_origins"].clone();
    eventually("the drift is corrected", || origins() == json!(["https://app.example.com"])).await;
    compare_often(&fixture).await;
    assert_eq!((patches(&fixture), notes(&fixture).await.len()), (2, 1));

    // Another generation sends it once more.
    fixture.change_config(json!({"displayName": "Another name"})).await.unwrap();
    eventually("the name is sent", || patches(&fixture) == 3).await;
    compare_often(&fixture).await;
    assert_eq!((patches(&fixture), notes(&fixture).await.len()), (3, 2));
}

/// An event shows nothing that looks like a person's address, and no credential.
#[tokio::test]
async fn shown_forms_are_redacted() {
    fn leaky(config: &mut Config) {
        config.config.insert("trusted_origins".to_owned(), json!(["https://jane@example.com"]));
    }
    let fixture = Fixture::new().await;
    fixture.realm.allow_any_answer();
    fixture.realm.keep_configs_as(leaky as fn(&mut Config));
    let _operator = fixture.start_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.create_config().await;
    let event = fixture.wait_for_config_event("Warning OtherValueStored").await;
    assert!(event.note.contains("is kept as [\"[redacted]\"]"), "{}", event.note);
    assert!(!event.note.contains("jane"), "{}", event.note);
}
