//! The scripts in Argo CD's own Lua: the cases beside them as Argo CD's repository runs them, and the same results as in
//! the Lua of the other tests, also for damaged objects.

use std::fs;
use std::path::{Path, PathBuf};

use harness::argocd::{act, discover, health};
use serde_json::{Map, Value, json};

use super::{KINDS, ask, folder};

const CONFIG_MAP: &str = "argocd-cm.yaml";

fn kind_folder(kind: &str) -> PathBuf {
    folder().join("resource_customizations/beyondidentity.dev").join(kind)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).map_err(|error| (path, error)).unwrap()
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&read(path)).map_err(|error| (path, error)).unwrap()
}

fn tests(kind: &str, file: &str, list: &str) -> Vec<Value> {
    yaml(&kind_folder(kind).join(file))[list].as_array().unwrap().clone()
}

fn text<'a>(test: &'a Value, field: &str) -> &'a str {
    test[field].as_str().unwrap()
}

/// The dumps of a kind.
fn dumps(kind: &str) -> Vec<Value> {
    let entries = fs::read_dir(kind_folder(kind).join("testdata")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| yaml(path)).collect()
}

#[test]
fn each_dump_has_the_health_of_its_case() {
    for kind in KINDS {
        let cases = tests(kind, "health_test.yaml", "tests");
        let objects: Vec<_> = cases.iter().map(|case| yaml(&kind_folder(kind).join(text(case, "inputPath")))).collect();
        let requests: Vec<_> = objects.iter().map(|object| json!({"health": object})).collect();
        for ((case, object), judged) in cases.iter().zip(&objects).zip(ask(CONFIG_MAP, None, &requests)) {
            assert_eq!(judged["script"], case["healthStatus"], "{case}");
            let is_deleted = !object["metadata"]["deletionTimestamp"].is_null();
            let pending = json!({"status": "Progressing", "message": "Pending deletion"});
            assert_eq!(judged["shown"], if is_deleted { pending } else { judged["script"].clone() }, "{case}");
            println!("{kind} {}: {}", text(case, "inputPath"), judged["shown"]);
        }
    }
}

#[test]
fn each_action_is_offered_and_acts_as_in_its_case() {
    for kind in KINDS {
        let folder = kind_folder(kind).join("actions");
        let cases = tests(kind, "actions/action_test.yaml", "discoveryTests");
        let requests: Vec<_> =
            cases.iter().map(|case| json!({"discover": yaml(&folder.join(text(case, "inputPath")))})).collect();
        for (case, offered) in cases.iter().zip(ask(CONFIG_MAP, None, &requests)) {
            assert_eq!(by_name(&offered), by_name(&case["result"]), "{case}");
        }
        let cases = tests(kind, "actions/action_test.yaml", "actionTests");
        let requests: Vec<_> = cases
            .iter()
            .map(|case| json!({"act": {"action": case["action"], "object": yaml(&folder.join(text(case, "inputPath")))}}))
            .collect();
        for (case, result) in cases.iter().zip(ask(CONFIG_MAP, None, &requests)) {
            let Some(expected) = case["expectedOutputPath"].as_str() else {
                assert_eq!(result, json!({"error": case["expectedErrorMessage"]}), "{case}");
                continue;
            };
            let expected = yaml(&folder.join(expected));
            let differs = &ask(CONFIG_MAP, None, &[json!({"compare": [expected, result]})])[0];
            assert_eq!(*differs, json!(false), "{case}: {result}");
        }
    }
}

/// Actions as a map, without the fields that are empty.
fn by_name(actions: &Value) -> Map<String, Value> {
    let named = |action: &Value| {
        let is_set = |value: &Value| !value.is_null() && *value != json!(false);
        let fields = action.as_object().unwrap().clone().into_iter().filter(|(_, value)| is_set(value));
        (text(action, "name").to_owned(), Value::Object(fields.collect()))
    };
    actions.as_array().unwrap().iter().map(named).collect()
}

/// The objects with each of their parts replaced by each of these, or taken away.
fn damaged(object: &Value) -> Vec<Value> {
    let mut paths = Vec::new();
    collect_paths(object, "", &mut paths);
    let mut damaged = vec![object.clone()];
    for path in paths {
        for value in [Value::Null, json!("x"), json!({}), json!(["x", {}])] {
            let mut other = object.clone();
            *other.pointer_mut(&path).unwrap() = value;
            damaged.push(other);
        }
    }
    damaged
}

