//! The four types of configuration: the fields of each type, and its creation, update and deletion.

use beyond_identity_operator::api::{AuthenticatorConfig, RECONCILE_REQUESTED_AT};
use harness::simulator::{Ambiguities, Config, HostedWeb, Operation};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, conditions, eventually, message, patch, refusal, wait_for, wait_until_deleted};

/// A spec with these settings only, without the fields of the fixture's `hosted_web`.
fn spec(mut config: Value) -> Value {
    for field in ["authenticationMethods", "trustedOrigins"] {
        if config.get(field).is_none() {
            config[field] = json!(null);
        }
    }
    json!({ "config": config })
}

/// Creates a configuration with these settings as a dry run.
async fn dry_run(fixture: &Fixture, config: &Value) -> kube::Result<()> {
    let config = fixture.config_with(CONFIG, spec(config.clone()));
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    fixture.configs().create(&parameters, &config).await.map(drop)
}

/// One configuration of each type, with all fields that the type allows.
fn complete() -> [Value; 4] {
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
async fn field_of_another_type_is_refused() {
    let fixture = Fixture::new().await;
    let fields: Vec<_> =
        complete().iter().flat_map(|it| it.as_object().unwrap().clone()).filter(|(f, _)| f != "type").collect();
    for config in complete() {
        dry_run(&fixture, &config).await.unwrap();
        let type_ = config["type"].as_str().unwrap();
        for (field, value) in fields.iter().filter(|(field, _)| config.get(field).is_none()) {
            let mut wrong = config.clone();
            wrong[field] = value.clone();
            let message = refusal(dry_run(&fixture, &wrong).await);
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
async fn required_fields_of_each_type_are_enforced() {
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
        let message = refusal(dry_run(&fixture, &config).await);
        assert!(message.contains(sentence), "{config}: {message}");
    }
    for minimal in [
        json!({"type": "hosted_web"}),
        json!({"type": "embedded", "invokeURL": "https://app.example.com", "trustedOrigins": []}),
        method(json!({"type": "none"})),
        json!({"type": "platform"}),
        json!({"type": "platform", "roamingAuthConfig": {"enabled": false, "allowUnknownUser": false}}),
    ] {
        dry_run(&fixture, &minimal).await.unwrap();
    }
    // With `Observe` the fields are not required, since nothing is written.
    let mut observed = spec(json!({"type": "embedded"}));
    (observed["managementPolicy"], observed["resourceID"]) = (json!("Observe"), json!("an-id"));
    fixture.create_config_with(observed).await;
}

/// The settings of the remote configuration.
fn remote(fixture: &Fixture) -> Value {
    let configs = fixture.realm.configs();
    let [Config { config, .. }] = &configs[..] else { panic!("not one configuration: {configs:?}") };
    json!(config)
}

#[tokio::test]
async fn each_type_is_created_updated_and_deleted() {
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
    let cases = complete().into_iter().zip(changes).zip(changed);
    futures::future::join_all(cases.map(|((config, change), changed)| async move {
        let fixture = Fixture::new().await;
        fixture.realm.set_ambiguities(Ambiguities { hosted_web: HostedWeb::Refused, ..Ambiguities::default() });
        let allowed = json!({
            "allowedConfigTypes": ["hosted_web", "embedded", "console", "platform"],
            "allowedInvokeURLs": ["https://app.example.com", "https://other.example.com"],
        });
        patch(&fixture.providers(), &fixture.provider, json!({"spec": allowed})).await.unwrap();
        let _operator = fixture.start().await;
        fixture.create_config_with(spec(config)).await;
        let config = fixture.wait_for_config("Available").await;
        assert_eq!(conditions(&config), "Ready=True", "{}", message(&config));
        let before = remote(&fixture);

        patch(&fixture.configs(), CONFIG, json!({"spec": {"config": change}})).await.unwrap();
        eventually("the PATCH is sent", || fixture.calls(Operation::UpdateConfig) == 1).await;
        let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
        assert_eq!(call.json(), json!({"authenticator_config": {"config": changed}}));
        eventually("the configuration has changed", || remote(&fixture) != before).await;
        let after = remote(&fixture);
        for (field, value) in before.as_object().unwrap() {
            assert_eq!(&after[field], changed.get(field).unwrap_or(value), "{field}");
        }

        fixture.delete_config().await;
        wait_until_deleted(fixture.configs(), CONFIG).await;
        assert_eq!(fixture.realm.configs(), []);
    }))
    .await;
}

/// The service may add defaults for what a configuration leaves out. They are not drift.
#[tokio::test]
async fn defaults_of_the_service_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.realm.set_ambiguities(Ambiguities { hosted_web: HostedWeb::FilledIn, ..Ambiguities::default() });
    let _operator = fixture.start().await;
    fixture.create_config_with(spec(json!({"type": "hosted_web"}))).await;
    fixture.wait_for_config("Available").await;
    assert_eq!(remote(&fixture)["authentication_methods"].as_array().unwrap().len(), 3);
    let requested = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: "once more"}}});
    patch(&fixture.configs(), CONFIG, requested).await.unwrap();
    let is_handled = |config: &AuthenticatorConfig| {
        config.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("once more")
    };
    wait_for(fixture.configs(), CONFIG, "has handled the requested reconcile", is_handled).await;
    assert_eq!(fixture.calls(Operation::UpdateConfig), 0);
}
