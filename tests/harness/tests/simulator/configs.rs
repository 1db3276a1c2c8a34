//! Authenticator configurations.

use harness::simulator::{Ambiguities, Config, HostedWeb};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, field_error, text};

const PATH: &str = "authenticator-configs";

fn body(config: Value) -> Value {
    json!({"authenticator_config": {"config": config}})
}

#[tokio::test]
async fn config_with_only_a_type_is_created() {
    let api = Api::new();
    let (status, created) = api.post(PATH, body(json!({"type": "hosted_web"}))).await;
    assert_eq!(status, 200);
    let id = text(&created["id"]);
    assert_eq!((id.len(), id.matches('-').count(), id.as_bytes()[14]), (36, 4, b'4'), "{id}");
    let expected = json!({
        "id": id,
        "realm_id": api.realm.realm(),
        "tenant_id": "tenant",
        "config": {"type": "hosted_web"},
    });
    assert_eq!(created, expected);
    assert_eq!(api.get(&format!("{PATH}/{id}")).await, (200, expected));
}

/// A realm in which the service decides the open questions like this.
fn deciding(ambiguities: Ambiguities) -> Api {
    let api = Api::new();
    api.realm.set_ambiguities(ambiguities);
    api
}

#[tokio::test]
async fn hosted_web_without_fields_can_be_filled_in() {
    let api = deciding(Ambiguities { hosted_web: HostedWeb::FilledIn, ..Ambiguities::default() });
    let (status, created) = api.post(PATH, body(json!({"type": "hosted_web"}))).await;
    let methods = ["email_one_time_password", "software_passkey", "webauthn_passkey"].map(|kind| json!({"type": kind}));
    let filled_in = json!({"type": "hosted_web", "authentication_methods": methods, "trusted_origins": []});
    assert_eq!((status, &created["config"]), (200, &filled_in));
}

#[tokio::test]
async fn lenient_service_requires_less() {
    let lenient = Ambiguities {
        patches_without_type: true,
        embedded_without_origins: true,
        roaming_with_enabled_only: true,
        revokes_failed_jobs: true,
        ..Ambiguities::default()
    };
    for (ambiguities, status) in [(Ambiguities::default(), 400), (lenient, 200)] {
        let api = deciding(ambiguities);
        // The contract follows the API reference.
        api.realm.allow_any_answer();
        let embedded = json!({"type": "embedded", "invoke_url": "https://a.example"});
        let roaming = json!({"type": "platform", "roaming_auth_config": {"enabled": true}});
        for config in [embedded, roaming] {
            assert_eq!(api.post(PATH, body(config.clone())).await.0, status, "{config}");
        }
        let (_, created) = api.post(PATH, body(json!({"type": "hosted_web"}))).await;
        let untyped = body(json!({"trusted_origins": ["https://a.example"]}));
        let path = format!("{PATH}/{}", text(&created["id"]));
        assert_eq!(api.call(Method::PATCH, &path, Some(untyped)).await.0, status);
    }
}

#[tokio::test]
async fn strict_realm_requires_all_fields() {
    let api = deciding(Ambiguities { hosted_web: HostedWeb::Refused, ..Ambiguities::default() });
    let methods = json!([{"type": "webauthn_passkey"}]);
    let partial = json!({"type": "hosted_web", "authentication_methods": methods});
    let refusal = field_error("authenticator_config.config.trusted_origins", "missing");
    assert_eq!(api.post(PATH, body(partial)).await, (400, refusal));
    let complete =
        json!({"type": "hosted_web", "authentication_methods": methods, "trusted_origins": ["https://a.example"]});
    let (status, created) = api.post(PATH, body(complete.clone())).await;
    assert_eq!((status, &created["config"]), (200, &complete));
}

#[tokio::test]
async fn each_type_has_its_own_fields() {
    let api = Api::new();
    let field = |name: &str| format!("authenticator_config.config.{name}");
    let origins = json!(["https://a.example"]);
    for (config, wrong, why) in [
        (json!({}), "type", "missing"),
        (json!({"type": "other"}), "type", "unknown type"),
        (json!({"type": "embedded", "trusted_origins": origins}), "invoke_url", "missing"),
        (json!({"type": "hosted_web", "trusted_origins": ["a.example"]}), "trusted_origins", "invalid origin"),
        (
            json!({"type": "hosted_web", "authentication_methods": [{"type": "password"}]}),
            "authentication_methods",
            "unknown authentication method",
        ),
        (json!({"type": "console"}), "onboarding_configuration", "missing"),
        (
            json!({"type": "console", "onboarding_configuration": {"verification_method": {"type": "idp"}}}),
            "onboarding_configuration.verification_method.idp_id",
            "missing",
        ),
        (
            json!({"type": "platform", "roaming_auth_config": {"enabled": true}}),
            "roaming_auth_config.allow_unknown_user",
            "missing",
        ),
        (
            json!({"type": "platform", "roaming_auth_config": {
                "enabled": true, "allow_unknown_user": true, "allowed_user_ids": "jane",
            }}),
            "roaming_auth_config.allowed_user_ids",
            "not an array of strings",
        ),
    ] {
        let answer = api.post(PATH, body(config.clone())).await;
        assert_eq!(answer, (400, field_error(&field(wrong), why)), "{config}");
    }
    assert_eq!(api.realm.configs(), []);

    for config in [
        json!({"type": "console", "onboarding_configuration": {"verification_method": {"type": "none"}}}),
        json!({"type": "platform", "roaming_auth_config": {"enabled": true, "allow_unknown_user": false}}),
    ] {
        let (status, created) = api.post(PATH, body(config.clone())).await;
        assert_eq!((status, &created["config"]), (200, &config));
    }
    let embedded =
        json!({"type": "embedded", "invoke_url": "https://a.example", "trusted_origins": origins, "idp_id": 1});
    let (_, created) = api.post(PATH, body(embedded)).await;
    assert_eq!(created["config"]["invocation_type"], "automatic");
    assert_eq!(created["config"]["authentication_methods"].as_array().unwrap().len(), 3);
    assert_eq!(created["config"].get("idp_id"), None, "fields of other types are ignored");
}

