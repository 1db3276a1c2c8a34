//! Compares the schema that the API server serves with the one that this version needs. With older definitions, the API
//! server silently drops unknown fields.

use std::time::Duration;

use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Error};
use serde_json::Value;

use crate::api::{GROUP, crds};
use crate::runtime::cause;

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The number of attempts. A definition that was just applied may not be in the document yet.
const TRIES: usize = 4;
/// The delay between attempts.
const PAUSE: Duration = Duration::from_secs(3);

/// Compares the served schema with the one that this version needs, and warns about missing fields. It blocks nothing,
/// because each write is checked on its own.
pub async fn check(client: Client) {
    let mut found = Err(String::new());
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        found = missing_fields(&client).await;
        if found.as_ref().is_ok_and(Vec::is_empty) {
            return;
        }
    }
    match found {
        Ok(missing_fields) => missing_fields.iter().for_each(|MissingFields { kind, fields }| {
            tracing::warn!(
                %kind,
                fields = fields.join(", "),
                "Installed CustomResourceDefinition lacks fields of this version, and the API server drops them; upgrade \
                 the Helm release, or apply crds/ of this version with kubectl apply --server-side --force-conflicts"
            );
        }),
        Err(why) => {
            tracing::warn!(error = why, "Comparing the installed CustomResourceDefinitions with this version failed")
        }
    }
}

/// A kind whose installed definition lacks fields.
#[derive(Debug, PartialEq, Eq)]
struct MissingFields {
    kind: String,
    fields: Vec<String>,
}

/// Returns the kinds with missing fields, or why the schema cannot be compared.
async fn missing_fields(client: &Client) -> Result<Vec<MissingFields>, String> {
    let request = Request::new(format!("/openapi/v3/apis/{GROUP}")).get(crds::VERSION, &GetParams::default());
    let request = request.map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(TIMEOUT, client.request::<Value>(request)).await;
    let document =
        answer.map_err(|_| format!("no response within {} s", TIMEOUT.as_secs()))?.map_err(|error| match error {
            Error::Api(status) => format!("{}: {}", status.code, status.message),
            error => cause(&error),
        })?;
    compared(&crds::schemas(), &document)
}

/// Returns what each kind lacks in this OpenAPI document. `needed` contains the kinds with their schemas.
fn compared(needed: &[(String, Value)], document: &Value) -> Result<Vec<MissingFields>, String> {
    let served = |kind: &str| {
        let schemas = document["components"]["schemas"].as_object()?.values();
        schemas.into_iter().find(|schema| {
            let names = schema["x-kubernetes-group-version-kind"].as_array();
            names
                .into_iter()
                .flatten()
                .any(|name| name["group"] == GROUP && name["version"] == crds::VERSION && name["kind"] == kind)
        })
    };
    let mut all = Vec::new();
    for (kind, needed) in needed {
        let served = served(kind).ok_or_else(|| format!("the OpenAPI document of the Kubernetes API has no {kind}"))?;
        let mut fields = Vec::new();
        for part in ["spec", "status"] {
            match (&needed["properties"][part], &served["properties"][part]) {
                (Value::Null, _) => {}
                (_, Value::Null) => fields.push(part.to_owned()),
                (needed, served) => missing(part, needed, served, &mut fields),
            }
        }
        if !fields.is_empty() {
            all.push(MissingFields { kind: kind.clone(), fields });
        }
    }
    Ok(all)
}

/// Adds to `fields` the properties below `path` that `needed` has and `served` lacks. Properties below a missing one
/// are not listed.
fn missing(path: &str, needed: &Value, served: &Value, fields: &mut Vec<String>) {
    // The API server keeps every field here.
    if served["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for (name, needed) in needed["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match served["properties"].get(name) {
            Some(served) => missing(&path, needed, served, fields),
            None => fields.push(path),
        }
    }
    if let (Some(needed), Some(served)) = (needed.get("items"), served.get("items")) {
        missing(&format!("{path}[]"), needed, served, fields);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The OpenAPI document of an API server with these schemas.
    fn document(schemas: &[(String, Value)]) -> Value {
        let named = schemas.iter().map(|(kind, schema)| {
            let mut schema = schema.clone();
            schema["x-kubernetes-group-version-kind"] =
                json!([{"group": GROUP, "version": crds::VERSION, "kind": kind}]);
            (format!("dev.beyondidentity.v1alpha1.{kind}"), schema)
        });
        let list = ("dev.beyondidentity.v1alpha1.EnrollmentRequestList".to_owned(), json!({"type": "object"}));
        json!({"components": {"schemas": named.chain([list]).collect::<serde_json::Map<_, _>>()}})
    }

    /// The missing fields after this change to the schema of this kind.
    fn without(kind: &str, change: impl Fn(&mut Value)) -> Vec<String> {
        let mut older = crds::schemas();
        older.iter_mut().filter(|(of, _)| of == kind).for_each(|(_, schema)| change(schema));
        let missing_fields = compared(&crds::schemas(), &document(&older)).unwrap();
        assert!(missing_fields.iter().all(|missing_fields| missing_fields.kind == kind), "{missing_fields:?}");
        missing_fields.into_iter().flat_map(|missing_fields| missing_fields.fields).collect()
    }

    fn remove(schema: &mut Value, parent: &str, name: &str) {
        schema.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    }

    #[test]
    fn own_definitions_lack_nothing() {
        assert_eq!(crds::schemas().len(), 4);
        assert_eq!(without("EnrollmentRequest", |_| {}), [""; 0]);
        let more = |schema: &mut Value| schema["properties"]["spec"]["properties"]["newer"] = json!({"type": "string"});
        assert_eq!(without("EnrollmentRequest", more), [""; 0], "a newer definition");
    }

    #[test]
    fn missing_field_is_named_at_any_depth_without_its_children() {
        let status = "/properties/status/properties";
        assert_eq!(without("EnrollmentRequest", |schema| remove(schema, status, "send")), ["status.send"]);
        let deep = format!("{status}/send/properties");
        assert_eq!(
            without("EnrollmentRequest", |schema| remove(schema, &deep, "notBefore")),
            ["status.send.notBefore"]
        );
        let item = format!("{status}/previousJobs/items/properties");
        let removed = without("EnrollmentRequest", |schema| {
            remove(schema, &item, "state");
            remove(schema, "/properties/spec/properties", "revoked");
        });
        assert_eq!(removed, ["spec.revoked", "status.previousJobs[].state"]);
        assert_eq!(without("AuthenticatorConfig", |schema| remove(schema, "/properties", "status")), ["status"]);
    }

    #[test]
    fn preserved_unknown_fields_are_not_missing() {
        let loose = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(without("EnrollmentRequest", |schema| schema["properties"]["spec"] = loose.clone()), [""; 0]);
    }

    #[test]
    fn document_without_a_kind_is_an_error() {
        for document in [json!({}), json!("x"), document(&crds::schemas()[..1])] {
            let why = compared(&crds::schemas(), &document).unwrap_err();
            assert!(why.starts_with("the OpenAPI document of the Kubernetes API has no "), "{why}");
        }
    }
}
