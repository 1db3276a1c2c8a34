//! What of the chart is made by a program: the definitions and the table of the values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use harness::chart;
use harness::control_plane::{HELM_DOCS, locate};
use harness::process::output_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{copy, objects, parsed};

fn files(folder: &Path) -> BTreeMap<String, String> {
    let read =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn the_chart_has_the_definitions_that_the_operator_prints() {
    let folder = TempDir::new().unwrap();
    let crds = ["crds", "--output", folder.path().to_str().unwrap()];
    let made = Command::new(env!("CARGO_BIN_EXE_beyond-identity-operator")).args(crds).status().unwrap();
    assert!(made.success());
    assert!(
        files(folder.path()) == files(&chart::folder().join("files/crds")),
        "the chart's definitions are stale: run `cargo gen`"
    );
}

#[test]
fn a_definition_is_rendered_as_it_is_but_for_labels_and_that_it_is_kept() {
    let mut rendered = objects(json!({}));
    rendered.retain(|object| object["kind"] == "CustomResourceDefinition");
    let mut printed = parsed(&beyond_identity_operator::api::crds::yaml());
    for definition in &mut rendered {
        let metadata = definition["metadata"].as_object_mut().unwrap();
        assert_eq!(metadata.remove("annotations"), Some(json!({ "helm.sh/resource-policy": "keep" })));
        assert!(metadata.remove("labels").is_some());
    }
    let by_name = |definition: &Value| definition["metadata"]["name"].to_string();
    rendered.sort_by_key(by_name);
    printed.sort_by_key(by_name);
    assert_eq!(rendered.len(), 3);
    assert!(rendered == printed, "Helm has changed a definition");
}

#[test]
fn the_table_of_the_values_is_up_to_date() {
    let folder = TempDir::new().unwrap();
    copy(&chart::folder(), folder.path());
    let made = folder.path().join("beyond-identity-operator/README.md");
    fs::remove_file(&made).unwrap();
    let [helm_docs] = locate([&HELM_DOCS]).unwrap();
    let mut command = Command::new(helm_docs);
    command.args(["--sort-values-order", "file", "--chart-search-root"]).arg(folder.path());
    output_of(command, "").unwrap();
    let made = fs::read_to_string(made).unwrap();
    assert!(!made.contains("|  |"), "a value has no description:\n{made}");
    assert!(
        made == fs::read_to_string(chart::folder().join("README.md")).unwrap(),
        "the chart's README is stale: run `cargo gen`"
    );
}
