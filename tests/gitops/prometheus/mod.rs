//! The alerts and the dashboard, with a real Prometheus.

mod rules;
mod run;
mod server;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The path of a file in the folder `monitoring`.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)
}

/// The rule file.
fn rule_file() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path("alerts.yaml")).unwrap()).unwrap()
}

/// The dashboard.
fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(path("dashboard.json")).unwrap()).unwrap()
}
