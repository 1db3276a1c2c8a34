//! A validation rule that a later version adds blocks no write of an object that is already stored: neither its status,
//! nor its finalizer, nor its deletion.
//!
//! The test treats each rule of the current schemas as such a rule. An object that violates it is stored before the
//! rule applies.

mod rules;
mod violations;

use std::time::{Duration, Instant};

use beyond_identity_operator::api::conditions::conditions;
use beyond_identity_operator::api::phase::why;
use beyond_identity_operator::api::{
    AuthenticatorConfig, EnrollmentRequest, FINALIZER, HasStatus, Phase, Reason, crds,
};
use futures::{StreamExt, stream};
use harness::control_plane::ControlPlane;
use jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::rules::{Rule, loosened, rules};
use self::violations::{KEY, Violation, merge, reach, violation};
use crate::fixture::{cluster, object, refusal};

const NAMESPACE: &str = "ratcheting";
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";
/// The name of the objects that break no rule.
const CLEAN: &str = "clean";
/// The number of objects that are handled concurrently.
const CONCURRENCY: usize = 8;

/// An object that is stored before the rule applies.
struct Case {
    kind: String,
    api: Api<DynamicObject>,
    name: String,
    rule: Rule,
    /// The object as it is stored.
    stored: Value,
    /// The change that the rule forbids, for a transition rule.
    change: Option<Value>,
}

#[tokio::test]
async fn stricter_rule_blocks_no_write_of_stored_objects() {
    let control_plane = ControlPlane::start().unwrap();
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    cluster::create_namespace(&client, NAMESPACE).await;
    let definitions: Vec<Value> = serde_saphyr::from_multiple(&crds::yaml()).unwrap();
    let cases: Vec<Case> = definitions.iter().flat_map(|definition| cases(&client, definition)).collect();
    assert!(cases.len() > 100, "rules are missing: {}", cases.len());

    for definition in &definitions {
        let mut definition = definition.clone();
        let schema = definition.pointer_mut(SCHEMA).unwrap();
        *schema = loosened(schema.take());
        control_plane.apply(&definition.to_string()).unwrap();
    }
    each(&cases, |case| until(case, "the object is accepted", Result::is_ok)).await;
    each(&cases, store).await;
    let clean: Vec<Case> = definitions.iter().map(|definition| clean(&client, definition)).collect();
    each(&clean, store).await;

    for definition in &definitions {
        control_plane.apply(&definition.to_string()).unwrap();
    }
    let is_spec_violation =
        |case: &Case| case.change.is_none() && case.rule.path.first().is_some_and(|part| part == "spec");
    for kind in clean.iter().map(|clean| &clean.kind) {
        let case = cases.iter().find(|case| &case.kind == kind && is_spec_violation(case)).unwrap();
        until(case, "the object is refused", Result::is_err).await;
    }
    let outcomes = stream::iter(&cases).map(|case| async {
        assert_violates_its_rule(case).await;
        match (writes(case).await, never_ratchets(case, schema_of(&definitions, &case.kind))) {
            (Ok(()), false) | (Err(_), true) => None,
            (Ok(()), true) => Some(format!("{}: the rule blocks no write", described(case))),
            (Err(problem), false) => Some(format!("{}: {problem}", described(case))),
        }
    });
    let problems: Vec<String> =
        outcomes.buffer_unordered(CONCURRENCY).filter_map(async |problem| problem).collect().await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Required fields that CEL rules read without `has()`. The API server ratchets a rule that an object violates, but not
/// one that fails to evaluate. These fields are required since the first version, so no stored object lacks them. A
/// field that becomes required later must not be listed here: rules that read it must test `has()` first.
const REQUIRED_SINCE_THE_FIRST_VERSION: [(&str, &str); 7] = [
    ("AuthenticatorConfig", "spec.config"),
    ("AuthenticatorConfig", "spec.config.type"),
    ("AuthenticatorConfig", "spec.config.onboardingConfiguration.verificationMethod.type"),
    ("ClusterProviderConfig", "spec.realmID"),
    ("ClusterProviderConfig", "spec.tenantID"),
    ("EnrollmentRequest", "spec.authenticatorConfigRef"),
    ("EnrollmentRequest", "spec.identity"),
];

/// Whether the API server enforces a rule on every write. It matches the items of a list of type `map` by their keys,
/// so the keys must exist. Each write changes the root, which requires a spec.
fn never_ratchets(case: &Case, schema: &Value) -> bool {
    let Rule { path, keyword, value } = &case.rule;
    let key_of = |list: &[String]| {
        let property = |schema: &Value, step: &String| match step.as_str() {
            "[]" => schema["items"].clone(),
            name => schema["properties"][name].clone(),
        };
        let list = list.iter().fold(schema.clone(), |schema, step| property(&schema, step));
        list["x-kubernetes-list-map-keys"].as_array().is_some_and(|keys| keys.contains(value))
    };
    let is_key = path.split_last().is_some_and(|(last, list)| last == "[]" && key_of(list));
    let first = REQUIRED_SINCE_THE_FIRST_VERSION.contains(&(&case.kind, &field(&case.rule)));
    keyword == "required" && (path.is_empty() || is_key || first)
}

/// The field of a rule, as the API server names it.
fn field(rule: &Rule) -> String {
    let required = rule.value.as_str().filter(|_| rule.keyword == "required");
    let path: Vec<_> = rule.path.iter().map(String::as_str).chain(required).collect();
    path.join(".").replace(".[]", "[0]").replace('*', KEY)
}

fn schema_of<'a>(definitions: &'a [Value], kind: &str) -> &'a Value {
    let definition = definitions.iter().find(|definition| definition["spec"]["names"]["kind"] == kind);
    definition.unwrap().pointer(SCHEMA).unwrap()
}

