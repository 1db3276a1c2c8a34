//! The files for Argo CD's configuration have the scripts of `resource_customizations`, as Argo CD reads them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use harness::control_plane::{KUBECTL, locate};
use harness::process::output_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{folder, script, yaml};
use crate::generated::argocd::{KINDS, wait_for_people};
use crate::generated::root;

/// The entries of Argo CD's ConfigMap, by the files of `resource_customizations`.
fn expected() -> BTreeMap<String, Value> {
    let mut entries = BTreeMap::new();
    for kind in &KINDS {
        let key = |what| format!("resource.customizations.{what}.beyondidentity.dev_{}", kind.name);
        entries.insert(key("health"), json!(script(kind.name, "health.lua")));
        let mut definitions = BTreeMap::new();
        for entry in fs::read_dir(folder(kind.name).join("actions")).unwrap().map(Result::unwrap) {
            if let Ok(action) = fs::read_to_string(entry.path().join("action.lua")) {
                definitions.insert(entry.file_name().into_string().unwrap(), action);
            }
        }
        let actions = json!({"discovery.lua": script(kind.name, "actions/discovery.lua"), "definitions": definitions});
        entries.insert(key("actions"), actions);
    }
    entries
}

/// The entries, with the actions parsed as Argo CD does.
fn parsed(entries: &Value) -> BTreeMap<String, Value> {
    let parse = |(key, value): (&String, &Value)| {
        let text = value.as_str().unwrap();
        if !key.starts_with("resource.customizations.actions.") {
            return (key.clone(), json!(text));
        }
        let mut actions: Value = serde_saphyr::from_str(text).unwrap();
        let definition = |it: &Value| (it["name"].as_str().unwrap().to_owned(), it["action.lua"].clone());
        let definitions: BTreeMap<_, _> = actions["definitions"].as_array().unwrap().iter().map(definition).collect();
        actions["definitions"] = json!(definitions);
        (key.clone(), actions)
    };
    entries.as_object().unwrap().iter().map(parse).collect()
}

/// Argo CD's ConfigMap before the change.
const BEFORE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
data:
  url: https://argocd.example.com
";

fn kubectl(folder: &TempDir, arguments: &[&str]) -> Value {
    let [kubectl] = locate([&KUBECTL]).unwrap();
    let mut command = Command::new(kubectl);
    command.current_dir(folder).args(arguments);
    serde_saphyr::from_str(&output_of(command, "").unwrap()).unwrap()
}

fn assert_merged(config_map: &Value) {
    let mut entries = config_map["data"].clone();
    assert_eq!(entries.as_object_mut().unwrap().remove("url"), Some(json!("https://argocd.example.com")));
    assert_eq!(parsed(&entries), expected());
}

#[test]
fn config_map_can_be_patched() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("before.yaml"), BEFORE).unwrap();
    let patch = root().join("argocd/argocd-cm.yaml");
    let arguments =
        ["patch", "--local", "--filename", "before.yaml", "--type", "merge", "--output", "yaml", "--patch-file"];
    assert_merged(&kubectl(&folder, &[&arguments[..], &[patch.to_str().unwrap()]].concat()));
}

#[test]
fn kustomize_component_adds_the_entries() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("argocd-cm.yaml"), BEFORE).unwrap();
    fs::create_dir(folder.path().join("component")).unwrap();
    for file in ["argocd-cm.yaml", "kustomization.yaml"] {
        fs::copy(root().join("argocd").join(file), folder.path().join("component").join(file)).unwrap();
    }
    let kustomization = json!({"resources": ["argocd-cm.yaml"], "components": ["component"]});
    fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).unwrap();
    assert_merged(&kubectl(&folder, &["kustomize", "."]));
}

#[test]
fn helm_values_have_the_entries() {
    let values = yaml(&root().join("argocd/helm-values.yaml"));
    assert_eq!(parsed(&values["configs"]["cm"]), expected());
    assert_eq!(values["configs"].as_object().unwrap().len(), 1);
}

#[test]
fn wait_for_people_replaces_one_entry() {
    let patch = yaml(&root().join("argocd/wait-for-people.yaml"));
    let key = "resource.customizations.health.beyondidentity.dev_EnrollmentRequest";
    assert_eq!(patch["data"], json!({key: wait_for_people()}));
    assert!(expected().contains_key(key));
}

/// The limit of a ConfigMap is 1 MiB, and that of the annotation of `kubectl apply` is 256 KiB.
#[test]
fn config_map_stays_small() {
    let size = fs::metadata(root().join("argocd/argocd-cm.yaml")).unwrap().len();
    assert!(size < 64 * 1024, "{size} bytes");
}
