//! Scripts on arbitrary objects: never an error, and never Healthy by accident.

use harness::argocd::{act, discover, health};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{self, Index};
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

use super::{dumps, health_script, script};
use crate::generated::argocd::wait_for_people;

/// The same inputs in each run, unless `PROPTEST_CASES` asks for more.
pub(super) fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let rng_seed = if cases.is_some() { RngSeed::Random } else { RngSeed::Fixed(1) };
    ProptestConfig { cases: cases.unwrap_or(256), rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

/// Names that the scripts read.
const NAMES: [&str; 20] = [
    "metadata",
    "spec",
    "status",
    "conditions",
    "type",
    "message",
    "reason",
    "generation",
    "observedGeneration",
    "annotations",
    "beyondidentity.dev/paused",
    "deletionTimestamp",
    "jobID",
    "state",
    "attempt",
    "send",
    "expired",
    "revoked",
    "1",
    "kind",
];
/// Texts that the scripts compare with.
const TEXTS: [&str; 14] = [
    "True",
    "False",
    "Unknown",
    "Ready",
    "Stalled",
    "Reconciling",
    "Paused",
    "Succeeded",
    "Revoked",
    "true",
    "",
    "1",
    "EXPIRED",
    "LINK_SENT",
];

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        sample::select(TEXTS.to_vec()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![9 => sample::select(NAMES.to_vec()).prop_map(str::to_owned), 1 => ".{0,4}"];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name, inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// An object with these parts. Each may be of the wrong type.
fn object() -> impl Strategy<Value = Value> {
    (anything(), anything(), anything()).prop_map(|(metadata, spec, status)| {
        json!({"kind": "EnrollmentRequest", "metadata": metadata, "spec": spec, "status": status})
    })
}

/// A condition that is nearly as the operator writes it.
fn condition() -> impl Strategy<Value = Value> {
    let type_ = sample::select(vec!["Ready", "Ready", "Ready", "Stalled", "Reconciling", "Paused", "Succeeded"]);
    let status = sample::select(vec![
        json!("True"),
        json!("True"),
        json!("True"),
        json!("False"),
        json!("Unknown"),
        json!(true),
    ]);
    (type_, status)
        .prop_map(|(type_, status)| json!({"type": type_, "status": status, "reason": "A", "message": "text"}))
}

/// An object that is nearly healthy.
fn nearly_healthy() -> impl Strategy<Value = Value> {
    let number = || sample::select(vec![json!(1), json!(1), json!(1), json!(2), json!("1"), Value::Null]);
    let paused = sample::select(vec![Value::Null, Value::Null, json!("true"), json!("false"), json!(true)]);
    let deleted = prop_oneof![6 => Just(Value::Null), 1 => Just(json!("2026-01-01T00:00:00Z"))];
    (number(), number(), paused, deleted, vec(condition(), 0..4)).prop_map(|(generation, observed, paused, deleted, conditions)| {
        json!({
            "metadata": {
                "generation": generation, "deletionTimestamp": deleted, "annotations": {"beyondidentity.dev/paused": paused},
            },
            "status": {"observedGeneration": observed, "conditions": conditions},
        })
    })
}

/// The parts of a value, each as the path to it.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| paths(value, &format!("{at}/{}", escaped(name)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| paths(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// A dump with some of its parts replaced. What is replaced by null counts as removed.
fn damaged() -> impl Strategy<Value = Value> {
    let dumps: Vec<_> = dumps().into_iter().map(|(_, object)| object).collect();
    (sample::select(dumps), vec((any::<Index>(), prop_oneof![Just(Value::Null), anything()]), 0..4)).prop_map(
        |(mut object, damages)| {
            for (index, value) in damages {
                let mut found = Vec::new();
                paths(&object, "", &mut found);
                let path = index.get(&found[1..]).clone();
                *object.pointer_mut(&path).unwrap() = value;
            }
            object
        },
    )
}

/// The health by the rules. `null` is nothing in a list.
fn expected(object: &Value) -> &'static str {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let conditions: Vec<&Value> = status["conditions"].as_array().map(|list| list.iter().collect()).unwrap_or_default();
    let has = |type_: &str| conditions.iter().any(|it| it["type"] == type_ && it["status"] == "True");
    let ready = conditions.iter().find(|it| it["type"] == "Ready");
    let wants_pause = metadata["annotations"]["beyondidentity.dev/paused"] == "true";
    let (generation, observed) = (metadata["generation"].as_f64(), status["observedGeneration"].as_f64());
    if !metadata["deletionTimestamp"].is_null() {
        "Progressing"
    } else if wants_pause && has("Paused") {
        "Suspended"
    } else if wants_pause || has("Paused") || generation.is_none() || observed != generation {
        "Progressing"
    } else if has("Stalled") {
        "Degraded"
    } else if !has("Reconciling") && ready.is_some_and(|it| it["status"] == "True") {
        "Healthy"
    } else {
        "Progressing"
    }
}

fn check(object: &Value) -> Result<(), TestCaseError> {
    let found = health(&health_script(), object).map_err(|error| TestCaseError::fail(format!("{error}: {object}")))?;
    prop_assert_eq!(&*found.status, expected(object), "{}", object);
    let patient =
        health(&wait_for_people(), object).map_err(|error| TestCaseError::fail(format!("{error}: {object}")))?;
    if found.status == "Healthy" {
        prop_assert!(["Healthy", "Progressing", "Degraded"].contains(&&*patient.status));
    } else {
        prop_assert_eq!(patient, found);
    }
    // The scripts of the other kinds are the same.
    for kind in ["EnrollmentRequest", "ProviderConfig"] {
        let offered = discover(&script(kind, "actions/discovery.lua"), object);
        let offered = offered.map_err(|error| TestCaseError::fail(format!("{error}: {object}")))?;
        let annotations = &object["metadata"]["annotations"];
        let can_annotate = object["metadata"].is_object() && (annotations.is_null() || annotations.is_object());
        for name in offered.keys().filter(|_| can_annotate) {
            // An action either acts, or says in words why it does not.
            if let Err(error) = act(&script(kind, &format!("actions/{name}/action.lua")), object) {
                prop_assert!(!error.to_string().starts_with("script:"), "{}: {}", error, object);
                prop_assert_eq!(&offered[name]["disabled"], &Value::Bool(true), "{}: {}", name, object);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_object_has_the_health_of_the_rules(object in object()) {
        check(&object)?;
    }

    #[test]
    fn arbitrary_value_is_no_error(object in anything()) {
        check(&object)?;
    }

    #[test]
    fn nearly_healthy_object_has_the_health_of_the_rules(object in nearly_healthy()) {
        check(&object)?;
    }

    #[test]
    fn damaged_dump_has_the_health_of_the_rules(object in damaged()) {
        check(&object)?;
    }
}

#[test]
fn kinds_without_jobs_have_the_same_scripts() {
    for path in [
        "actions/discovery.lua",
        "actions/reconcile/action.lua",
        "actions/pause/action.lua",
        "actions/resume/action.lua",
    ] {
        for kind in ["AuthenticatorConfig", "ClusterProviderConfig"] {
            assert_eq!(script(kind, path), script("ProviderConfig", path), "{kind} {path}");
        }
    }
}

#[test]
fn wrong_types_are_progressing() {
    for status in [
        json!("x"),
        json!([]),
        json!(1),
        json!(null),
        json!({"conditions": "x"}),
        json!({"conditions": {"Ready": "True"}}),
    ] {
        let object = json!({"metadata": {"generation": 1}, "status": status});
        assert_eq!(health(&health_script(), &object).unwrap().status, "Progressing", "{object}");
    }
    let ready = json!([{"type": "Ready", "status": "True"}]);
    for (generation, observed) in
        [(json!("1"), json!("1")), (json!(null), json!(null)), (json!(1), json!("1")), (json!(1), json!(null))]
    {
        let object = json!({"metadata": {"generation": generation}, "status": {"observedGeneration": observed, "conditions": ready}});
        assert_eq!(health(&health_script(), &object).unwrap().status, "Progressing", "{object}");
    }
    let strings = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": ["Ready", 1, null, ready[0]]}});
    assert_eq!(health(&health_script(), &strings).unwrap().status, "Healthy", "the other conditions still count");
}
