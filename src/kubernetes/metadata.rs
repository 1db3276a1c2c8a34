//! Reduces the metadata of an object to what the operator uses, before it is decoded. Whoever may write an object decides how
//! much there is and what is in it, and one object must not spoil the list of all. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{ANNOTATIONS, FINALIZER};

/// The longest value of an annotation that is kept, in bytes: no job id and no status text is longer. A longer value names
/// no job, and requests nothing.
pub(super) const ANNOTATION: usize = 4096;

/// The most finalizers that are kept. An object with as many may have more.
pub(super) const FINALIZERS: usize = 32;

/// The most field managers that are kept.
const MANAGERS: usize = 32;

/// The fields that are kept as they are. The API server sets and bounds them.
const KEPT: [&str; 8] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Reduces the metadata of this object.
pub(super) fn reduce(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.remove("annotations").map(annotations);
    let finalizers = metadata.remove("finalizers").map(finalizers);
    let managers = metadata.remove("managedFields").map(managers);
    metadata.retain(|field, _| KEPT.contains(&field.as_str()));
    let reduced = [("annotations", annotations), ("finalizers", finalizers), ("managedFields", managers)];
    metadata.extend(reduced.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))));
}

/// The annotations that the operator reads.
fn annotations(all: Value) -> Value {
    let Value::Object(mut all) = all else { return json!({}) };
    all.retain(|name, value| {
        ANNOTATIONS.contains(&name.as_str()) && value.as_str().is_some_and(|value| value.len() <= ANNOTATION)
    });
    all.into()
}

/// The operator's finalizer, if it is there, and the first of the others.
fn finalizers(all: Value) -> Value {
    let Value::Array(mut all) = all else { return json!([]) };
    let own = all.iter().skip(FINALIZERS).any(|finalizer| finalizer == FINALIZER);
    all.truncate(FINALIZERS);
    if own && let Some(last) = all.last_mut() {
        *last = FINALIZER.into();
    }
    all.into()
}

/// Who manages the spec and the annotations that the operator reads, and since when. Anybody can write any time here, also
/// one that no program can represent.
fn managers(all: Value) -> Value {
    let entries = all.as_array().into_iter().flatten().filter_map(|entry| {
        let fields = entry.get("fieldsV1")?;
        let annotations = fields.pointer("/f:metadata/f:annotations").and_then(Value::as_object);
        let is_read = |field: &&String| ANNOTATIONS.iter().any(|name| field.strip_prefix("f:") == Some(name));
        let annotations: Map<_, _> = annotations
            .into_iter()
            .flat_map(Map::keys)
            .filter(is_read)
            .map(|field| (field.clone(), json!({})))
            .collect();
        let mut kept = Map::new();
        if fields.get("f:spec").is_some() {
            kept.insert("f:spec".to_owned(), json!({}));
        }
        if !annotations.is_empty() {
            kept.insert("f:metadata".to_owned(), json!({"f:annotations": annotations}));
        }
        if kept.is_empty() || entry.get("subresource").is_some() {
            return None;
        }
        let time = entry.get("time").filter(|time| time.as_str().is_some_and(|time| time.parse::<Timestamp>().is_ok()));
        Some(json!({"manager": entry.get("manager")?.as_str()?, "time": time, "fieldsV1": kept}))
    });
    entries.take(MANAGERS).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::api::{PAUSED, RESEND, REVOKE};

    /// The reduced metadata, decoded.
    fn reduced(metadata: Value) -> ObjectMeta {
        let mut object = json!({"metadata": metadata, "spec": {"kept": true}});
        reduce(&mut object);
        assert_eq!(object["spec"], json!({"kept": true}));
        serde_json::from_value(object["metadata"].take()).unwrap()
    }

    #[test]
    fn metadata_that_is_not_used_is_dropped() {
        let meta = reduced(json!({
            "name": "jane", "namespace": "team", "uid": "1", "resourceVersion": "2", "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "generateName": "x", "selfLink": "x", "labels": {"a": "b"}, "ownerReferences": [{"name": "x"}], "future": 1,
            "annotations": {"a": "b", PAUSED: "true", REVOKE: "x".repeat(ANNOTATION + 1)},
        }));
        assert_eq!(
            (meta.name.as_deref(), meta.namespace.as_deref(), meta.uid.as_deref()),
            (Some("jane"), Some("team"), Some("1"))
        );
        assert_eq!((meta.resource_version.as_deref(), meta.generation), (Some("2"), Some(3)));
        assert!(meta.creation_timestamp.is_some() && meta.deletion_timestamp.is_some());
        assert!(meta.labels.is_none() && meta.owner_references.is_none() && meta.generate_name.is_none());
        assert_eq!(meta.annotations.unwrap().into_iter().collect::<Vec<_>>(), [(PAUSED.to_owned(), "true".to_owned())]);
        assert!(meta.finalizers.is_none() && meta.managed_fields.is_none());
    }

    #[test]
    fn own_finalizer_is_kept_among_many() {
        let many = || vec!["a/b"; 100_000];
        assert_eq!(reduced(json!({"finalizers": many()})).finalizers.unwrap(), vec!["a/b"; FINALIZERS]);
        let last = [many(), vec![FINALIZER]].concat();
        let kept = reduced(json!({"finalizers": last})).finalizers.unwrap();
        assert_eq!((kept.len(), kept.iter().filter(|kept| *kept == FINALIZER).count()), (FINALIZERS, 1));
        assert_eq!(reduced(json!({"finalizers": ["a/b", FINALIZER]})).finalizers.unwrap(), ["a/b", FINALIZER]);
    }

    #[test]
    fn managers_of_any_form_are_read() {
        let entry =
            |manager: &str, time: Value, fields: Value| json!({"manager": manager, "time": time, "fieldsV1": fields});
        let spec = json!({"f:spec": {"f:identity": {"f:id": {}}}});
        let mut status = entry("status", json!(null), spec.clone());
        status["subresource"] = json!("status");
        let annotations = json!({"f:metadata": {"f:annotations": {"f:a": {}, format!("f:{RESEND}"): {}}}});
        let meta = reduced(json!({"managedFields": [
            entry("argocd", json!("2026-01-01T00:00:00Z"), spec.clone()),
            entry("poison", json!("9999-12-31T23:59:59Z"), spec.clone()),
            entry("annotate", json!(7), annotations),
            entry("labels", json!("2026-01-01T00:00:00Z"), json!({"f:metadata": {"f:labels": {}}})),
            status, json!("nonsense"), json!({"manager": 1, "fieldsV1": spec}),
        ]}));
        let entries = meta.managed_fields.unwrap();
        let shown: Vec<_> = entries.iter().map(|it| (it.manager.as_deref().unwrap(), it.time.is_some())).collect();
        assert_eq!(shown, [("argocd", true), ("poison", false), ("annotate", false)]);
        assert_eq!(entries[0].fields_v1.as_ref().unwrap().0, json!({"f:spec": {}}));
        let annotations = json!({"f:metadata": {"f:annotations": {format!("f:{RESEND}"): {}}}});
        assert_eq!(entries[2].fields_v1.as_ref().unwrap().0, annotations);
    }
}
