//! The generated files of the chart: the CustomResourceDefinitions and the README with the table of values.

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
fn chart_crds_equal_the_output_of_the_crds_command() {
    let folder = TempDir::new().unwrap();
    let crds = ["crds", "--output", folder.path().to_str().unwrap()];
    let status = Command::new(env!("CARGO_BIN_EXE_beyond-identity-operator")).args(crds).status().unwrap();
    assert!(status.success());
    assert!(
        files(folder.path()) == files(&chart::folder().join("files/crds")),
        "the chart's definitions are stale: run `cargo gen`"
    );
}

#[test]
fn rendered_crds_differ_only_in_labels_and_resource_policy() {
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
    assert_eq!(rendered.len(), printed.len());
    assert!(rendered == printed, "a rendered CustomResourceDefinition differs from the printed one");
}

#[test]
fn chart_readme_is_up_to_date() {
    let folder = TempDir::new().unwrap();
    copy(&chart::folder(), folder.path());
    let readme = folder.path().join("beyond-identity-operator/README.md");
    fs::remove_file(&readme).unwrap();
    let [helm_docs] = locate([&HELM_DOCS]).unwrap();
    let mut command = Command::new(helm_docs);
    command.args(["--sort-values-order", "file", "--chart-search-root"]).arg(folder.path());
    output_of(command, "").unwrap();
    let readme = fs::read_to_string(readme).unwrap();
    assert!(!readme.contains("|  |"), "a value has no description:\n{readme}");
    assert!(
        readme == fs::read_to_string(chart::folder().join("README.md")).unwrap(),
        "the chart's README is stale: run `cargo gen`"
    );
}
