//! The scripts for Argo CD: the cases beside them, every phase, arbitrary objects, and the files in which they are shipped.

mod cases;
mod offers;
mod phases;
mod properties;
mod shipped;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::generated::argocd::CUSTOMIZATIONS;
use crate::generated::root;

/// The folder of a kind.
fn folder(kind: &str) -> PathBuf {
    root().join(CUSTOMIZATIONS).join(kind)
}

/// The text of a script of a kind, which is read once.
fn script(kind: &str, path: &str) -> String {
    static READ: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let path = folder(kind).join(path);
    let mut read = READ.lock().unwrap();
    read.entry(path).or_insert_with_key(|path| fs::read_to_string(path).unwrap()).clone()
}

fn health_script() -> String {
    script("EnrollmentRequest", "health.lua")
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).map_err(|error| (path, error)).unwrap();
    serde_saphyr::from_str(&text).map_err(|error| (path, error)).unwrap()
}

/// The dumps of all kinds, with their paths.
fn dumps() -> Vec<(PathBuf, Value)> {
    let mut dumps = Vec::new();
    for kind in &crate::generated::argocd::KINDS {
        for entry in fs::read_dir(folder(kind.name).join("testdata")).unwrap() {
            let path = entry.unwrap().path();
            dumps.push((path.clone(), yaml(&path)));
        }
    }
    dumps
}
