//! Rendering the chart with the real helm.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use harness::chart::render;
use serde_json::json;

#[test]
fn chart_is_rendered_for_a_namespace() {
    let yaml = render("mine", "there", &json!({ "clusterName": "here" })).unwrap();
    assert!(yaml.contains("namespace: \"there\"") && yaml.contains("--cluster-name=here"), "{yaml}");
}

#[test]
fn error_contains_the_message_of_helm() {
    let error = render("mine", "there", &json!({})).unwrap_err().to_string();
    assert!(error.starts_with("helm failed: ") && error.contains("clusterName is required"), "{error}");
}
