//! Each value of the chart: it changes the rendered objects, and the API server accepts the result.

use std::collections::BTreeSet;
use std::fs;

use harness::chart::{self, helm, render};
use harness::control_plane::ControlPlane;
use harness::process::output_of;
use serde_json::{Map, Value, json};

use crate::support::{NAMESPACE, RELEASE, define_monitors, namespace, objects, parsed, single};

/// Values other than the defaults, each with the texts that the rendered objects must contain.
fn cases() -> Vec<(Value, &'static [&'static str])> {
    vec![
        (json!({}), &["replicas: 2", "- --leader-elect", "--cluster-name=test", "type: RollingUpdate"]),
        (
            json!({ "watchNamespaces": ["one", "2"] }),
            &["--watch-namespace=one", "--watch-namespace=2", "namespace: \"2\""],
        ),
        (
            json!({ "nameOverride": "enrol" }),
            &["name: \"beyond-identity-operator-enrol\"", "app.kubernetes.io/name: \"enrol\""],
        ),
        (json!({ "fullnameOverride": "enrol" }), &["name: \"enrol\"", "name: \"enrol-metrics\""]),
        (json!({ "replicas": 1, "leaderElection": false }), &["replicas: 1", "type: Recreate"]),
        (json!({ "image": { "repository": "example.com/operator", "tag": "1.2.3" } }), &["example.com/operator:1.2.3"]),
        (
            json!({ "image": { "digest": format!("sha256:{}", "0".repeat(64)), "pullPolicy": "Always" } }),
            &["beyond-identity-operator@sha256:0000", "imagePullPolicy: Always"],
        ),
        (json!({ "imagePullSecrets": [{ "name": "pull" }] }), &["- name: pull"]),
        (
            json!({ "requestTimeout": "1m30s", "settleTime": "90s", "gracePeriod": "1h", "resyncInterval": "30m" }),
            &["--request-timeout=1m30s", "--settle-time=90s", "--grace-period=1h", "--resync-interval=30m"],
        ),
        (json!({ "jobPollMin": "10s", "jobPollMax": "10m" }), &["--job-poll-min=10s", "--job-poll-max=10m"]),
        (json!({ "pollBudget": 30 }), &["--poll-budget=30"]),
        (
            json!({ "maxConcurrentReconciles": 4, "maxConcurrentReconcilesPerProviderConfig": 3 }),
            &["--max-concurrent-reconciles=4", "--max-concurrent-reconciles-per-provider-config=3"],
        ),
        (
            json!({ "allowedEndpointHosts": ["api.example.com", "[2001:db8::1]:8443"] }),
            &["\"--allowed-endpoint-hosts=api.example.com\"", "\"--allowed-endpoint-hosts=[2001:db8::1]:8443\""],
        ),
        (json!({ "orphanOnDelete": true }), &["- --orphan-on-delete"]),
        (json!({ "log": { "auditJobIDs": true } }), &["- --audit-job-ids"]),
        (json!({ "showServiceMessages": true }), &["- --show-service-messages"]),
        (
            json!({ "log": { "format": "text", "level": "info,beyond_identity_operator=debug" } }),
            &["--log-format=text", "--log-level=info,beyond_identity_operator=debug"],
        ),
        (
            json!({ "proxy": { "existingSecret": "proxy", "existingSecretKey": "address" } }),
            &["name: HTTPS_PROXY", "secretKeyRef:", "name: \"proxy\"", "key: \"address\""],
        ),
        (
            json!({ "proxy": { "https": "http://proxy:3128", "noProxy": "10.0.0.0/8" } }),
            &["name: HTTPS_PROXY", "http://proxy:3128", "name: NO_PROXY", "10.0.0.0/8"],
        ),
        (
            json!({ "caBundle": { "configMap": "authorities", "key": "all.pem" } }),
            &["--ca-bundle=/etc/beyond-identity-operator/ca-bundle/all.pem", "name: \"authorities\""],
        ),
        (
            json!({ "caBundle": { "secret": "authorities" } }),
            &["--ca-bundle=/etc/beyond-identity-operator/ca-bundle/ca.crt", "secretName: \"authorities\""],
        ),
        (json!({ "crds": { "install": false } }), &[]),
        (json!({ "rbac": { "aggregate": false } }), &[]),
        (
            json!({ "watchNamespaces": ["one"], "rbac": { "clusterScoped": false } }),
            &["--cluster-provider-configs=false", "kind: ClusterRole\n  name: beyond-identity-operator-namespace"],
        ),
        (json!({ "rbac": { "secretNames": ["one", "1"] } }), &["resourceNames: [\"one\",\"1\"]"]),
        (json!({ "rbac": { "secretNames": [] } }), &[]),
        (
            json!({ "rbac": { "tenantSecrets": { "one": ["beyond-identity"], "2": ["3", "theirs"] } } }),
            &["beyond-identity-operator-secrets\n  namespace: \"2\"", "resourceNames: [\"3\",\"theirs\"]"],
        ),
        (json!({ "rbac": { "tenantsMayEnroll": true } }), &["name: beyond-identity-operator-edit"]),
        (
            json!({ "serviceAccount": { "create": false, "name": "theirs" } }),
            &["serviceAccountName: \"theirs\"", "name: \"theirs\""],
        ),
        (json!({ "serviceAccount": { "annotations": { "a": "b" } } }), &["a: b"]),
        (json!({ "metrics": { "service": { "enabled": false } } }), &[]),
        (
            json!({ "metrics": { "service": { "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4"] } } }),
            &["ipFamilyPolicy: PreferDualStack", "ipFamilies: [\"IPv4\"]"],
        ),
        (
            json!({ "metrics": { "secure": { "enabled": true }, "serviceMonitor": { "enabled": true } } }),
            &[
                "- --metrics-secure",
                "kind: ServiceMonitor",
                "-metrics-auth",
                "-metrics-reader",
                "insecureSkipVerify: true",
            ],
        ),
        (
            json!({ "metrics": {
                "secure": { "enabled": true, "secretName": "certificate" }, "serviceMonitor": { "enabled": true },
            } }),
            &[
                "- --metrics-cert-path=/etc/beyond-identity-operator/metrics-certificate",
                "secretName: \"certificate\"",
                "key: ca.crt",
                "serverName: ",
            ],
        ),
        (
            json!({ "metrics": {
                "secure": { "enabled": true, "secretName": "certificate" },
                "serviceMonitor": { "enabled": true, "tlsConfig": { "caFile": "/etc/ca.crt" } },
            } }),
            &["tlsConfig:\n        caFile: /etc/ca.crt\n"],
        ),
        (
            json!({ "metrics": { "serviceMonitor": {
                "enabled": true, "labels": { "release": "prometheus" }, "interval": "1m30s", "scrapeTimeout": "12s",
                "relabelings": [{ "action": "labelmap" }], "metricRelabelings": [{ "action": "labeldrop" }],
            } } }),
            &[
                "kind: ServiceMonitor",
                "release: prometheus",
                "interval: \"1m30s\"",
                "scrapeTimeout: \"12s\"",
                "      relabelings:\n        - action: labelmap",
                "      metricRelabelings:\n        - action: labeldrop",
            ],
        ),
        (
            json!({ "metrics": { "service": { "enabled": false }, "podMonitor": {
                "enabled": true, "labels": { "release": "prometheus" }, "interval": "1m30s", "scrapeTimeout": "12s",
                "relabelings": [{ "action": "labelmap" }], "metricRelabelings": [{ "action": "labeldrop" }],
            } } }),
            &[
                "kind: PodMonitor",
                "release: prometheus",
                "interval: \"1m30s\"",
                "scrapeTimeout: \"12s\"",
                "      relabelings:\n        - action: labelmap",
                "      metricRelabelings:\n        - action: labeldrop",
            ],
        ),
        (
            json!({ "metrics": { "secure": { "enabled": true, "secretName": "certificate" }, "podMonitor": {
                "enabled": true, "authorization": { "credentials": { "name": "reader", "key": "token" } },
            } } }),
            &["authorization:\n        credentials:", "scheme: https", "serverName: ", "key: ca.crt"],
        ),
        (
            json!({ "metrics": { "secure": { "enabled": true }, "podMonitor": {
                "enabled": true, "authorization": { "type": "Bearer" }, "tlsConfig": { "serverName": "metrics" },
            } } }),
            &["tlsConfig:\n        serverName: metrics\n"],
        ),
        (
            json!({ "metrics": { "prometheusRule": {
                "enabled": true, "labels": { "release": "prometheus" }, "runbookBaseURL": "https://docs.example.com/docs",
                "disabledAlerts": ["BeyondIdentityLinksExpired"],
            } } }),
            &[
                "kind: PrometheusRule",
                "release: prometheus",
                "runbook_url: https://docs.example.com/docs/troubleshooting.md#no-replica-is-the-leader",
                "summary: '{{ $labels.kind }} {{ $labels.name }} is not Ready'",
            ],
        ),
        (
            json!({ "metrics": { "dashboard": {
                "enabled": true, "labels": { "grafana_dashboard": "yes" }, "annotations": { "grafana_folder": "Identity" },
            } } }),
            &[
                "kind: ConfigMap",
                "grafana_dashboard: \"yes\"",
                "grafana_folder: Identity",
                "  beyond-identity-operator.json: |-\n    {\n",
            ],
        ),
        (
            json!({ "networkPolicy": {
                "enabled": true,
                "metricsFrom": [{ "podSelector": { "matchLabels": { "app": "prometheus" } } }],
                "dnsTo": [{ "ipBlock": { "cidr": "10.96.0.10/32" } }],
                "kubernetesAPI": { "to": [{ "ipBlock": { "cidr": "10.0.0.1/32" } }], "ports": [6444] },
                "beyondIdentityTo": [{ "ipBlock": { "cidr": "192.0.2.0/24" } }],
                "extraIngress": [{ "from": [{ "namespaceSelector": { "matchLabels": { "team": "nodes" } } }] }],
                "extraEgress": [{ "ports": [{ "port": 3129 }] }],
            } }),
            &[
                "app: prometheus",
                "10.96.0.10/32",
                "10.0.0.1/32",
                "port: 6444",
                "192.0.2.0/24",
                "team: nodes",
                "port: 3129",
            ],
        ),
        (json!({ "podDisruptionBudget": { "enabled": false } }), &[]),
        (
            json!({ "resources": { "limits": { "memory": "1Gi" }, "requests": { "cpu": "2", "memory": "512Mi" } } }),
            &["memory: 1Gi", "cpu: \"2\"", "memory: 512Mi"],
        ),
        (json!({ "resources": { "limits": null, "requests": null } }), &["resources:\n            {}"]),
        (json!({ "podSecurityContext": { "runAsUser": 1000660000 } }), &["runAsUser: 1000660000"]),
        (json!({ "securityContext": { "readOnlyRootFilesystem": false } }), &["readOnlyRootFilesystem: false"]),
        (
            json!({
                "extraEnv": [{ "name": "RUST_BACKTRACE", "value": "1" }], "envFrom": [{ "configMapRef": { "name": "more" } }],
                "extraVolumes": [{ "name": "files", "emptyDir": {} }],
                "extraVolumeMounts": [{ "name": "files", "mountPath": "/files" }],
            }),
            &["name: RUST_BACKTRACE", "name: more", "emptyDir: {}", "mountPath: /files"],
        ),
        (
            json!({
                "commonLabels": { "team": "identity" },
                "extraObjects": [
                    { "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                        "name": "{{ .Release.Name }}-first", "namespace": "{{ .Release.Namespace }}",
                    } },
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second, namespace: {{ .Release.Namespace | quote }}}",
                ],
            }),
            &["team: identity", "-first", "name: second"],
        ),
        (
            json!({ "topologySpreadConstraints": [
                { "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway" },
            ] }),
            &["topologyKey: topology.kubernetes.io/zone"],
        ),
        (
            json!({
                "podLabels": { "team": "identity" }, "podAnnotations": { "note": "1" }, "nodeSelector": { "disk": "ssd" },
                "tolerations": [{ "key": "dedicated", "operator": "Exists" }], "priorityClassName": "high",
                "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
                    { "topologyKey": "zone", "labelSelector": { "matchLabels": { "a": "b" } } },
                ] } },
            }),
            &["team: identity", "note: \"1\"", "disk: ssd", "key: dedicated", "topologyKey: zone", "\"high\""],
        ),
    ]
}

