//! Why an object does not fit this version's schema, in words that hold none of its values: any may be somebody's name.

use kube::core::error_boundary::InvalidObject;

/// What was expected instead, or which field is missing.
pub(super) fn misfit(invalid: &InvalidObject) -> String {
    let error = &invalid.error;
    let starts = |with: &[&str]| with.iter().any(|start| error.starts_with(start));
    // Only the names of fields follow.
    if starts(&["Missing field ", "Duplicate field "]) {
        return format!("{}{}", error[..1].to_lowercase(), &error[1..]);
    }
    if starts(&["Invalid type ", "Invalid value ", "Invalid length ", "Unknown variant ", "Unknown field "])
        && let Some((_value, expected)) = error.rsplit_once(". Expected ")
    {
        return format!("in some field {expected} was expected");
    }
    "some field has a value that cannot be read".to_owned()
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use serde_json::json;

    use super::*;
    use crate::api::EnrollmentRequest;

    fn said(spec: &serde_json::Value) -> String {
        let object = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest", "metadata": {}, "spec": spec,
        });
        let guard: DeserializeGuard<EnrollmentRequest> = serde_json::from_value(object).unwrap();
        misfit(&guard.0.unwrap_err())
    }

    #[test]
    fn what_does_not_fit_is_said_without_its_value() {
        let config = json!({"name": "hosted-web"});
        for (spec, expected) in [
            (json!("jane. Expected jane"), "in some field struct EnrollmentRequestSpec was expected"),
            (json!({"identity": {"id": "jane"}}), "missing field authenticatorConfigRef"),
            (
                json!({"identity": "jane", "authenticatorConfigRef": config}),
                "in some field struct IdentityRef was expected",
            ),
            (
                json!({"identity": {"id": "jane"}, "authenticatorConfigRef": config, "attempt": "jane"}),
                "in some field i64 was expected",
            ),
        ] {
            assert_eq!(said(&spec), expected);
        }
        for error in ["jane", "parsing jane: Expected a time, not jane", "", "Invalid type jane"] {
            let invalid = InvalidObject { error: error.to_owned(), metadata: Default::default() };
            assert_eq!(misfit(&invalid), "some field has a value that cannot be read");
        }
    }
}
