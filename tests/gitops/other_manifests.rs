//! The manifests of other tools in `examples`: the schemas of their authors accept them, Argo CD renders the ApplicationSet, and
//! its notifications say what the page promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::control_plane::ControlPlane;
use harness::process::output_of;
use serde_json::{Value, json};

use crate::examples::{ManyPeople, in_repository};

/// The modules that contain the schemas, and where.
const SCHEMAS: [(&str, &str); 5] = [
    ("github.com/argoproj/argo-cd/v3@v3.5.7", "manifests/crds/application-crd.yaml"),
    ("github.com/argoproj/argo-cd/v3@v3.5.7", "manifests/crds/applicationset-crd.yaml"),
    (
        "github.com/external-secrets/external-secrets@v0.19.2",
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
    ),
    (
        "github.com/fluxcd/kustomize-controller@v1.9.0",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    ("github.com/bitnami-labs/sealed-secrets@v0.30.0", "helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml"),
];

const MANIFESTS: [&str; 5] = [
    "argocd/application.yaml",
    "many-people/applicationset/applicationset.yaml",
    "secrets/external-secret.yaml",
    "secrets/flux-kustomization.yaml",
    "secrets/sealed-secret.yaml",
];

/// The folder of a module, which the Go command downloads if necessary.
fn module(name: &str) -> PathBuf {
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", name]).current_dir(std::env::temp_dir());
    let found: Value = serde_json::from_str(&output_of(command, "").unwrap()).unwrap();
    Path::new(found["Dir"].as_str().unwrap()).to_owned()
}

#[test]
fn schemas_of_other_tools_accept_the_manifests() {
    let cluster = ControlPlane::start().unwrap();
    for (name, path) in SCHEMAS {
        cluster.apply(&fs::read_to_string(module(name).join(path)).unwrap()).unwrap();
    }
    cluster.run_kubectl(["wait", "--for=condition=Established", "crds", "--all", "--timeout=60s"]).unwrap();
    for namespace in ["argocd", "beyond-identity-system", "flux-system"] {
        cluster.run_kubectl(["create", "namespace", namespace]).unwrap();
    }
    let accepts = |manifest: &str| {
        let args = ["create", "--dry-run=server", "--validate=strict", "--filename", "-"];
        cluster.run_kubectl_with(manifest, args).map(drop).map_err(|error| error.to_string())
    };
    for manifest in MANIFESTS {
        let text = fs::read_to_string(in_repository("examples").join(manifest)).unwrap();
        accepts(&text).unwrap_or_else(|error| panic!("{manifest}: {error}"));
        let misspelled = text.replacen("\nspec:\n", "\nspec:\n  pathh: here\n", 1);
        assert!(accepts(&misspelled).unwrap_err().contains("unknown field \"spec.pathh\""), "{manifest}");
    }
    for mut application in ManyPeople::new().applications() {
        application["metadata"]["namespace"] = json!("argocd");
        accepts(&application.to_string()).unwrap();
    }
}

/// The other tests fill in the template of the ApplicationSet themselves. Argo CD's own packages agree.
#[test]
fn argo_cd_renders_the_same_applications() {
    let repository = ManyPeople::new();
    let mut command = Command::new("go");
    command.args(["run", "."]).args([repository.application_set(), repository.root()]);
    command.current_dir(in_repository("tests/control-plane/applicationset"));
    let rendered: Vec<Value> = serde_json::from_str(&output_of(command, "").unwrap()).unwrap();
    let ours = repository.applications();
    assert_eq!((rendered.len(), ours.len()), (2, 2));
    for (theirs, ours) in rendered.iter().zip(&ours) {
        assert_eq!(theirs["metadata"]["name"], ours["metadata"]["name"]);
        assert_eq!(theirs["spec"], ours["spec"]);
    }
}

/// The notifications that Argo CD sends of an Application with this status, by their triggers.
fn notifications(status: Value) -> BTreeMap<String, Value> {
    let mut command = Command::new("go");
    command.args(["run", "."]).arg(in_repository("examples/argocd/notifications.yaml"));
    command.current_dir(in_repository("tests/control-plane/notifications"));
    let application = json!({"metadata": {"name": "enrolments", "namespace": "argocd"}, "status": status});
    serde_json::from_str(&output_of(command, &application.to_string()).unwrap()).unwrap()
}

#[test]
fn notifications_follow_the_health_of_the_application() {
    let operation = json!({"phase": "Succeeded", "syncResult": {"revision": "abc"}});
    let since = |health: &str, time: &str| json!({"status": health, "lastTransitionTime": time});
    let [first, second] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];

    let sent = notifications(json!({"health": since("Degraded", first), "operationState": operation}));
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["on-enrolments-degraded"]);
    assert_eq!(sent["on-enrolments-degraded"]["oncePer"], first);
    let message = sent["on-enrolments-degraded"]["messages"][0].as_str().unwrap();
    assert!(message.contains("https://argocd.example.com/applications/argocd/enrolments"), "{message}");
    let again = notifications(json!({"health": since("Degraded", second), "operationState": operation}));
    assert_eq!(again["on-enrolments-degraded"]["oncePer"], second);

    let sent = notifications(json!({"health": since("Healthy", first), "operationState": operation}));
    assert_eq!(sent.keys().collect::<Vec<_>>(), ["on-enrolments-healthy"]);
    assert_eq!(sent["on-enrolments-healthy"]["oncePer"], "abc");
    let message = sent["on-enrolments-healthy"]["messages"][0].as_str().unwrap();
    assert!(message.contains("All enrolments of Application enrolments are Healthy at revision abc"), "{message}");

    for silent in [
        json!({"health": since("Progressing", first), "operationState": operation}),
        json!({"health": since("Healthy", first), "operationState": {"phase": "Running"}}),
        json!({"health": since("Healthy", first)}),
        json!({}),
    ] {
        assert_eq!(notifications(silent.clone()), BTreeMap::new(), "{silent}");
    }
}
