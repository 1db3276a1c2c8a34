//! What users add to the chart's objects: labels, objects, volumes and variables.

use serde_json::{Value, json};

use crate::support::{NAMESPACE, RELEASE, objects, single};

/// The values that render all optional objects.
fn with_all_objects(mut values: Value) -> Value {
    values["watchNamespaces"] = json!(["team-a"]);
    values["rbac"] = json!({ "tenantsMayEnroll": true, "tenantSecrets": { "team-a": ["token"] } });
    values["metrics"] = json!({
        "secure": { "enabled": true }, "serviceMonitor": { "enabled": true },
        "prometheusRule": { "enabled": true }, "dashboard": { "enabled": true },
    });
    values["networkPolicy"] = json!({ "enabled": true });
    values
}

/// The labels by which the object selects others.
fn selectors(object: &Value) -> Vec<&Value> {
    let all = ["/spec/selector", "/spec/selector/matchLabels", "/spec/podSelector/matchLabels"];
    all.iter().filter_map(|pointer| object.pointer(pointer)).collect()
}

#[test]
fn common_labels_are_on_all_objects_and_in_no_selector() {
    let common = json!({ "team": "identity", "app.kubernetes.io/name": "other", "app.kubernetes.io/part-of": "sso" });
    let own = |object: &Value| object["metadata"]["labels"].clone();
    let plain = objects(with_all_objects(json!({})));
    let labelled = objects(with_all_objects(json!({ "commonLabels": common, "podLabels": { "team": "pods" } })));
    assert_eq!(plain.len(), labelled.len());
    for (plain, labelled) in plain.iter().zip(&labelled) {
        let mut expected = own(plain);
        expected["team"] = "identity".into();
        expected["app.kubernetes.io/part-of"] = "sso".into();
        assert_eq!(own(labelled), expected, "{}", plain["kind"]);
        assert_eq!(selectors(labelled), selectors(plain), "{}", plain["kind"]);
        if plain["kind"] == "Deployment" {
            let mut pod = own(&plain["spec"]["template"]);
            pod["team"] = "pods".into();
            pod["app.kubernetes.io/part-of"] = "sso".into();
            assert_eq!(own(&labelled["spec"]["template"]), pod);
        }
    }
}

#[test]
fn extra_objects_are_rendered_as_templates() {
    let all = objects(json!({ "extraObjects": [
        { "apiVersion": "v1", "kind": "Secret", "stringData": { "name": "{{ .Release.Name }}" } },
        "kind: ConfigMap\ndata: {for: {{ .Release.Namespace }}}\n---\nkind: Job\nmetadata: {name: {{ .Values.clusterName }}}",
    ] }));
    assert_eq!(single("Secret", &all)["stringData"]["name"], RELEASE);
    assert_eq!(single("ConfigMap", &all)["data"]["for"], NAMESPACE);
    assert_eq!(single("Job", &all)["metadata"]["name"], "test");
}

