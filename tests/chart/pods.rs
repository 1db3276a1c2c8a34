//! The pods: Pod Security Admission, their grace period, and whether the program accepts their arguments.

use std::process::Command;

use harness::control_plane::ControlPlane;
use serde_json::{Value, json};

use crate::support::{namespace, objects, single};

fn pod(values: Value) -> Value {
    let mut pod = single("Deployment", &objects(values))["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "operator".into();
    pod
}

#[test]
fn pods_are_admitted_under_the_restricted_policy() {
    let cluster = ControlPlane::shared().unwrap();
    namespace(cluster, "strict");
    let label = "pod-security.kubernetes.io/enforce=restricted";
    cluster.run_kubectl(["label", "--overwrite", "namespace/strict", label]).unwrap();
    let create = |pod: &Value| {
        let create = ["create", "--namespace", "strict", "--dry-run=server", "--filename", "-"];
        cluster.run_kubectl_with(&pod.to_string(), create)
    };
    let full = json!({
        "caBundle": { "configMap": "authorities" },
        "proxy": { "https": "http://proxy:3128" },
        "metrics": { "secure": { "enabled": true, "secretName": "certificate" } },
    });
    for values in [json!({}), full] {
        let pod = pod(values);
        create(&pod).unwrap();
        // The policy is enforced: without any of these fields, the pod is rejected.
        for missing in [
            "/spec/securityContext/runAsNonRoot",
            "/spec/securityContext/seccompProfile",
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
            "/spec/containers/0/securityContext/capabilities",
        ] {
            let (parent, field) = missing.rsplit_once('/').unwrap();
            let mut pod = pod.clone();
            assert!(pod.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).is_some());
            let refusal = create(&pod).unwrap_err().to_string();
            assert!(refusal.contains("violates PodSecurity \"restricted:latest\""), "{missing}: {refusal}");
        }
    }
}

#[test]
fn pods_run_read_only_as_non_root_with_probes() {
    let pod = pod(json!({}));
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let context = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
    assert_eq!(pod["spec"]["securityContext"], context, "OpenShift refuses a user or a group that it did not assign");
    assert_eq!(container["livenessProbe"]["httpGet"], json!({ "path": "/healthz", "port": "health" }));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({ "path": "/readyz", "port": "health" }));
}

#[test]
fn security_contexts_are_merged_and_can_be_removed() {
    let contexts = |values: Value| {
        let pod = pod(values);
        [&pod["spec"], &pod["spec"]["containers"][0]].map(|owner| owner["securityContext"].clone())
    };
    let [of_pod, of_container] = contexts(json!({
        "podSecurityContext": { "runAsUser": 1000, "fsGroup": 2000, "seccompProfile": null },
        "securityContext": { "privileged": false, "readOnlyRootFilesystem": null },
    }));
    assert_eq!(of_pod, json!({ "runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 2000 }));
    let dropped = json!({ "drop": ["ALL"] });
    let expected = json!({ "allowPrivilegeEscalation": false, "capabilities": dropped, "privileged": false });
    assert_eq!(of_container, expected);
    let none = json!({ "allowPrivilegeEscalation": null, "readOnlyRootFilesystem": null, "capabilities": null });
    let removed = json!({ "runAsNonRoot": null, "seccompProfile": null });
    assert_eq!(contexts(json!({ "podSecurityContext": removed, "securityContext": none })), [Value::Null, Value::Null]);
}

#[test]
fn termination_grace_period_covers_one_call() {
    for (timeout, seconds) in [("30s", 60), ("1m30s", 120), ("1s", 31), ("1500ms", 31), ("30m", 1830), ("0h2m", 150)] {
        let pod = pod(json!({ "requestTimeout": timeout }));
        // The request timeout, and 30 s to write the result and to shut down.
        assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], seconds, "{timeout}");
    }
}

#[test]
fn arguments_are_known_and_defaults_match_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_beyond-identity-operator")).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let every = json!({
        "watchNamespaces": ["one"],
        "caBundle": { "configMap": "authorities" },
        "allowedEndpointHosts": ["a.example"],
        "metrics": { "secure": { "enabled": true, "secretName": "certificate" } },
    });
    let pod = pod(every);
    let args: Vec<&str> =
        pod["spec"]["containers"][0]["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert_eq!(args[0], "run");
    for arg in &args[1..] {
        let (flag, value) = arg.split_once('=').unwrap_or((arg, ""));
        let section = help.split("\n      --").find(|section| section.split_whitespace().next() == Some(&flag[2..]));
        let section = section.unwrap_or_else(|| panic!("the program has no {flag}"));
        if let Some((_, rest)) = section.split_once("[default: ")
            && let Some((default, _)) = rest.split_once(']')
            && !default.contains(' ')
            && !["--watch-namespace", "--allowed-endpoint-hosts", "--metrics-cert-path"].contains(&flag)
        {
            assert_eq!(value, default, "{flag}");
        }
    }
}
