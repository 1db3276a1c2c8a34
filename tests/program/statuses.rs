//! Every field of a status from an earlier version is kept, and unknown fields of a later version are ignored.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use harness::statuses::{lies_in, objects_of_earlier_versions};
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// All objects, with their names.
fn objects() -> Vec<(String, Value)> {
    let all = objects_of_earlier_versions("").unwrap();
    assert!(all.len() >= 19, "{all:?}");
    all.into_iter().map(|left| (left.name, serde_json::from_str(&left.text).unwrap())).collect()
}

/// The object after decoding and encoding by this version.
fn round_trip(object: &Value) -> serde_json::Result<Value> {
    fn by<K: DeserializeOwned + Serialize>(object: &Value) -> serde_json::Result<Value> {
        serde_json::to_value(serde_json::from_value::<K>(object.clone())?)
    }
    let kind = object["kind"].as_str().unwrap();
    if kind == EnrollmentRequest::kind(&()) {
        by::<EnrollmentRequest>(object)
    } else {
        by::<AuthenticatorConfig>(object)
    }
}

#[test]
fn status_of_an_earlier_version_is_kept() {
    for (name, object) in objects() {
        let written = round_trip(&object).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(lies_in(&object, &written), "{name}: {object:#} is encoded as {written:#}");
    }
}

/// Adds an unknown field to every object below `value`.
fn add_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown_fields);
            fields.insert("somethingNew".to_owned(), json!({"of": ["a later version", 1, null]}));
        }
        Value::Array(items) => items.iter_mut().for_each(add_unknown_fields),
        _ => {}
    }
}

#[test]
fn unknown_fields_of_a_later_version_are_ignored() {
    for (name, object) in objects() {
        let mut later = object.clone();
        add_unknown_fields(&mut later["status"]);
        let written = round_trip(&later).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written, round_trip(&object).unwrap(), "{name}");
    }
}
