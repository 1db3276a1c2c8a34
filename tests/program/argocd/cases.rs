//! The cases of `health_test.yaml` and `action_test.yaml`, as the tests in Argo CD's repository run them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::argocd::{act, discover, health};
use serde_json::{Value, json};

use super::{folder, script, yaml};
use crate::generated::argocd::KINDS;

fn list<'a>(tests: &'a Value, name: &str) -> &'a Vec<Value> {
    tests[name].as_array().unwrap()
}

fn input(folder: &Path, test: &Value) -> (PathBuf, Value) {
    let path = folder.join(test["inputPath"].as_str().unwrap());
    (path.canonicalize().unwrap_or(path.clone()), yaml(&path))
}

#[test]
fn each_dump_has_the_health_of_its_case() {
    for kind in &KINDS {
        let (folder, script) = (folder(kind.name), script(kind.name, "health.lua"));
        let mut used = BTreeSet::new();
        for test in list(&yaml(&folder.join("health_test.yaml")), "tests") {
            let (path, object) = input(&folder, test);
            let health = health(&script, &object).unwrap();
            let found = json!({"status": health.status, "message": health.message});
            assert_eq!(found, test["healthStatus"], "{}", path.display());
            used.insert(path);
        }
        for entry in fs::read_dir(folder.join("testdata")).unwrap() {
            let path = entry.unwrap().path().canonicalize().unwrap();
            assert!(used.contains(&path), "{} has no case in health_test.yaml", path.display());
        }
    }
}

#[test]
fn each_action_is_offered_and_acts_as_in_its_case() {
    for kind in &KINDS {
        let folder = folder(kind.name).join("actions");
        let tests = yaml(&folder.join("action_test.yaml"));
        for test in list(&tests, "discoveryTests") {
            let (path, object) = input(&folder, test);
            let found = discover(&script(kind.name, "actions/discovery.lua"), &object).unwrap();
            assert_eq!(found.len(), list(test, "result").len(), "{}", path.display());
            for expected in list(test, "result") {
                let action = &found[expected["name"].as_str().unwrap()];
                for field in ["disabled", "displayName", "iconClass"] {
                    assert_eq!(action[field], expected[field], "{}: {expected}", path.display());
                }
            }
        }
        for test in list(&tests, "actionTests") {
            let (path, object) = input(&folder, test);
            let script = script(kind.name, &format!("actions/{}/action.lua", test["action"].as_str().unwrap()));
            let result = act(&script, &object).map_err(|error| error.to_string());
            if let Some(message) = test["expectedErrorMessage"].as_str() {
                assert_eq!(result, Err(message.to_owned()), "{}", path.display());
            } else {
                let expected = yaml(&folder.join(test["expectedOutputPath"].as_str().unwrap()));
                assert_eq!(result, Ok(expected), "{}", path.display());
            }
        }
    }
}

#[test]
fn each_action_has_cases() {
    for kind in &KINDS {
        let folder = folder(kind.name).join("actions");
        let tests = yaml(&folder.join("action_test.yaml"));
        for entry in
            fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().join("action.lua").exists())
        {
            let name = entry.file_name().into_string().unwrap();
            let of_action = || list(&tests, "actionTests").iter().filter(|test| test["action"] == name.as_str());
            assert!(of_action().any(|test| test["expectedOutputPath"].is_string()), "{}: {name}", kind.name);
            let offers = |disabled: bool| {
                list(&tests, "discoveryTests")
                    .iter()
                    .flat_map(|test| list(test, "result"))
                    .any(|result| result["name"] == name.as_str() && result["disabled"] == disabled)
            };
            let is_always_offered = name == "reconcile" && kind.name.ends_with("ProviderConfig");
            assert!(offers(false) && (is_always_offered || offers(true)), "{}: {name}", kind.name);
        }
    }
}
