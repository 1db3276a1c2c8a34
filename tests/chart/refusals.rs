//! Invalid values are rejected, with a sentence that names the value.

use std::fs;

use harness::chart::{self, helm, render};
use harness::process::output_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{NAMESPACE, RELEASE, copy};

/// The error of helm for these values, merged over a cluster name.
fn error_for(values: &Value) -> String {
    let mut all = json!({ "clusterName": "test" });
    all.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
    let rendered = render(RELEASE, NAMESPACE, &all).map_err(|error| error.to_string());
    rendered.err().unwrap_or_else(|| format!("no error: {values} is rendered"))
}

#[test]
fn invalid_values_are_rejected_by_name() {
    let long = "x".repeat(33);
    for (values, sentence) in [
        (json!({ "clusterName": "" }), "clusterName is required: set it to a DNS label"),
        (json!({ "clusterName": null }), "missing property 'clusterName'"),
        (json!({ "clusterName": {} }), "at '/clusterName': got object, want string"),
        (json!({ "nameOverride": "Enrol" }), "at '/nameOverride': 'Enrol' does not match pattern"),
        (json!({ "fullnameOverride": "f".repeat(64) }), "at '/fullnameOverride': maxLength: got 64, want 63"),
        (json!({ "serviceAccount": { "name": "a b" } }), "at '/serviceAccount/name': 'a b' does not match pattern"),
        (json!({ "clusterName": long }), "clusterName must have at most 32 characters, but has 33"),
        (json!({ "clusterName": "Prod" }), "clusterName is \"Prod\", but must be a DNS label: lowercase letters"),
        (json!({ "clusterName": "prod-" }), "clusterName is \"prod-\", but must be a DNS label: lowercase letters"),
        (json!({ "replica": 1 }), "additional properties 'replica' not allowed"),
        (
            json!({ "metrics": { "service": { "enable": true } } }),
            "at '/metrics/service': additional properties 'enable'",
        ),
        (
            json!({ "networkPolicy": { "kubernetesAPI": { "ports": ["https"] } } }),
            "at '/networkPolicy/kubernetesAPI/ports/0': got string, want integer",
        ),
        (json!({ "networkPolicy": { "metricsFrom": {} } }), "at '/networkPolicy/metricsFrom': got object, want array"),
        (json!({ "metrics": { "secure": true } }), "at '/metrics/secure': got boolean, want object"),
        (json!({ "resources": { "limit": {} } }), "at '/resources': additional properties 'limit' not allowed"),
        (
            json!({ "metrics": { "service": { "ipFamilyPolicy": "DualStack" } } }),
            "at '/metrics/service/ipFamilyPolicy': value must be one of '', 'SingleStack', 'PreferDualStack'",
        ),
        (
            json!({ "metrics": { "service": { "ipFamilies": ["IPv5"] } } }),
            "at '/metrics/service/ipFamilies/0': value must be one of 'IPv4', 'IPv6'",
        ),
        (json!({ "replicas": "2" }), "at '/replicas': got string, want integer"),
        (json!({ "leaderElection": "false" }), "at '/leaderElection': got string, want boolean"),
        (json!({ "watchNamespaces": "identity" }), "at '/watchNamespaces': got string, want array"),
        (json!({ "watchNamespaces": ["a", "a"] }), "at '/watchNamespaces': items at 0 and 1 are equal"),
        (json!({ "watchNamespaces": ["Identity"] }), "at '/watchNamespaces/0': 'Identity' does not match pattern"),
        (json!({ "settleTime": 60 }), "at '/settleTime': got number, want string"),
        (json!({ "settleTime": "60" }), "settleTime is \"60\", but must be a duration, such as 90s or 10m"),
        (json!({ "requestTimeout": "31m" }), "requestTimeout is 31m, but must be between 1s and 30m"),
        (json!({ "requestTimeout": "500ms" }), "requestTimeout is 500ms, but must be between 1s and 30m"),
        (json!({ "settleTime": "0s" }), "settleTime is 0s, but must be between 1s and 1h"),
        (json!({ "settleTime": "61m" }), "settleTime is 61m, but must be between 1s and 1h"),
        (json!({ "gracePeriod": "169h" }), "gracePeriod is 169h, but must be between 0s and 168h"),
        (json!({ "jobPollMin": "999ms" }), "jobPollMin is 999ms, but must be between 1s and 24h"),
        (json!({ "jobPollMax": "25h" }), "jobPollMax is 25h, but must be between 1s and 24h"),
        (json!({ "pollBudget": 0 }), "at '/pollBudget': minimum: got 0, want 1"),
        (json!({ "pollBudget": 6001 }), "at '/pollBudget': maximum: got 6,001, want 6,000"),
        (json!({ "resyncInterval": "0s" }), "resyncInterval is 0s, but must be between 1s and 24h"),
        (json!({ "resyncInterval": "5124095576030431h" }), "must be between 1s and 24h"),
        (json!({ "jobPollMin": "10m" }), "jobPollMin is 10m, but must not exceed jobPollMax, which is 5m"),
        (
            json!({ "maxConcurrentReconciles": 4 }),
            "maxConcurrentReconcilesPerProviderConfig is 16, but must not exceed maxConcurrentReconciles, which is 4",
        ),
        (
            json!({ "allowedEndpointHosts": ["https://api.example.com"] }),
            "at '/allowedEndpointHosts/0': 'https://api.example.com' does not match pattern",
        ),
        (
            json!({ "allowedEndpointHosts": ["2001:db8::1"] }),
            "at '/allowedEndpointHosts/0': '2001:db8::1' does not match pattern",
        ),
        (
            json!({ "rbac": { "tenantSecrets": { "one": [] } } }),
            "at '/rbac/tenantSecrets/one': minItems: got 0, want 1",
        ),
        (json!({ "rbac": { "tenantSecrets": { "A": ["a"] } } }), "invalid propertyName 'A'"),
        (
            json!({ "watchNamespaces": ["one"], "rbac": { "tenantSecrets": { "two": ["a"] } } }),
            "rbac.tenantSecrets names namespace two, which the operator does not watch: add it to watchNamespaces",
        ),
        (json!({ "rbac": { "secretNames": [""] } }), "at '/rbac/secretNames/0': '' does not match pattern"),
        (json!({ "rbac": { "secretNames": ["*"] } }), "at '/rbac/secretNames/0': '*' does not match pattern"),
        (json!({ "log": { "format": "xml" } }), "at '/log/format': value must be one of 'json', 'text'"),
        (
            json!({ "proxy": { "https": "http://proxy:3128", "existingSecret": "proxy" } }),
            "proxy.https and proxy.existingSecret are both set; remove one of them",
        ),
        (
            json!({ "image": { "digest": "latest" } }),
            "image.digest is \"latest\", but must be sha256: and 64 hexadecimal digits",
        ),
        (
            json!({ "caBundle": { "configMap": "authorities", "secret": "authorities" } }),
            "caBundle.configMap and caBundle.secret are both set; remove one of them",
        ),
        (
            json!({ "extraEnv": [{ "name": "A", "value": 1 }] }),
            "at '/extraEnv/0/value': value must be 'text: write it in",
        ),
        (json!({ "extraEnv": [{ "value": "1" }] }), "at '/extraEnv/0': missing property 'name'"),
        (json!({ "extraEnv": { "A": "1" } }), "at '/extraEnv': got object, want array"),
        (json!({ "extraEnv": [{ "name": "POD_NAME" }] }), "extraEnv sets POD_NAME, which is set already; remove one"),
        (
            json!({ "extraEnv": [{ "name": "A" }, { "name": "A" }] }),
            "extraEnv sets A, which is set already; remove one",
        ),
        (
            json!({ "extraEnv": [{ "name": "HTTPS_PROXY" }], "proxy": { "existingSecret": "proxy" } }),
            "extraEnv sets HTTPS_PROXY, which is set already",
        ),
        (
            json!({ "extraEnv": [{ "name": "NO_PROXY" }], "proxy": { "noProxy": "a.example" } }),
            "extraEnv sets NO_PROXY, which is set already",
        ),
        (json!({ "extraVolumeMounts": [{ "name": "a" }] }), "at '/extraVolumeMounts/0': missing property 'mountPath'"),
        (json!({ "extraObjects": [1] }), "at '/extraObjects/0': got number, want string or object"),
        (
            json!({ "commonLabels": { "rbac.authorization.k8s.io/aggregate-to-admin": "true" } }),
            "commonLabels has rbac.authorization.k8s.io/aggregate-to-admin, which would give the operator's permissions",
        ),
        (
            json!({ "metrics": { "serviceMonitor": { "enabled": true, "interval": "often" } } }),
            "at '/metrics/serviceMonitor/interval': 'often' does not match pattern",
        ),
        (
            json!({ "metrics": { "prometheusRule": { "disabledAlerts": ["BeyondIdentityNo"] } } }),
            "metrics.prometheusRule.disabledAlerts has BeyondIdentityNo, but no alert has this name; see docs/alerts.md",
        ),
        (
            json!({ "metrics": { "prometheusRule": { "runbookBaseURL": "docs" } } }),
            "at '/metrics/prometheusRule/runbookBaseURL': 'docs' does not match pattern",
        ),
        (
            json!({ "metrics": { "serviceMonitor": { "enabled": true }, "podMonitor": { "enabled": true } } }),
            "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true",
        ),
        (
            json!({ "metrics": { "secure": { "enabled": true }, "podMonitor": { "enabled": true } } }),
            "metrics.podMonitor.authorization is required if metrics.secure.enabled is true",
        ),
        (json!({ "leaderElection": false }), "replicas is more than 1 and leaderElection is false"),
        (json!({ "serviceAccount": { "create": false } }), "serviceAccount.name is required if serviceAccount.create"),
        (
            json!({ "rbac": { "clusterScoped": false } }),
            "rbac.clusterScoped is false and watchNamespaces is empty, but all namespaces can be watched only with",
        ),
        (
            json!({ "watchNamespaces": ["one"], "rbac": { "clusterScoped": false, "tenantsMayEnroll": true } }),
            "rbac.tenantsMayEnroll has no effect if rbac.clusterScoped is false",
        ),
        (
            json!({ "rbac": { "aggregate": false, "tenantsMayEnroll": true } }),
            "rbac.tenantsMayEnroll has no effect if rbac.aggregate is false",
        ),
        (
            json!({ "metrics": { "service": { "enabled": false }, "serviceMonitor": { "enabled": true } } }),
            "metrics.serviceMonitor.enabled requires the Service",
        ),
    ] {
        let error = error_for(&values);
        assert!(error.contains(sentence), "{values}: {error}");
    }
}

#[test]
fn chart_works_as_a_subchart() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("charts")).unwrap();
    copy(&chart::folder(), &folder.path().join("charts"));
    fs::write(folder.path().join("Chart.yaml"), "{apiVersion: v2, name: whole, version: 0.1.0}").unwrap();
    let values = json!({ "global": { "some": "thing" }, "beyond-identity-operator": { "clusterName": "part" } });
    let command = helm(["template", "whole", folder.path().to_str().unwrap(), "--values", "-"]).unwrap();
    assert!(output_of(command, &values.to_string()).unwrap().contains("--cluster-name=part"));
}
