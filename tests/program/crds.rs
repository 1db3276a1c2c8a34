//! The command `crds` prints the contents of `crds/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::end_of;

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

fn checked_in() -> BTreeMap<String, String> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))
}

#[test]
fn checked_in_files_are_up_to_date() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("new/crds");
    let ended = end_of(&["crds", "--output", output.to_str().unwrap()], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(files(&output) == checked_in(), "crds/ is stale: run `cargo gen`");
}

#[test]
fn standard_output_has_all_definitions_as_one_stream() {
    let ended = end_of(&["crds"], &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let printed: Vec<Value> = serde_saphyr::from_multiple(&ended.stdout).unwrap();
    let files: Vec<Value> = checked_in().values().map(|yaml| serde_saphyr::from_str(yaml).unwrap()).collect();
    assert_eq!(printed, files);
    for definition in &printed {
        assert_eq!(definition["kind"], "CustomResourceDefinition");
    }
}

#[test]
fn error_names_a_directory_that_cannot_be_created() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let ended = end_of(&["crds", "--output", file.to_str().unwrap()], &[]);
    assert_eq!(ended.code, 1);
    assert!(ended.error().contains(file.to_str().unwrap()), "{}", ended.stderr);
}
