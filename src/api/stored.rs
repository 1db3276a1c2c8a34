//! Compares a written status with the one that the API server stored. The API server drops fields that its schema
//! lacks, as with an older or rolled-back CustomResourceDefinition. An admission policy may change fields. The response
//! is 200 in both cases. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// Fields that only inform people. The operator does not rely on them, so a difference is ignored. (The API server cuts
/// times to the second.)
const INFORMATIONAL: [&str; 2] = ["conditions", "observedGeneration"];

/// The names of the fields that differ between the `written` and the `stored` status, such as `status.send` or
/// `status.send.endpoint`. They are two levels deep, sorted, and contain no values. Informational fields are ignored.
pub fn differing<T: Serialize>(written: &T, stored: &T) -> Vec<String> {
    let (written, stored) = (fields(written), fields(stored));
    let mut names = Vec::new();
    for field in all_names(&written, &stored) {
        let (written, stored) = (written.get(&field), stored.get(&field));
        match (written, stored) {
            _ if INFORMATIONAL.contains(&field.as_str()) || written == stored => {}
            (Some(Value::Object(written)), Some(Value::Object(stored))) => {
                let inner = all_names(written, stored).into_iter().filter(|name| written.get(name) != stored.get(name));
                names.extend(inner.map(|name| format!("status.{field}.{name}")));
            }
            _ => names.push(format!("status.{field}")),
        }
    }
    names
}

/// The fields of a status. An absent status has none.
fn fields(status: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn all_names(one: &Map<String, Value>, other: &Map<String, Value>) -> BTreeSet<String> {
    one.keys().chain(other.keys()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};
    use proptest::{collection, sample};
    use serde_json::json;

    use super::*;
    use crate::api::EnrollmentRequestStatus;
    use crate::enrollment_request::testing::{concluded, send};

    fn sending() -> EnrollmentRequestStatus {
        EnrollmentRequestStatus { send: Some(send()), ..concluded() }
    }

    #[test]
    fn dropped_fields_are_named_without_their_values() {
        assert_eq!(differing(&sending(), &sending()), Vec::<String>::new());
        assert_eq!(differing(&sending(), &concluded()), ["status.send"]);
        let mut older = sending();
        older.send.as_mut().unwrap().endpoint = None;
        let mut newer = sending();
        newer.send.as_mut().unwrap().endpoint = Some("https://api.example.com".to_owned());
        assert_eq!(differing(&newer, &older), ["status.send.endpoint"]);
        let bare = EnrollmentRequestStatus { job_id: None, attempt: None, ..concluded() };
        assert_eq!(differing(&concluded(), &bare), ["status.attempt", "status.jobID"]);
        let all = differing(&Some(concluded()), &None);
        assert!(
            ["status.attempt", "status.jobID", "status.tenantID"]
                .iter()
                .all(|field| all.contains(&(*field).to_owned()))
        );
    }

    #[test]
    fn added_and_changed_fields_are_named() {
        let changed = EnrollmentRequestStatus { state: Some("COMPLETE".to_owned()), ..concluded() };
        assert_eq!(differing(&concluded(), &changed), ["status.state"]);
        assert_eq!(differing(&concluded(), &sending()), ["status.send"]);
    }

    #[test]
    fn observed_generation_is_not_compared() {
        let other_generation = EnrollmentRequestStatus { observed_generation: Some(7), ..concluded() };
        assert_eq!(differing(&other_generation, &concluded()), Vec::<String>::new());
    }

    /// A random subset of a few fields.
    fn any_fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let name = sample::select(vec!["attempt", "conditions", "jobID", "observedGeneration", "send"]);
        collection::btree_map(name, value, 0..4).prop_map(|fields| json!(fields))
    }

    fn any_status() -> impl Strategy<Value = Value> {
        let secret = (0..3).prop_map(|number| json!(format!("value {number}"))).boxed();
        any_fields(prop_oneof![secret.clone(), any_fields(secret)])
    }

    proptest! {
        #![proptest_config(Config { cases: 2_000, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Config::default() })]

        #[test]
        fn exactly_the_differing_fields_are_named(written in any_status(), stored in any_status()) {
            let names = differing(&written, &stored);
            prop_assert_eq!(&names, &differing(&stored, &written));
            prop_assert!(names.is_sorted(), "{:?}", names);
            prop_assert!(!names.iter().any(|name| name.contains("value")), "{:?}", names);
            // With the named fields copied, both agree in every field that is compared.
            let mut patched = stored.clone();
            for name in &names {
                let pointer = name.trim_start_matches("status").replace('.', "/");
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                prop_assert_ne!(written.pointer(&pointer), stored.pointer(&pointer));
                let parent = patched.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                match written.pointer(&pointer) {
                    Some(value) => _ = parent.insert(field.to_owned(), value.clone()),
                    None => _ = parent.remove(field),
                }
            }
            for field in ["attempt", "jobID", "send"] {
                prop_assert_eq!(patched.get(field), written.get(field));
            }
        }
    }
}
