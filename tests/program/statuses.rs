//! What earlier versions have written into a status is read in full, and what a later one adds is passed over.

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

/// The object as this version reads it, and writes it again.
fn read_and_written(object: &Value) -> serde_json::Result<Value> {
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
fn nothing_of_an_earlier_status_is_lost() {
    for (name, object) in objects() {
        let written = read_and_written(&object).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(lies_in(&object, &written), "{name}: {object:#} is written as {written:#}");
    }
}

/// What a later version may add, at every place that may hold fields.
fn with_more(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(with_more);
            fields.insert("somethingNew".to_owned(), json!({"of": ["a later version", 1, null]}));
        }
        Value::Array(items) => items.iter_mut().for_each(with_more),
        _ => {}
    }
}

#[test]
fn what_a_later_version_adds_to_a_status_is_passed_over() {
    for (name, object) in objects() {
        let mut later = object.clone();
        with_more(&mut later["status"]);
        let written = read_and_written(&later).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written, read_and_written(&object).unwrap(), "{name}");
    }
}
