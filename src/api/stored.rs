//! What the API server stored of a status that was written. It drops fields that the schema it serves does not have (that of
//! an older or rolled-back CustomResourceDefinition), and an admission policy may change them, both with an answer of 200.
//! Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// What is only said to people: nothing rests on it, and a difference in it (the API server cuts times to the second) is none.
const SAID: [&str; 2] = ["conditions", "observedGeneration"];

/// The names of the fields that differ between the status that was `written` and the one that was `stored`, such as
/// `status.send` or `status.send.endpoint`: two levels deep, sorted, and never a value. What is only said does not count.
pub fn differing<T: Serialize>(written: &T, stored: &T) -> Vec<String> {
    let (written, stored) = (fields(written), fields(stored));
    let mut names = Vec::new();
    for field in all_names(&written, &stored) {
        let (written, stored) = (written.get(&field), stored.get(&field));
        match (written, stored) {
            _ if SAID.contains(&field.as_str()) || written == stored => {}
            (Some(Value::Object(written)), Some(Value::Object(stored))) => {
                let inner = all_names(written, stored).into_iter().filter(|name| written.get(name) != stored.get(name));
                names.extend(inner.map(|name| format!("status.{field}.{name}")));
            }
            _ => names.push(format!("status.{field}")),
        }
    }
    names
}

/// The fields of a status. One that is absent has none.
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
    use super::*;
    use crate::api::EnrollmentRequestStatus;
    use crate::enrollment_request::testing::{concluded, send};

    fn sending() -> EnrollmentRequestStatus {
        EnrollmentRequestStatus { send: Some(send()), ..concluded() }
    }

    #[test]
    fn what_a_schema_without_a_field_drops_is_named_and_never_shown() {
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
    fn what_was_added_or_changed_on_the_way_counts_too() {
        let changed = EnrollmentRequestStatus { state: Some("COMPLETE".to_owned()), ..concluded() };
        assert_eq!(differing(&concluded(), &changed), ["status.state"]);
        assert_eq!(differing(&concluded(), &sending()), ["status.send"]);
    }

    #[test]
    fn what_is_only_said_does_not_count() {
        let said = EnrollmentRequestStatus { observed_generation: Some(7), ..concluded() };
        assert_eq!(differing(&said, &concluded()), Vec::<String>::new());
    }
}