fn with_name(values: &Value) -> Value {
    let mut values = values.clone();
    values["clusterName"] = "test".into();
    values
}

#[test]
fn helm_lint_passes() {
    for (values, _) in cases() {
        let folder = chart::folder();
        let command = helm(["lint", "--strict", "--quiet", folder.to_str().unwrap(), "--values", "-"]).unwrap();
        assert_eq!(output_of(command, &with_name(&values).to_string()).unwrap(), "", "{values}");
    }
}

#[test]
fn each_value_changes_the_rendered_objects() {
    let default = render(RELEASE, NAMESPACE, &with_name(&json!({}))).unwrap();
    let mut tried = BTreeSet::from(["clusterName".to_owned()]);
    for (values, expected) in cases() {
        let rendered = render(RELEASE, NAMESPACE, &with_name(&values)).unwrap();
        for text in expected {
            assert!(rendered.contains(text), "with {values}, {text:?} is not rendered:\n{rendered}");
            assert!(
                values == json!({}) || !default.contains(text) || *text == "a: b",
                "{text:?} is rendered by default too"
            );
        }
        assert!(values == json!({}) || rendered != default, "{values} changes nothing");
        tried.extend(leaves("", values.as_object().unwrap()));
    }
    let defaults = fs::read_to_string(chart::folder().join("values.yaml")).unwrap();
    let all: Value = serde_saphyr::from_str(&defaults).unwrap();
    for value in leaves("", all.as_object().unwrap()) {
        // An object that is empty by default counts as set if a field below it is set.
        let set = |tried: &String| *tried == value || tried.starts_with(&format!("{value}."));
        assert!(tried.iter().any(set), "no case sets {value}");
    }
}

