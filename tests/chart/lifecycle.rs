//! The life cycle of a release: applied twice, installed, upgraded, uninstalled and installed again.

use std::fs;

use harness::chart::{self, render};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, current_chart, eventually};
use crate::support::{NAMESPACE, RELEASE, copy};

#[test]
fn second_apply_changes_nothing() {
    let rendered =
        render(RELEASE, NAMESPACE, &json!({ "clusterName": "test", "rbac": { "tenantsMayEnroll": true } })).unwrap();
    for how in [&["--server-side=false"][..], &["--server-side"]] {
        let cluster = Cluster::empty();
        let objects = || {
            let list = cluster.0.run_kubectl_with(&rendered, ["get", "--filename", "-", "--output", "json"]).unwrap();
            let mut list: Value = serde_json::from_str(&list).unwrap();
            list["items"].as_array_mut().unwrap().iter_mut().for_each(remove_fields_of_controllers);
            list
        };
        cluster.apply(&rendered, how);
        // The deployment controller writes the revision, which counts as a generation.
        let deployment = format!("deployment/{RELEASE}");
        eventually(|| {
            let get = ["get", &deployment, "--namespace", NAMESPACE, "--output", "jsonpath={.metadata.annotations}"];
            cluster.kubectl(&get).contains("deployment.kubernetes.io/revision")
        });
        let before = objects();
        cluster.apply(&rendered, how);
        assert!(objects() == before, "{before}\n{}", objects());
    }
}

/// Controllers write the status of objects with a generation, which changes the resourceVersion. They write nothing
/// else.
fn remove_fields_of_controllers(object: &mut Value) {
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    if metadata.contains_key("generation") {
        metadata.remove("resourceVersion");
    }
}

#[test]
fn upgrade_updates_crds_and_uninstall_keeps_objects() {
    let cluster = Cluster::empty();
    let folder = TempDir::new().unwrap();
    copy(&chart::folder(), folder.path());
    let older = folder.path().join("beyond-identity-operator");
    let file = older.join("files/crds/beyondidentity.dev_enrollmentrequests.yaml");
    let mut definition: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    assert!(definition.pointer_mut(fields).unwrap().as_object_mut().unwrap().remove("deletionPolicy").is_some());
    fs::write(&file, definition.to_string()).unwrap();
    let path = "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.deletionPolicy.type}";
    let field = || cluster.kubectl(&["get", "crd/enrollmentrequests.beyondidentity.dev", "--output", path]);

    cluster.release("install", "first", older.to_str().unwrap(), &[]).unwrap();
    assert_eq!(field(), "");
    cluster.create_config();
    let uid = cluster.config_uid();

    let notes = cluster.release("upgrade", "first", &current_chart(), &[]).unwrap();
    assert!(
        notes.contains("kubectl create secret generic beyond-identity")
            && notes.contains("kind: ClusterProviderConfig")
    );
    assert_eq!(field(), "string");
    assert_eq!(cluster.config_uid(), uid);

    // With `crds.install=false`, an upgrade keeps the CustomResourceDefinitions.
    cluster.release("upgrade", "first", &current_chart(), &["--set", "crds.install=false"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);

    cluster.helm(&["uninstall", "first", "--wait"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);
    let get = [
        "get",
        "deployments,replicasets,pods,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,pdb",
    ];
    let select = ["--all-namespaces", "--selector", "app.kubernetes.io/instance=first", "--output", "name"];
    eventually(|| cluster.kubectl(&[&get[..], &select].concat()).is_empty());

    // A release of the same name owns the CustomResourceDefinitions again. Another release needs `--take-ownership`.
    cluster.release("install", "first", &current_chart(), &[]).unwrap();
    cluster.helm(&["uninstall", "first", "--wait"]).unwrap();
    let refusal = cluster.release("install", "second", &current_chart(), &[]).unwrap_err();
    assert!(refusal.contains("invalid ownership metadata"), "{refusal}");
    cluster.release("install", "second", &current_chart(), &["--take-ownership"]).unwrap();
    assert_eq!(cluster.config_uid(), uid);
}