#[test]
fn topology_spread_constraint_without_a_selector_is_for_the_pods_of_the_release() {
    let constraint = json!({ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" });
    let mut selecting = constraint.clone();
    selecting["labelSelector"] = json!({ "matchExpressions": [{ "key": "team", "operator": "Exists" }] });
    let all = objects(json!({ "topologySpreadConstraints": [constraint, selecting] }));
    let spec = &single("Deployment", &all)["spec"];
    let mut expected = constraint;
    expected["labelSelector"] = spec["selector"].clone();
    assert_eq!(spec["template"]["spec"]["topologySpreadConstraints"], json!([expected, selecting]));
}

#[test]
fn ca_bundle_comes_from_a_config_map_or_a_secret() {
    let items = json!([{ "key": "all.pem", "path": "all.pem" }]);
    for (values, volume) in [
        (json!({ "configMap": "authorities", "key": "all.pem" }), json!({ "name": "authorities", "items": items })),
        (json!({ "secret": "authorities", "key": "all.pem" }), json!({ "secretName": "authorities", "items": items })),
    ] {
        let source = if values.get("secret").is_some() { "secret" } else { "configMap" };
        let all = objects(json!({
            "caBundle": values,
            "metrics": { "secure": { "enabled": true, "secretName": "certificate" } },
            "extraVolumes": [{ "name": "more", "emptyDir": {} }],
            "extraVolumeMounts": [{ "name": "more", "mountPath": "/more" }],
        }));
        let pod = &single("Deployment", &all)["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0], json!({ "name": "ca-bundle", source: volume }));
        let names = |list: &Value| list.as_array().unwrap().iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&pod["volumes"]), ["ca-bundle", "metrics-certificate", "more"]);
        assert_eq!(names(&pod["containers"][0]["volumeMounts"]), ["ca-bundle", "metrics-certificate", "more"]);
    }
}

#[test]
fn monitors_select_the_pods_and_scrape_them_alike() {
    let scrape = json!({ "enabled": true, "interval": "30s", "relabelings": [{ "action": "drop" }] });
    let of = |kind: &str, value: &str, secure: Value| {
        let mut metrics = json!({ value: scrape, "secure": secure });
        if value == "podMonitor" {
            metrics[value]["authorization"] = json!({ "credentials": { "name": "reader", "key": "token" } });
        }
        single(kind, &objects(json!({ "metrics": metrics })))["spec"].clone()
    };
    let plain = json!({ "port": "metrics", "interval": "30s", "relabelings": [{ "action": "drop" }] });
    let ca = json!({ "secret": { "name": "certificate", "key": "ca.crt" } });
    let server = format!("{RELEASE}-metrics.{NAMESPACE}.svc");
    for (secure, tls) in [
        (json!({ "enabled": false }), None),
        (json!({ "enabled": true }), Some(json!({ "insecureSkipVerify": true }))),
        (json!({ "enabled": true, "secretName": "certificate" }), Some(json!({ "serverName": server, "ca": ca }))),
    ] {
        let mut expected = plain.clone();
        if let Some(tls) = tls {
            expected["scheme"] = "https".into();
            expected["tlsConfig"] = tls;
        }
        let service = of("ServiceMonitor", "serviceMonitor", secure.clone());
        let pod = of("PodMonitor", "podMonitor", secure.clone());
        let selector = json!({ "matchLabels": {
            "app.kubernetes.io/name": "beyond-identity-operator", "app.kubernetes.io/instance": RELEASE,
        } });
        let mut of_service = expected.clone();
        if secure["enabled"] == true {
            of_service["bearerTokenFile"] = "/var/run/secrets/kubernetes.io/serviceaccount/token".into();
        }
        assert_eq!(service, json!({ "selector": selector, "endpoints": [of_service] }));
        expected["authorization"] = json!({ "credentials": { "name": "reader", "key": "token" } });
        assert_eq!(pod, json!({ "selector": selector, "podMetricsEndpoints": [expected] }));
    }
}

#[test]
fn rules_have_all_alerts_but_the_disabled_ones() {
    let alerts = |values: Value| {
        let rules =
            single("PrometheusRule", &objects(json!({ "metrics": { "prometheusRule": values } })))["spec"].clone();
        rules["groups"][0]["rules"].as_array().unwrap().clone()
    };
    let all = alerts(json!({ "enabled": true }));
    let disabled = ["BeyondIdentityLinksExpired", "BeyondIdentityEmailsHeldBack"];
    let fewer = alerts(json!({ "enabled": true, "disabledAlerts": disabled }));
    let expected = all.iter().filter(|alert| disabled.iter().all(|name| alert["alert"] != *name));
    assert_eq!(fewer.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(fewer.len(), all.len() - 2);
    // Without a base, the annotation has the page and the heading.
    assert_eq!(all[1]["annotations"]["runbook_url"], "troubleshooting.md#no-replica-is-the-leader");
}

#[test]
fn config_map_has_the_dashboard() {
    let map = single("ConfigMap", &objects(json!({ "metrics": { "dashboard": { "enabled": true } } }))).clone();
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = map["data"]["beyond-identity-operator.json"].as_str().unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/dashboard.json");
    assert_eq!(text, std::fs::read_to_string(file).unwrap().trim());
}
