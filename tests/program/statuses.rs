//! What earlier versions have written into a status is read in full, and what a later one adds is passed over.
//!
//! `tests/fixtures/status` has a folder for each version, with objects as its operator left them.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// All objects, with their names.
fn objects() -> Vec<(String, Value)> {
    let all = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/status");
    let read = |path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = read(all.into()).flat_map(read).collect();
    assert!(files.len() >= 19, "{files:?}");
    let object = |file: &std::path::PathBuf| {
        let object = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        (file.display().to_string(), object)
    };
    files.iter().map(object).collect()
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

/// Whether all of `part` is in `whole`, which may have more fields, but no more items.
fn lies_in(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| lies_in(part, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| lies_in(part, whole))
        }
        (part, whole) => part == whole,
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
