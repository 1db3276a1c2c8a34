//! Describes why this version cannot decode an object, without any of its values, because any may be personal data.

use serde_path_to_error::Error;

/// Returns which field is wrong and what was expected there, or which field is missing.
pub(super) fn redacted(error: &Error<serde_json::Error>) -> String {
    // Below spec and status, a path consists of field names. Elsewhere it may contain keys that a user chose.
    let path = error.path().to_string();
    let is_named = ["spec", "status"].iter().any(|part| path == *part || path.starts_with(&format!("{part}.")));
    let path = if is_named { path } else { "object".to_owned() };
    let error = error.inner().to_string();
    let starts = |with: &[&str]| with.iter().any(|start| error.starts_with(start));
    // Only field names follow.
    for problem in ["missing", "duplicate"] {
        if let Some(field) = error.strip_prefix(&format!("{problem} field ")) {
            return format!("{path}: {problem} field {field}");
        }
    }
    if starts(&["invalid type: ", "invalid value: ", "invalid length ", "unknown variant ", "unknown field "])
        && let Some((_value, expected)) = error.rsplit_once(", expected ")
    {
        return format!("{path}: expected {expected}");
    }
    format!("{path}: value cannot be decoded")
}

#[cfg(test)]
mod tests {
    use serde::de::Error as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::EnrollmentRequest;

    fn message_for(spec: &Value) -> String {
        let object = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest", "metadata": {}, "spec": spec,
        });
        redacted(&serde_path_to_error::deserialize::<_, EnrollmentRequest>(&object).unwrap_err())
    }

    #[test]
    fn decode_error_names_the_field_without_its_value() {
        let config = json!({"name": "hosted-web"});
        for (spec, expected) in [
            (json!("jane, expected jane"), "spec: expected struct EnrollmentRequestSpec"),
            (json!({"identity": {"id": "jane"}}), "spec: missing field `authenticatorConfigRef`"),
            (
                json!({"identity": "jane", "authenticatorConfigRef": config}),
                "spec.identity: expected struct IdentityRef",
            ),
            (
                json!({"identity": {"id": "jane"}, "authenticatorConfigRef": config, "attempt": "jane"}),
                "spec.attempt: expected i64",
            ),
            (
                json!({"identity": {"id": "jane"}, "authenticatorConfigRef": config, "deliveryMethod": "jane"}),
                "spec.deliveryMethod: expected `EMAIL`",
            ),
        ] {
            assert_eq!(message_for(&spec), expected);
        }
    }

    #[test]
    fn unknown_error_text_is_not_repeated() {
        for error in ["jane", "parsing jane, expected a time, not jane", "", "invalid type: jane"] {
            #[derive(Debug)]
            struct Never;
            impl<'de> serde::Deserialize<'de> for Never {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    Err(D::Error::custom(text))
                }
            }
            let jane = [("jane".to_owned(), json!(error))];
            let object = Value::Object(serde_json::Map::from_iter(jane));
            type Object = std::collections::HashMap<String, Never>;
            let message = redacted(&serde_path_to_error::deserialize::<_, Object>(&object).unwrap_err());
            assert_eq!(message, "object: value cannot be decoded");
        }
    }
}