/// Runs `act` on each case concurrently.
async fn each<'a, F: Future<Output = ()>>(cases: &'a [Case], act: impl Fn(&'a Case) -> F) {
    stream::iter(cases).for_each_concurrent(CONCURRENCY, act).await;
}

/// A case for each rule of a kind.
fn cases(client: &Client, definition: &Value) -> Vec<Case> {
    let schema = definition.pointer(SCHEMA).unwrap();
    let valid = valid(definition);
    let kind = valid["kind"].as_str().unwrap();
    let cases = rules(schema).into_iter().enumerate().map(|(number, rule)| {
        let (stored, change) = match violation(kind, schema, &valid, &rule) {
            Violation::Stored(stored) => (stored, None),
            Violation::Change(change) => (valid.clone(), Some(change)),
        };
        case(client, definition, format!("rule-{number}"), rule, stored, change)
    });
    cases.collect()
}

/// An object that breaks no rule.
fn clean(client: &Client, definition: &Value) -> Case {
    let nothing = Rule { path: Vec::new(), keyword: "none".to_owned(), value: Value::Null };
    case(client, definition, CLEAN.to_owned(), nothing, valid(definition), None)
}

fn case(
    client: &Client,
    definition: &Value,
    name: String,
    rule: Rule,
    mut stored: Value,
    change: Option<Value>,
) -> Case {
    stored["metadata"] = json!({"name": name});
    let kind = stored["kind"].as_str().unwrap().to_owned();
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk(beyond_identity_operator::api::GROUP, "v1alpha1", &kind));
    let api = match definition["spec"]["scope"].as_str().unwrap() {
        "Namespaced" => Api::namespaced_with(client.clone(), NAMESPACE, &resource),
        _ => Api::all_with(client.clone(), &resource),
    };
    Case { kind, api, name, rule, stored, change }
}

