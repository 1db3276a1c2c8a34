//! Names and labels: their lengths, those of two releases, and texts that YAML could read as numbers.

use std::collections::BTreeSet;

use harness::chart::{folder, helm, render};
use harness::control_plane::ControlPlane;
use harness::process::output_of;
use serde_json::{Value, json};

use crate::permissions_page::modes;
use crate::support::{NAMESPACE, RELEASE, define_monitors, namespace, parsed};

/// The longest name of a release that Helm accepts.
const RELEASE_LENGTH: usize = 53;
/// The longest name of a namespace, of a Service, and the longest value of a label.
const LABEL_LENGTH: usize = 63;

/// The objects of a release with all optional objects, in each mode of installation.
fn objects_in_each_mode(release: &str, namespace: &str, more: &Value) -> Vec<Vec<Value>> {
    let objects = |mut values: Value| {
        values["clusterName"] = "c".repeat(32).into();
        values["metrics"] = json!({
            "secure": { "enabled": true }, "serviceMonitor": { "enabled": true },
            "prometheusRule": { "enabled": true }, "dashboard": { "enabled": true },
        });
        values["networkPolicy"] = json!({ "enabled": true });
        if values["rbac"]["clusterScoped"] != false {
            values["rbac"]["tenantsMayEnroll"] = true.into();
        }
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parsed(&render(release, namespace, &values).unwrap())
    };
    modes().map(|mode| objects(mode.values)).into()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The kinds, namespaces and names of all objects but the CustomResourceDefinitions.
fn keys(objects: &[Value]) -> BTreeSet<String> {
    let own = objects.iter().filter(|object| object["kind"] != "CustomResourceDefinition");
    own.map(|object| format!("{} {} {}", object["kind"], object["metadata"]["namespace"], name(object))).collect()
}

/// Whether the text has at most 63 lowercase letters, digits and hyphens, and begins with a letter.
fn is_service_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= LABEL_LENGTH
        && text.chars().all(inner)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
}

#[test]
fn longest_names_fit_and_the_api_server_accepts_them() {
    let cluster = ControlPlane::shared().unwrap();
    define_monitors(cluster);
    let long = "n".repeat(LABEL_LENGTH);
    for name in [&long, "team-a", "team-b"] {
        namespace(cluster, name);
    }
    let longest = "r".repeat(RELEASE_LENGTH);
    let dotted = format!("1.{}", "r".repeat(RELEASE_LENGTH - 2));
    let overridden = json!({ "fullnameOverride": "f".repeat(LABEL_LENGTH) });
    for (release, more) in [
        (&longest, json!({})),
        (&longest, json!({ "nameOverride": long })),
        // Cut within the hyphens.
        (&longest, json!({ "nameOverride": "1234567---0" })),
        (&longest, overridden),
        (&dotted, json!({})),
    ] {
        for objects in objects_in_each_mode(release, &long, &more) {
            for object in &objects {
                let kind = object["kind"].as_str().unwrap();
                match kind {
                    "Service" => assert!(is_service_name(name(object)), "{}", name(object)),
                    // The longest suffix has 15 characters, and these kinds take 253.
                    "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" | "ConfigMap" => {
                        assert!(name(object).len() <= LABEL_LENGTH + 15, "{kind} {}", name(object));
                    }
                    _ => assert!(name(object).len() <= LABEL_LENGTH, "{kind} {}", name(object)),
                }
                let labels = [&object["metadata"]["labels"], &object["spec"]["template"]["metadata"]["labels"]];
                for (label, value) in labels.iter().filter_map(|labels| labels.as_object()).flatten() {
                    assert!(value.as_str().unwrap().len() <= LABEL_LENGTH, "{kind} {label}: {value}");
                }
            }
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
            let apply = ["apply", "--dry-run=server", "--validate=strict", "--filename", "-"];
            let applied = cluster.run_kubectl_with(&list.to_string(), apply).unwrap();
            assert_eq!(applied.lines().count(), objects.len(), "{release} {more}");
        }
    }
}

