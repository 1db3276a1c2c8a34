//! Valid and invalid examples of each schema.

use std::collections::BTreeSet;

use harness::contract::document;
use serde_json::{Value, json};

use super::{ID, TIME, config, identity, job, with, without};

fn page(key: &str, item: Value) -> Value {
    json!({key: [item], "total_size": 201, "next_page_token": "200+&="})
}

/// The valid and the invalid examples of each schema.
fn table() -> Vec<(&'static str, Vec<Value>, Vec<Value>)> {
    let idp = json!({"verification_method": {"type": "idp", "idp_id": "73731b7f-eb76-4143-9b4b-81a720385f5a"}});
    let roaming = json!({"enabled": true, "allow_unknown_user": false, "allowed_source_ips": ["192.0.2.0/24"]});
    let embedded = json!({"type": "embedded", "invoke_url": "http://localhost:8092", "trusted_origins": []});
    let new_job = json!({"delivery_method": "EMAIL", "authenticator_config_id": ID});
    let named =
        |config: Value| json!({"authenticator_config": {"display_name": "Hosted web (test a2b)", "config": config}});
    let resource = json!({"type": "ResourceInfo", "resource_type": "Identity", "id": ID, "description": "not found"});
    let violations =
        json!({"type": "FieldViolations", "field_violations": [{"field": "job", "description": "missing"}]});
    let error = json!({"code": "not_found", "message": "identity not found"});
    let settings = || {
        vec![
            json!({"type": "hosted_web"}),
            json!({"type": "platform"}),
            json!({"type": "console", "onboarding_configuration": idp}),
            embedded.clone(),
        ]
    };
    vec![
        ("ID", vec![json!(ID), json!("a b/c")], vec![json!(""), json!("-"), json!(".."), json!(7)]),
        ("Time", vec![json!(TIME), json!("2022-04-12T05:53:07.119Z")], vec![json!("yesterday"), json!(0)]),
        ("DisplayName", vec![json!("Hosted web (test a2b)")], vec![json!(""), json!("a/b"), json!("x".repeat(65))]),
        ("Nothing", vec![json!({})], vec![json!({"reason": "x"}), json!(null)]),
        (
            "Identity",
            vec![identity(), with(with(identity(), "status", json!("active")), "enrollment_status", json!("ENROLLED"))],
            vec![
                without(identity(), "traits"),
                without(identity(), "id"),
                with(identity(), "status", json!("Active")),
                with(identity(), "enrollmentStatus", json!("ENROLLED")),
            ],
        ),
        (
            "Traits",
            vec![json!({"type": "traits_v0", "given_name": "Jane"})],
            vec![
                json!({"type": "traits_v1"}),
                json!({"username": "jane"}),
                json!({"type": "traits_v0", "username": ""}),
            ],
        ),
        (
            "ListIdentitiesResponse",
            vec![page("identities", identity()), json!({"identities": [], "total_size": 0})],
            vec![json!({"total_size": 0}), json!({"identities": []}), page("identities", json!({}))],
        ),
        ("TotalSize", vec![json!(0)], vec![json!(-1), json!("0")]),
        ("NextPageToken", vec![json!("200+/&=")], vec![json!(""), json!(null)]),
        (
            "CreateCredentialBindingJobRequest",
            vec![
                json!({"job": new_job}),
                json!({"job": with(new_job.clone(), "post_binding_redirect_uri", json!("https://example.com/done"))}),
            ],
            vec![
                json!({}),
                new_job.clone(),
                json!({"job": with(new_job.clone(), "delivery_method", json!("RETURN"))}),
                json!({"job": with(new_job.clone(), "post_binding_redirect_uri", json!("http://example.com"))}),
                json!({"job": without(new_job.clone(), "authenticator_config_id")}),
                json!({"job": with(new_job.clone(), "identity_id", json!(ID))}),
                json!({"job": new_job, "dry_run": true}),
            ],
        ),
        (
            "CredentialBindingJob",
            vec![job(), with(with(job(), "state", json!("TELEPORTED")), "credential_id", json!(ID))],
            [json!({}), with(job(), "state", json!(1)), with(job(), "link", json!("https://example.com"))]
                .into_iter()
                .chain(job().as_object().unwrap().keys().map(|field| without(job(), field)))
                .collect(),
        ),
        (
            "CreateCredentialBindingJobResponse",
            vec![json!({"credential_binding_job": job(), "credential_binding_link": "https://example.com"})],
            vec![job(), json!({"credential_binding_job": {}}), json!({"job": job()})],
        ),
        (
            "ListCredentialBindingJobsResponse",
            vec![page("credential_binding_jobs", job())],
            vec![json!({"jobs": [], "total_size": 0}), page("credential_binding_jobs", without(job(), "state"))],
        ),
        (
            "CreateAuthenticatorConfigRequest",
            settings().into_iter().map(named).collect(),
            vec![
                json!({"authenticator_config": {"display_name": "x"}}),
                json!({"config": {"type": "hosted_web"}}),
                named(json!({"type": "embedded"})),
                json!({"authenticator_config": with(config(), "id", json!(ID))}),
            ],
        ),
        (
            "UpdateAuthenticatorConfigRequest",
            vec![
                json!({"authenticator_config": {"display_name": "x"}}),
                named(json!({"type": "embedded", "invocation_type": "manual"})),
            ],
            vec![
                json!({"authenticator_config": {}}),
                json!({"authenticator_config": {"config": {"trusted_origins": []}}}),
                json!({"authenticator_config": {"display_name": null}}),
            ],
        ),
        (
            "AuthenticatorConfig",
            vec![config(), with(config(), "display_name", json!("any: thing"))],
            vec![without(config(), "config"), without(config(), "realm_id"), json!({"authenticator_config": config()})],
        ),
        (
            "ListAuthenticatorConfigsResponse",
            vec![page("authenticator_configs", config())],
            vec![json!([]), page("authenticator_configs", json!({"id": ID}))],
        ),
        (
            "Settings",
            settings(),
            vec![
                json!({}),
                json!({"type": "hosted"}),
                json!({"type": "hosted_web", "invoke_url": "http://localhost"}),
                without(embedded.clone(), "trusted_origins"),
                json!({"type": "console"}),
            ],
        ),
        (
            "ChangedSettings",
            [settings(), vec![json!({"type": "embedded"}), json!({"type": "console"})]].concat(),
            vec![json!({}), json!({"type": "platform", "invoke_url": "http://localhost"})],
        ),
        ("Type", vec![json!("platform")], vec![json!("Platform")]),
        (
            "HostedWeb",
            vec![json!({"type": "hosted_web", "authentication_methods": [{"type": "webauthn_passkey"}]})],
            vec![json!({"type": "embedded"}), json!({"type": "hosted_web", "invocation_type": "manual"})],
        ),
        (
            "Embedded",
            vec![with(embedded.clone(), "invocation_type", json!("automatic"))],
            vec![
                with(embedded.clone(), "invocation_type", json!("Automatic")),
                with(embedded, "invoke_url", json!("")),
            ],
        ),
        (
            "Console",
            [idp.clone(), json!({"verification_method": {"type": "none"}})]
                .map(|onboarding| json!({"type": "console", "onboarding_configuration": onboarding}))
                .into(),
            [
                json!({}),
                json!({"verification_method": {"type": "idp"}}),
                json!({"verification_method": {"type": "idp", "idp_id": "one"}}),
                json!({"verification_method": {"type": "none", "idp_id": idp["verification_method"]["idp_id"]}}),
            ]
            .map(|onboarding| json!({"type": "console", "onboarding_configuration": onboarding}))
            .into(),
        ),
        (
            "Platform",
            vec![json!({"type": "platform", "trusted_origins": null, "roaming_auth_config": roaming})],
            vec![
                json!({"type": "platform", "roaming_auth_config": without(roaming.clone(), "allow_unknown_user")}),
                json!({"type": "platform", "roaming_auth_config": with(roaming, "allow_unknow_user", json!(true))}),
                json!({"type": "platform", "authentication_methods": []}),
            ],
        ),
        ("Texts", vec![json!(["a"])], vec![json!("a"), json!([1])]),
        (
            "TrustedOrigins",
            vec![json!(["https://app.example.com"])],
            vec![json!("https://app.example.com"), json!([null])],
        ),
        ("Origin", vec![json!("http://localhost:8092")], vec![json!("localhost"), json!("https://example.com/path")]),
        (
            "AuthenticationMethods",
            vec![json!([{"type": "email_one_time_password"}, {"type": "software_passkey"}])],
            vec![json!(["webauthn_passkey"]), json!([{"type": "password"}])],
        ),
        (
            "Error",
            vec![error.clone(), with(error.clone(), "details", json!([resource, violations]))],
            vec![
                json!({"error": "not found"}),
                without(error.clone(), "code"),
                with(error, "code", json!("Not Found")),
            ],
        ),
        (
            "ErrorDetail",
            vec![resource.clone(), violations.clone(), json!({"type": "Another", "more": 1})],
            vec![json!({}), json!({"type": "ResourceInfo"}), json!({"type": "FieldViolations", "fields": []})],
        ),
        ("ResourceInfo", vec![resource.clone()], vec![without(resource, "id")]),
        ("FieldViolations", vec![violations.clone()], vec![without(violations, "field_violations")]),
    ]
}

#[test]
fn each_schema_accepts_valid_and_rejects_invalid_examples() {
    let document = document().unwrap();
    for (name, valid, invalid) in table() {
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]});
        let schema = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        for body in valid {
            let errors: Vec<String> = schema.iter_errors(&body).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name} rejects {body}: {errors:?}");
        }
        for body in invalid {
            assert!(!schema.is_valid(&body), "{name} accepts {body}");
        }
    }
    let tried: BTreeSet<_> = table().into_iter().map(|(name, ..)| name.to_owned()).collect();
    let all: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(tried, all);
}
