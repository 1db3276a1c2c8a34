//! What Argo CD shows of each kind, and its actions: the scripts of `argocd`, on objects of the API server.

mod actions;
mod dump;
mod states;

use std::fs;
use std::path::Path;

/// The health script, which is the same for all kinds.
pub fn health_script() -> String {
    script("EnrollmentRequest", "health.lua")
}

/// The text of a script for a kind.
fn script(kind: &str, path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("argocd/resource_customizations/beyondidentity.dev");
    fs::read_to_string(folder.join(kind).join(path)).unwrap()
}