#[test]
fn default_names_never_change() {
    let names = |release: &str| {
        let [all, ..] =
            objects_in_each_mode(release, NAMESPACE, &json!({})).try_into().unwrap_or([const { vec![] }; 3]);
        keys(&all).into_iter().map(|key| key.replace('"', "")).collect::<Vec<_>>()
    };
    // Another name would make new objects at an upgrade, and two Deployments at once.
    let expected = |name: &str| {
        let namespaced = |kind: &str, suffix: &str| format!("{kind} {NAMESPACE} {name}{suffix}");
        let mut all: Vec<String> = ["", "-edit", "-metrics-auth", "-metrics-reader", "-view"]
            .iter()
            .map(|suffix| format!("ClusterRole null {name}{suffix}"))
            .chain(["", "-metrics-auth"].iter().map(|suffix| format!("ClusterRoleBinding null {name}{suffix}")))
            .chain(["Role", "RoleBinding"].iter().map(|kind| format!("{kind} team-a {name}-secrets")))
            .collect();
        for kind in ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "Role", "RoleBinding", "ServiceAccount"] {
            all.push(namespaced(kind, ""));
        }
        all.extend([namespaced("Service", "-metrics"), namespaced("ServiceMonitor", "")]);
        all.extend([namespaced("ConfigMap", "-dashboard"), namespaced("PrometheusRule", "")]);
        all.sort();
        all
    };
    for (release, name) in [
        (RELEASE, RELEASE),
        ("first", "first-beyond-identity-operator"),
        ("beyond-identity-operator-eu", "beyond-identity-operator-eu"),
        // The longest release that could be installed with a Service in every version.
        ("of-thirty-characters-and-less1", "of-thirty-characters-and-less1-beyond-identity-operator"),
    ] {
        assert_eq!(names(release), expected(name), "{release}");
    }
}

#[test]
fn releases_with_a_long_common_beginning_share_no_name() {
    let beginning = "r".repeat(RELEASE_LENGTH - 1);
    let of_name = |name: &str| json!({ "fullnameOverride": name });
    let long = "f".repeat(LABEL_LENGTH - 1);
    for (first, second) in [
        ((format!("{beginning}1"), json!({})), (format!("{beginning}2"), json!({}))),
        ((format!("{beginning}1"), json!({ "nameOverride": "a" })), (format!("{beginning}2"), json!({}))),
        (("one".to_owned(), of_name(&format!("{long}1"))), ("two".to_owned(), of_name(&format!("{long}2")))),
        (("a.b".to_owned(), json!({})), ("a-b".to_owned(), json!({}))),
    ] {
        let of = |(release, more): &(String, Value)| objects_in_each_mode(release, NAMESPACE, more);
        for (first, second) in of(&first).iter().zip(of(&second)) {
            assert_eq!(keys(first).intersection(&keys(&second)).collect::<Vec<_>>(), [""; 0]);
        }
    }
}

#[test]
fn overrides_change_the_names_and_the_label() {
    let objects = |more: Value| objects_in_each_mode("release", NAMESPACE, &more).swap_remove(0);
    for (more, expected, label) in [
        (json!({ "nameOverride": "enrol" }), "release-enrol", "enrol"),
        (json!({ "nameOverride": "lea" }), "release", "lea"),
        (json!({ "fullnameOverride": "whole" }), "whole", "beyond-identity-operator"),
        (json!({ "fullnameOverride": "whole", "nameOverride": "enrol" }), "whole", "enrol"),
    ] {
        let objects = objects(more);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        assert_eq!(name(deployment), expected);
        let selector = &deployment["spec"]["selector"]["matchLabels"];
        assert_eq!(*selector, json!({ "app.kubernetes.io/name": label, "app.kubernetes.io/instance": "release" }));
        let bound = objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Binding"));
        for binding in bound {
            assert!(name(binding).starts_with(expected), "{binding}");
            assert_eq!(binding["subjects"][0]["name"], expected);
        }
        for (kind, pointer) in [("Service", "/spec/selector"), ("NetworkPolicy", "/spec/podSelector/matchLabels")] {
            let object = objects.iter().find(|object| object["kind"] == kind).unwrap();
            assert_eq!(object.pointer(pointer), Some(selector), "{kind}");
        }
    }
}

