//! Renders the chart, and parses the result.

use std::path::Path;
use std::process::Command;

use harness::chart;
use harness::control_plane::ControlPlane;
use harness::process::output_of;
use serde_json::Value;

/// The release and its namespace in most tests.
pub const RELEASE: &str = "beyond-identity-operator";
pub const NAMESPACE: &str = "beyond-identity-system";

/// The rendered objects for these values. The cluster name is added.
pub fn objects(mut values: Value) -> Vec<Value> {
    values["clusterName"] = "test".into();
    parsed(&chart::render(RELEASE, NAMESPACE, &values).unwrap())
}

/// The objects of a YAML stream.
pub fn parsed(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The only object of this kind.
pub fn single<'a>(kind: &str, objects: &'a [Value]) -> &'a Value {
    let found: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// Runs helm in a cluster, and returns its output or its error.
pub fn helm_in(cluster: &ControlPlane, args: &[&str]) -> Result<String, String> {
    output_of(chart::helm_in(cluster, args).unwrap(), "").map_err(|error| error.to_string())
}

/// Copies a folder, so that a test can change it.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-R").args([from, to]).status().unwrap().success());
}

/// Creates a namespace if it does not exist.
pub fn namespace(cluster: &ControlPlane, name: &str) {
    let namespace = serde_json::json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    cluster.apply(&namespace.to_string()).unwrap();
}

/// Defines ServiceMonitor, PodMonitor and PrometheusRule of the Prometheus Operator, with schemas that accept every field.
pub fn define_monitors(cluster: &ControlPlane) {
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        let plural = format!("{}s", kind.to_lowercase());
        let schema = serde_json::json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let definition = serde_json::json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.monitoring.coreos.com") },
            "spec": {
                "group": "monitoring.coreos.com", "scope": "Namespaced", "names": { "kind": kind, "plural": plural },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
        });
        cluster.apply(&definition.to_string()).unwrap();
        let crd = format!("crd/{plural}.monitoring.coreos.com");
        cluster.run_kubectl(["wait", "--for=condition=Established", &crd, "--timeout=60s"]).unwrap();
    }
}
