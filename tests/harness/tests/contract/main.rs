//! The API contract: the document is valid, each schema rejects something, and violations are found.

#![allow(clippy::unwrap_used)] // in helpers of tests too

mod breaches;
mod schemas;
mod simulator;

use harness::contract::{Contract, DOCUMENT, document};
use serde_json::{Value, json};

#[test]
fn document_is_valid_openapi_3_1() {
    let document = document().unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    oas3::from_json(document.to_string()).unwrap();
    assert!(oas3::from_json(without(document.clone(), "info").to_string()).is_err());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
    Contract::read(&document).unwrap();
}

#[test]
fn broken_reference_is_an_error() {
    let broken = DOCUMENT.replace("'#/components/schemas/Traits'", "'#/components/schemas/Tratis'");
    let broken: Value = serde_saphyr::from_str(&broken).unwrap();
    assert!(Contract::read(&broken).is_err());
}

const ID: &str = "9ca7716e846cfa97";
const TIME: &str = "2022-07-11T21:10:33.383828Z";

fn job() -> Value {
    json!({
        "id": ID, "identity_id": ID, "realm_id": ID, "tenant_id": ID, "delivery_method": "EMAIL", "state": "LINK_SENT",
        "authenticator_config_id": ID, "expire_time": TIME, "create_time": TIME, "update_time": TIME,
    })
}

fn identity() -> Value {
    let traits = json!({"type": "traits_v0", "username": "jane", "primary_email_address": "jane@example.com"});
    json!({"id": ID, "realm_id": ID, "tenant_id": ID, "display_name": "Jane", "traits": traits, "create_time": TIME, "update_time": TIME})
}

fn config() -> Value {
    json!({"id": ID, "realm_id": ID, "tenant_id": ID, "config": {"type": "hosted_web"}})
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

fn without(mut object: Value, field: &str) -> Value {
    object.as_object_mut().unwrap().remove(field).unwrap();
    object
}