#[tokio::test]
async fn malformed_bodies_are_rejected() {
    let api = Api::new();
    let malformed = json!({"code": "bad_request", "message": "invalid request"});
    assert_eq!(api.post(PATH, json!([])).await, (400, malformed.clone()));
    assert_eq!(api.post(PATH, json!({"authenticator_config": 1})).await, (400, malformed.clone()));
    assert_eq!(api.call(Method::POST, PATH, None).await, (400, malformed));
    assert_eq!(api.post(PATH, json!({})).await, (400, field_error("authenticator_config", "missing")));
    let long = json!({"authenticator_config": {"display_name": "x".repeat(65), "config": {"type": "hosted_web"}}});
    let refusal = field_error("authenticator_config.display_name", "longer than 64 characters");
    assert_eq!(api.post(PATH, long).await, (400, refusal));
}

#[tokio::test]
async fn patch_changes_only_the_given_fields() {
    let api = Api::new();
    let config = json!({
        "display_name": "Before",
        "config": {"type": "hosted_web", "trusted_origins": ["https://a.example"]},
    });
    let (_, created) = api.post(PATH, json!({"authenticator_config": config})).await;
    let one = format!("{PATH}/{}", text(&created["id"]));
    let patch = async |body: Value| api.call(Method::PATCH, &one, Some(json!({"authenticator_config": body}))).await;

    let (status, named) = patch(json!({"display_name": "After", "id": "ignored"})).await;
    assert_eq!((status, &named["display_name"], &named["config"]), (200, &json!("After"), &created["config"]));
    assert_eq!(named["id"], created["id"]);

    let methods = json!([{"type": "software_passkey"}]);
    let (_, with) = patch(json!({"config": {"type": "hosted_web", "authentication_methods": methods}})).await;
    assert_eq!(with["display_name"], "After");
    assert_eq!(with["config"]["trusted_origins"], json!(["https://a.example"]));
    assert_eq!(with["config"]["authentication_methods"], methods);
    assert_eq!(api.get(&one).await, (200, with));

    let field = "authenticator_config.config.type";
    assert_eq!(patch(json!({"config": {}})).await, (400, field_error(field, "missing")));
    assert_eq!(patch(json!({"config": {"type": "platform"}})).await, (400, field_error(field, "immutable")));
}

#[tokio::test]
async fn delete_has_an_empty_answer() {
    let api = Api::new();
    let config = Config::of_type("hosted_web");
    api.realm.add_config(config.clone());
    let one = format!("{PATH}/{}", config.id);
    let response = api.send(Method::DELETE, &one, None).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "");
    let not_found = json!({"code": "not_found", "message": "The requested resource was not found."});
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(api.call(method, &one, None).await, (404, not_found.clone()));
    }
    let patch = api.call(Method::PATCH, &one, Some(body(json!({"type": "hosted_web"})))).await;
    assert_eq!(patch, (404, not_found));
}

#[tokio::test]
async fn config_can_be_changed_and_removed_by_a_test() {
    let api = Api::new();
    let (_, created) = api.post(PATH, body(json!({"type": "hosted_web"}))).await;
    let id = text(&created["id"]);
    api.realm.edit_config(&id, |config| config.display_name = Some("Bent".to_owned()));
    assert_eq!(api.get(&format!("{PATH}/{id}")).await.1["display_name"], "Bent");
    api.realm.remove_config(&id);
    assert_eq!(api.get(PATH).await, (200, json!({"authenticator_configs": [], "total_size": 0})));
}

#[tokio::test]
async fn values_are_kept_in_another_form() {
    let api = Api::new();
    let sent = json!({"type": "platform", "trusted_origins": ["https://App.Example.com:443"], "roaming_auth_config": {
        "enabled": true, "allow_unknown_user": false,
        "allowed_source_ips": ["198.51.100.9/24", "2001:DB8:0::9/64", "2001:DB8:0::1"],
    }});
    let body = json!({"authenticator_config": {"display_name": " Zu\u{308}rich ", "config": sent}});
    let (_, as_sent) = api.post(PATH, body.clone()).await;
    assert_eq!((&as_sent["display_name"], &as_sent["config"]), (&json!(" Zu\u{308}rich "), &sent));
    api.realm.keep_configs_as(Config::normalize as fn(&mut Config));
    let (status, kept) = api.post(PATH, body).await;
    assert_eq!((status, &kept["display_name"]), (200, &json!("Z\u{fc}rich")));
    assert_eq!(kept["config"]["trusted_origins"], json!(["https://app.example.com"]));
    let ranges = json!(["198.51.100.0/24", "2001:db8::/64", "2001:db8::1"]);
    assert_eq!(kept["config"]["roaming_auth_config"]["allowed_source_ips"], ranges);
    assert_eq!(api.get(&format!("{PATH}/{}", text(&kept["id"]))).await, (200, kept));
}