/// A valid object of a kind, with the status of an object that has a remote resource.
fn valid(definition: &Value) -> Value {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
    let mut valid = json!({"apiVersion": "beyondidentity.dev/v1alpha1", "kind": kind});
    let (spec, done): (Value, &[&str]) = match kind {
        "EnrollmentRequest" => (
            json!({"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "jane"}}),
            &["jobID", "state", "attempt", "send", "previousJobs"],
        ),
        "AuthenticatorConfig" => (
            json!({"config": {
                "type": "hosted_web", "authenticationMethods": [{"type": "webauthn_passkey"}],
                "trustedOrigins": ["https://app.example.com"],
            }}),
            &["id", "tenantID", "realmID", "create"],
        ),
        "ClusterProviderConfig" => (
            json!({
                "tenantID": "tenant", "realmID": "realm", "endpoint": {"api": "https://api.example.com"},
                "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
            }),
            &[],
        ),
        "ProviderConfig" => (
            json!({
                "tenantID": "tenant", "realmID": "realm", "region": "US",
                "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
            }),
            &[],
        ),
        other => panic!("no valid object of kind {other} is known: add one here"),
    };
    valid["spec"] = spec;
    for field in done {
        let path = ["status".to_owned(), (*field).to_owned()];
        reach(&mut valid, definition.pointer(SCHEMA).unwrap(), &path);
    }
    valid
}

/// Waits until the result of a dry-run creation of the object fits.
async fn until(case: &Case, what: &str, fits: impl Fn(&kube::Result<DynamicObject>) -> bool) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let mut stored = case.stored.clone();
    stored["metadata"]["name"] = json!(format!("{}-dry", case.name));
    let started = Instant::now();
    loop {
        let result = case.api.create(&dry, &object(stored.clone())).await;
        if fits(&result) {
            return;
        }
        let timeout = Duration::from_secs(60);
        assert!(started.elapsed() < timeout, "{}: waited in vain until {what}: {result:?}", described(case));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Stores the object with its status.
async fn store(case: &Case) {
    let stored = case.api.create(&PostParams::default(), &object(case.stored.clone())).await.unwrap();
    let Some(status) = case.stored.get("status") else { return };
    let mut stored = json!(stored);
    stored["status"] = status.clone();
    put_status(case, stored).await.unwrap_or_else(|error| panic!("{}: {error}", described(case)));
}

/// Asserts that the current schema refuses the object, or the change, and names the field.
async fn assert_violates_its_rule(case: &Case) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let mut new = case.stored.clone();
    let result = if let Some(change) = &case.change {
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        case.api.patch(&case.name, &dry, &Patch::Merge(change)).await
    } else if case.rule.path.first().is_some_and(|part| part == "status") {
        let mut clean = json!(case.api.get(CLEAN).await.unwrap());
        clean["status"] = new["status"].take();
        case.api.replace_status(CLEAN, &dry, &object(clean)).await
    } else {
        new["metadata"]["name"] = json!(format!("{}-new", case.name));
        case.api.create(&dry, &object(new)).await
    };
    let refused = refusal(result);
    let path = field(&case.rule);
    let message = case.rule.value["message"].as_str().unwrap_or_default();
    assert!(
        refused.contains(&path) && refused.contains(message),
        "{}: the message does not name the field and the rule: {refused}",
        described(case)
    );
}

/// Makes all writes that the operator makes to an object, until it is deleted.
async fn writes(case: &Case) -> Result<(), String> {
    patched(case, json!({"labels": {"example.com/touched": "true"}})).await?;
    finalizer(case, json!([FINALIZER])).await?;
    let has_status = case.stored.get("status").is_some();
    if has_status {
        let mut moved = read(case).await;
        let change = match case.kind.as_str() {
            "EnrollmentRequest" => json!({"state": "LINK_OPENED", "observedGeneration": 7}),
            _ => json!({"failingSince": "2026-01-01T00:00:00Z", "observedGeneration": 7}),
        };
        merge(&mut moved["status"], change);
        put_status(case, moved).await.map_err(|error| format!("another state in status: {error}"))?;
        write_conditions(case, &Phase::Outstanding(why(Reason::LinkSent, "The enrolment email was sent"))).await?;
    }
    case.api.delete(&case.name, &DeleteParams::default()).await.map_err(|error| format!("deletion: {error}"))?;
    if has_status {
        let why = why(Reason::Deleting, "The link is being revoked");
        write_conditions(case, &Phase::Deleting { why, blocked: false }).await?;
    }
    finalizer(case, json!([])).await?;
    match case.api.get_opt(&case.name).await.unwrap() {
        None => Ok(()),
        Some(remaining) => Err(format!("the object still exists: {}", json!(remaining))),
    }
}

/// Writes the conditions of a phase to the status, as the operator does.
async fn write_conditions(case: &Case, phase: &Phase) -> Result<(), String> {
    let object = read(case).await;
    let object = match case.kind.as_str() {
        "EnrollmentRequest" => with_conditions::<EnrollmentRequest>(object, phase),
        _ => with_conditions::<AuthenticatorConfig>(object, phase),
    };
    put_status(case, object).await.map_err(|error| format!("conditions of {phase:?} in status: {error}"))
}

/// The object with the conditions of `phase`. The operator skips an object that it cannot decode. Its conditions need
/// not equal those of the operator.
fn with_conditions<K: HasStatus + DeserializeOwned + Serialize>(mut object: Value, phase: &Phase) -> Value {
    match serde_json::from_value::<K>(object.clone()) {
        Ok(mut decoded) => {
            let conditions = conditions(phase, 7, decoded.conditions(), Timestamp::UNIX_EPOCH);
            decoded.set_conditions(conditions, Some(7));
            json!(decoded)
        }
        Err(_) => {
            object["status"]["conditions"] = json!(conditions(phase, 7, &[], Timestamp::UNIX_EPOCH));
            object
        }
    }
}

/// The merge patch with which the operator adds and removes the finalizer.
async fn finalizer(case: &Case, finalizers: Value) -> Result<(), String> {
    let object = read(case).await;
    let metadata = &object["metadata"];
    let (uid, version) = (&metadata["uid"], &metadata["resourceVersion"]);
    patched(case, json!({"uid": uid, "resourceVersion": version, "finalizers": finalizers})).await
}

async fn patched(case: &Case, metadata: Value) -> Result<(), String> {
    let patch = Patch::Merge(json!({"metadata": metadata}));
    let result = case.api.patch(&case.name, &PatchParams::default(), &patch).await;
    result.map(drop).map_err(|error| format!("patch of {metadata}: {error}"))
}

async fn read(case: &Case) -> Value {
    json!(case.api.get(&case.name).await.unwrap())
}

async fn put_status(case: &Case, value: Value) -> kube::Result<()> {
    case.api.replace_status(&case.name, &PostParams::default(), &object(value)).await.map(drop)
}

fn described(case: &Case) -> String {
    let Rule { path, keyword, value } = &case.rule;
    format!("{} {} {keyword} {value}", case.kind, path.join("."))
}
