//! The four types of configuration: which fields each has, and that each is made, kept and deleted.

use harness::simulator::{Config, Operation};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, conditions, eventually, message, patch, refusal, wait_until_gone};

/// A spec without what the fixture gives to a `hosted_web`.
fn spec(mut config: Value) -> Value {
    for field in ["authenticationMethods", "trustedOrigins"] {
        if config.get(field).is_none() {
            config[field] = json!(null);
        }
    }
    json!({ "config": config })
}

/// Whether the API server takes a configuration with these settings.
async fn tried(fixture: &Fixture, config: &Value) -> kube::Result<()> {
    let config = fixture.config_with(CONFIG, spec(config.clone()));
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    fixture.configs().create(&parameters, &config).await.map(drop)
}

/// The least of each type, with each field that it may have.
fn whole() -> [Value; 4] {
    [
        json!({
            "type": "hosted_web",
            "authenticationMethods": [{"type": "webauthn_passkey"}],
            "trustedOrigins": ["https://app.example.com"],
        }),
        json!({
            "type": "embedded",
            "invokeURL": "https://app.example.com/bi",
            "trustedOrigins": ["https://app.example.com"],
            "invocationType": "manual",
            "authenticationMethods": [{"type": "software_passkey"}],
        }),
        json!({
            "type": "console",
            "onboardingConfiguration": {
                "verificationMethod": {"type": "idp", "idpID": "0cd0457e-5322-4c87-852d-4bc6b4d279a6"},
            },
        }),
        json!({
            "type": "platform",
            "trustedOrigins": ["https://app.example.com"],
            "roamingAuthConfig": {
                "enabled": true,
                "allowUnknownUser": false,
                "allowedSourceIPs": ["192.0.2.0/24"],
                "allowedUserGroupIDs": ["a-group"],
                "allowedUserIDs": ["jane"],
            },
        }),
    ]
}

#[tokio::test]
async fn a_field_belongs_to_its_types_and_is_refused_for_any_other() {
    let fixture = Fixture::new().await;
    let fields: Vec<_> =
        whole().iter().flat_map(|it| it.as_object().unwrap().clone()).filter(|(f, _)| f != "type").collect();
    for whole in whole() {
        tried(&fixture, &whole).await.unwrap();
        let type_ = whole["type"].as_str().unwrap();
        for (field, value) in fields.iter().filter(|(field, _)| whole.get(field).is_none()) {
            let mut wrong = whole.clone();
            wrong[field] = value.clone();
            let message = refusal(tried(&fixture, &wrong).await);
            let types = match field.as_str() {
                "authenticationMethods" => "the types hosted_web and embedded",
                "trustedOrigins" => "the types hosted_web, embedded and platform",
                "invokeURL" | "invocationType" => "the type embedded",
                "onboardingConfiguration" => "the type console",
                _ => "the type platform",
            };
            let sentence =
                format!("spec.config: Invalid value: {field} is only allowed for {types}: remove it or correct type");
            assert!(message.contains(&sentence), "{type_}: {message}");
        }
    }
}

#[tokio::test]
async fn what_a_type_needs_is_asked_for() {
    let fixture = Fixture::new().await;
    let embedded = "spec: Invalid value: config.type embedded requires config.invokeURL and config.trustedOrigins";
    let console = "spec: Invalid value: config.type console requires config.onboardingConfiguration";
    let idp = "spec.config.onboardingConfiguration.verificationMethod: Invalid value: idpID is required for the type idp, \
               and only allowed there";
    let method = |method: Value| json!({"type": "console", "onboardingConfiguration": {"verificationMethod": method}});
    for (config, sentence) in [
        (json!({"type": "embedded", "invokeURL": "https://app.example.com"}), embedded),
        (json!({"type": "embedded", "trustedOrigins": []}), embedded),
        (json!({"type": "console"}), console),
        (method(json!({"type": "idp"})), idp),
        (method(json!({"type": "none", "idpID": "an-id"})), idp),
    ] {
        let message = refusal(tried(&fixture, &config).await);
        assert!(message.contains(sentence), "{config}: {message}");
    }
    for least in [
        json!({"type": "hosted_web"}),
        json!({"type": "embedded", "invokeURL": "https://app.example.com", "trustedOrigins": []}),
        method(json!({"type": "none"})),
        json!({"type": "platform"}),
        json!({"type": "platform", "roamingAuthConfig": {"enabled": false, "allowUnknownUser": false}}),
    ] {
        tried(&fixture, &least).await.unwrap();
    }
    // What is only observed is written by somebody else.
    let mut observed = spec(json!({"type": "embedded"}));
    (observed["managementPolicy"], observed["resourceID"]) = (json!("Observe"), json!("an-id"));
    fixture.create_config_with(observed).await;
}

/// The settings as the service has them.
fn remote(fixture: &Fixture) -> Value {
    let configs = fixture.realm.configs();
    let [Config { config, .. }] = &configs[..] else { panic!("not one configuration: {configs:?}") };
    json!(config)
}

#[tokio::test]
async fn each_type_is_made_kept_and_deleted() {
    let changes = [
        json!({"trustedOrigins": ["https://other.example.com"]}),
        json!({"invokeURL": "https://other.example.com/"}),
        json!({"onboardingConfiguration": {"verificationMethod": {"type": "none", "idpID": null}}}),
        json!({"roamingAuthConfig": {"allowedUserIDs": ["joe"]}}),
    ];
    let changed = [
        json!({"type": "hosted_web", "trusted_origins": ["https://other.example.com"]}),
        json!({"type": "embedded", "invoke_url": "https://other.example.com/"}),
        json!({"type": "console", "onboarding_configuration": {"verification_method": {"type": "none"}}}),
        json!({"type": "platform", "roaming_auth_config": {
            "enabled": true,
            "allow_unknown_user": false,
            "allowed_source_ips": ["192.0.2.0/24"],
            "allowed_user_group_ids": ["a-group"],
            "allowed_user_ids": ["joe"],
        }}),
    ];
    let made = whole().into_iter().zip(changes).zip(changed);
    futures::future::join_all(made.map(|((config, change), changed)| async move {
        let fixture = Fixture::new().await;
        fixture.realm.set_strict_config(true);
        let _operator = fixture.start().await;
        fixture.create_config_with(spec(config)).await;
        let config = fixture.config_says("Available").await;
        assert_eq!(conditions(&config), "Ready=True", "{}", message(&config));
        let before = remote(&fixture);

        patch(&fixture.configs(), CONFIG, json!({"spec": {"config": change}})).await.unwrap();
        eventually("it is changed", || fixture.calls(Operation::UpdateConfig) == 1).await;
        let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
        assert_eq!(call.json(), json!({"authenticator_config": {"config": changed}}));
        eventually("it has changed", || remote(&fixture) != before).await;
        let after = remote(&fixture);
        for (field, value) in before.as_object().unwrap() {
            assert_eq!(&after[field], changed.get(field).unwrap_or(value), "{field}");
        }

        fixture.delete_config().await;
        wait_until_gone(fixture.configs(), CONFIG).await;
        assert_eq!(fixture.realm.configs(), []);
    }))
    .await;
}