/// Values that count as one, since Kubernetes defines their fields.
const WHOLE: [&str; 3] = ["resources", "podSecurityContext", "securityContext"];

/// The paths of all values that are not objects.
fn leaves(path: &str, values: &Map<String, Value>) -> BTreeSet<String> {
    let below = |(name, value): (&String, &Value)| match value {
        Value::Object(object) if !object.is_empty() && !WHOLE.contains(&name.as_str()) => {
            leaves(&format!("{path}{name}."), object)
        }
        _ => BTreeSet::from([format!("{path}{name}")]),
    };
    values.iter().flat_map(below).collect()
}

#[test]
fn disabled_objects_are_not_rendered() {
    for (values, kind, name) in [
        (json!({ "crds": { "install": false } }), "CustomResourceDefinition", ""),
        (json!({ "rbac": { "aggregate": false } }), "ClusterRole", "-view"),
        (json!({}), "ClusterRole", "-edit"),
        (json!({ "serviceAccount": { "create": false, "name": "theirs" } }), "ServiceAccount", ""),
        (json!({ "metrics": { "service": { "enabled": false } } }), "Service", ""),
        (json!({}), "ServiceMonitor", ""),
        (json!({}), "PodMonitor", ""),
        (json!({}), "PrometheusRule", ""),
        (json!({}), "ConfigMap", "-dashboard"),
        (json!({}), "ClusterRole", "-metrics-auth"),
        (json!({}), "ClusterRole", "-metrics-reader"),
        (json!({}), "NetworkPolicy", ""),
        (json!({ "podDisruptionBudget": { "enabled": false } }), "PodDisruptionBudget", ""),
    ] {
        let ends = |object: &Value| object["metadata"]["name"].as_str().unwrap().ends_with(name);
        assert!(!objects(values).iter().any(|object| object["kind"] == kind && ends(object)), "{kind} {name}");
    }
    let alone = objects(json!({ "replicas": 1, "leaderElection": false }));
    assert!(!alone.iter().any(|object| object.to_string().contains("leases")));
    let deployment = single("Deployment", &alone).to_string();
    assert!(!deployment.contains("--leader-elect"));
}

#[test]
fn api_server_accepts_all_rendered_objects() {
    let cluster = ControlPlane::shared().unwrap();
    for name in [NAMESPACE, "one", "2"] {
        namespace(cluster, name);
    }
    define_monitors(cluster);
    let apply = ["apply", "--dry-run=server", "--validate=strict", "--filename", "-"];
    for (mut values, _) in cases() {
        // The CustomResourceDefinitions are large, and the same in all other cases.
        if values != json!({}) {
            values["crds"] = json!({ "install": false });
        }
        // The name of a release or a namespace may consist of digits, which YAML parses as a number.
        for (release, namespace) in [(RELEASE, NAMESPACE), ("1", "2")] {
            let rendered = render(release, namespace, &with_name(&values)).unwrap();
            let applied = cluster.run_kubectl_with(&rendered, apply);
            let count = applied.as_ref().map_or(0, |applied| applied.lines().count());
            assert_eq!(count, parsed(&rendered).len(), "{values}: {applied:?}");
        }
    }
}