fn collect_paths(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(name, value)| (escaped(name), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in children {
        let at = format!("{at}/{name}");
        // Argo CD finds the scripts by these.
        if !["/apiVersion", "/kind"].contains(&&*at) {
            collect_paths(value, &at, found);
            found.push(at);
        }
    }
}

#[test]
fn damaged_object_has_the_same_result_as_in_the_other_tests() {
    let mut count = 0;
    for kind in KINDS {
        let objects: Vec<_> = dumps(kind).iter().flat_map(damaged).collect();
        let script = |path: &str| read(&kind_folder(kind).join(path));
        let (health_script, discovery) = (script("health.lua"), script("actions/discovery.lua"));
        let requests: Vec<_> =
            objects.iter().flat_map(|object| [json!({"health": object}), json!({"discover": object})]).collect();
        let answers = ask(CONFIG_MAP, None, &requests);
        for (object, answers) in objects.iter().zip(answers.chunks(2)) {
            let expected = health(&health_script, object).unwrap();
            let expected = json!({"status": expected.status, "message": expected.message});
            // Go leaves out a text that is empty.
            let mut found = answers[0]["script"].clone();
            if let Some(found) = found.as_object_mut() {
                found.entry("message").or_insert(json!(""));
            }
            assert_eq!(found, expected, "{}: {object}", answers[0]);
            let expected = discover(&discovery, object).unwrap();
            let offered = by_name(&answers[1]);
            assert_eq!(offered.len(), expected.len(), "{object}");
            for (name, action) in expected {
                let is_disabled = action["disabled"] == true;
                assert_eq!(offered[&name].get("disabled").is_some(), is_disabled, "{name}: {object}");
            }
            count += 1;
        }
    }
    println!("{count} objects");
    assert!(count > 1000);
}

#[test]
fn action_has_the_same_result_as_in_the_other_tests() {
    for kind in KINDS {
        let entries = fs::read_dir(kind_folder(kind).join("actions")).unwrap().map(|entry| entry.unwrap());
        for entry in entries.filter(|entry| entry.path().join("action.lua").exists()) {
            let (name, script) = (entry.file_name().into_string().unwrap(), read(&entry.path().join("action.lua")));
            let objects = dumps(kind);
            let requests: Vec<_> =
                objects.iter().map(|object| json!({"act": {"action": name, "object": object}})).collect();
            for (object, result) in objects.iter().zip(ask(CONFIG_MAP, None, &requests)) {
                let expected = act(&script, object).unwrap_or_else(|error| json!({"error": error.to_string()}));
                assert_eq!(result, expected, "{name}: {object}");
            }
        }
    }
}

#[test]
fn health_that_waits_for_people_is_the_same_as_in_the_other_tests() {
    let script = &yaml(&folder().join("wait-for-people.yaml"))["data"];
    let script = text(script, "resource.customizations.health.beyondidentity.dev_EnrollmentRequest");
    let objects = dumps("EnrollmentRequest");
    let requests: Vec<_> = objects.iter().map(|object| json!({"health": object})).collect();
    for (object, judged) in objects.iter().zip(ask("wait-for-people.yaml", None, &requests)) {
        let expected = health(script, object).unwrap();
        assert_eq!(judged["script"], json!({"status": expected.status, "message": expected.message}), "{object}");
    }
}

#[test]
fn person_reads_why_an_action_does_nothing() {
    let dump =
        |state: &str| yaml(&kind_folder("EnrollmentRequest").join("testdata").join(state).with_extension("yaml"));
    let cases = [
        ("resend", "never-reconciled", "The request has sent no email"),
        ("revoke", "never-reconciled", "The request has sent no email"),
        ("resend", "link-sent", "The link is active, or has been used; raise spec.attempt to send another email"),
        ("revoke", "complete", "The link is not active"),
        ("revoke", "revoked", "The link is not active"),
        ("pause", "paused", "The object is paused already"),
    ];
    let act = |action: &str, object: &Value| json!({"act": {"action": action, "object": object}});
    let requests: Vec<_> = cases.iter().map(|(action, state, _)| act(action, &dump(state))).collect();
    for (case, result) in cases.iter().zip(ask(CONFIG_MAP, None, &requests)) {
        assert_eq!(result, json!({"error": case.2}), "{case:?}");
    }
    // A second click on the same page, and the same action on its result.
    let clicked = ask(CONFIG_MAP, None, &[act("revoke", &dump("link-sent"))]).remove(0);
    let again = ask(CONFIG_MAP, None, &[act("revoke", &clicked)]).remove(0);
    assert_eq!(again, json!({"error": "The revocation has been requested already"}));
}

#[test]
fn status_of_a_wrong_type_is_progressing() {
    let sent = yaml(&kind_folder("EnrollmentRequest").join("testdata/link-sent.yaml"));
    for (path, value) in
        [("/status", json!("x")), ("/status/conditions", json!("x")), ("/status/conditions", json!({}))]
    {
        let mut object = sent.clone();
        *object.pointer_mut(path).unwrap() = value;
        let judged = ask(CONFIG_MAP, None, &[json!({"health": object})]).remove(0);
        assert_eq!(judged["shown"]["status"], "Progressing", "{object}");
    }
}