#[test]
fn texts_that_look_like_numbers_stay_texts() {
    let cluster = ControlPlane::shared().unwrap();
    define_monitors(cluster);
    for name in ["72044e01", "1e3"] {
        namespace(cluster, name);
    }
    let texts =
        json!({ "a": "72044e01", "b": "on", "c": "1_000", "d": "0x1f", "e": "12:30:45", "f": "2001-01-01", "g": "~" });
    let words = json!({ "a": "72044e01", "b": "on", "c": "1_000", "d": "0x1f", "f": "2001-01-01" });
    let values = json!({
        "clusterName": "72044e01",
        "fullnameOverride": "72044e01",
        "nameOverride": "1e3",
        "watchNamespaces": ["72044e01", "1e3"],
        "image": { "repository": "1e3", "tag": "1.10" },
        "imagePullSecrets": [{ "name": "1e3" }],
        "log": { "level": "off" },
        "proxy": { "existingSecret": "1e3", "existingSecretKey": "0x1f", "noProxy": "1e3" },
        "caBundle": { "configMap": "1e3", "key": "72044e01" },
        "rbac": { "secretNames": ["72044e01", "1e3"], "tenantSecrets": { "1e3": ["72044e01"] } },
        "serviceAccount": { "name": "1e3", "annotations": texts },
        "metrics": { "secure": { "enabled": true, "secretName": "1e3" }, "serviceMonitor": { "enabled": true, "labels": words },
            "prometheusRule": { "enabled": true, "labels": words },
            "dashboard": { "enabled": true, "labels": words, "annotations": texts },
        },
        "podLabels": words,
        "podAnnotations": texts,
        "nodeSelector": words,
        "priorityClassName": "72044e01",
    });
    let rendered = render("1e3", "72044e01", &values).unwrap();
    let objects = parsed(&rendered);
    let apply = ["apply", "--dry-run=server", "--validate=strict", "--filename", "-"];
    assert_eq!(cluster.run_kubectl_with(&rendered, apply).unwrap().lines().count(), objects.len());
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let args = deployment.pointer("/spec/template/spec/containers/0/args").unwrap();
    for arg in ["--cluster-name=72044e01", "--watch-namespace=1e3"] {
        assert!(args.as_array().unwrap().iter().any(|other| other == arg), "{args}");
    }
}

#[test]
fn numbers_are_refused_with_the_remedy() {
    let refusal = "value must be 'text: write it in quotes, or use --set-string'";
    let run = |set: &[&str], values: &str| {
        let chart = folder();
        let template = ["template", RELEASE, chart.to_str().unwrap(), "--values", "-"];
        output_of(helm([&template, set].concat()).unwrap(), values).map_err(|error| error.to_string())
    };
    for (path, values) in [
        ("/clusterName", "clusterName: 72044e01"),
        ("/clusterName", "clusterName: 12345"),
        ("/clusterName", "clusterName: on"),
        ("/image/tag", "image: {tag: 1.10}"),
        ("/image/tag", "image: {tag: 72044e01}"),
        ("/watchNamespaces/0", "watchNamespaces: [72044e01]"),
        ("/rbac/secretNames/0", "rbac: {secretNames: [72044e01]}"),
        ("/rbac/tenantSecrets/a/0", "rbac: {tenantSecrets: {a: [1e3]}}"),
        ("/podLabels/a", "podLabels: {a: 1}"),
        ("/podAnnotations/a", "podAnnotations: {a: true}"),
        ("/nodeSelector/a", "nodeSelector: {a: yes}"),
        ("/metrics/serviceMonitor/labels/a", "metrics: {serviceMonitor: {labels: {a: 1}}}"),
        ("/serviceAccount/annotations/a", "serviceAccount: {annotations: {a: 1}}"),
        ("/fullnameOverride", "fullnameOverride: 72044e01"),
    ] {
        let error = run(&[], values).unwrap_err();
        assert!(error.contains(&format!("at '{path}': {refusal}")), "{values}: {error}");
    }
    for set in ["clusterName=12345", "clusterName=true", "clusterName=a,image.tag=10", "clusterName=a,podLabels.a=1"] {
        let error = run(&["--set", set], "").unwrap_err();
        assert!(error.contains(refusal), "{set}: {error}");
    }
    for set in [["--set", "clusterName=72044e01"], ["--set-string", "clusterName=12345"]] {
        let (_, name) = set[1].split_once('=').unwrap();
        assert!(run(&set, "").unwrap().contains(&format!("- --cluster-name={name}\n")), "{set:?}");
    }
}
