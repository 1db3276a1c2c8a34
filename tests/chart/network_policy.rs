//! The NetworkPolicy: it allows what its values say, and nothing else.

use serde_json::{Value, json};

use crate::support::{objects, single};

/// The spec of the rendered NetworkPolicy.
fn spec(mut values: Value, policy: Value) -> Value {
    values["networkPolicy"] = policy;
    values["networkPolicy"]["enabled"] = true.into();
    single("NetworkPolicy", &objects(values))["spec"].clone()
}

/// TCP ports, as a NetworkPolicy lists them.
fn tcp(ports: &[u16]) -> Value {
    ports.iter().map(|port| json!({ "protocol": "TCP", "port": port })).collect()
}

#[test]
fn default_allows_dns_the_kubernetes_api_and_the_service() {
    let spec = spec(json!({}), json!({}));
    let deployment = single("Deployment", &objects(json!({})))["spec"].clone();
    assert_eq!(spec["podSelector"], deployment["selector"], "the policy is for the operator's pods");
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(spec["ingress"], json!([]), "a rule without `from` would allow everybody");
    let dns = json!([{ "protocol": "UDP", "port": 53 }, { "protocol": "TCP", "port": 53 }]);
    assert_eq!(spec["egress"], json!([{ "ports": dns }, { "ports": tcp(&[443, 6443]) }, { "ports": tcp(&[443]) }]));
}

#[test]
fn peers_restrict_each_rule() {
    let peer = |cidr: &str| json!([{ "ipBlock": { "cidr": cidr } }]);
    let spec = spec(
        json!({}),
        json!({
            "metricsFrom": peer("10.0.0.1/32"),
            "dnsTo": peer("10.0.0.2/32"),
            "kubernetesAPI": { "to": peer("10.0.0.3/32"), "ports": [6443] },
            "beyondIdentityTo": peer("10.0.0.4/32"),
            "extraIngress": [{ "from": peer("10.0.0.5/32") }],
            "extraEgress": [{ "to": peer("10.0.0.6/32") }],
        }),
    );
    assert_eq!(
        spec["ingress"],
        json!([{ "from": peer("10.0.0.1/32"), "ports": tcp(&[8080]) }, { "from": peer("10.0.0.5/32") }])
    );
    let egress = spec["egress"].as_array().unwrap();
    let peers: Vec<&Value> = egress.iter().map(|rule| &rule["to"][0]["ipBlock"]["cidr"]).collect();
    assert_eq!(peers, ["10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32", "10.0.0.6/32"]);
    assert_eq!(egress[1]["ports"], tcp(&[6443]));
}

#[test]
fn service_ports_follow_the_endpoints_and_the_proxy() {
    for (values, ports) in [
        (json!({ "allowedEndpointHosts": ["a.example", "b.example:8443", "[2001:db8::1]"] }), &[443, 8443][..]),
        (json!({ "allowedEndpointHosts": ["[2001:db8::1]:9443", "b.example:443"] }), &[443, 9443]),
        (json!({ "proxy": { "https": "http://proxy:3128" } }), &[443, 3128]),
        (json!({ "proxy": { "https": "http://user:1@proxy.example/" } }), &[443, 80]),
        (json!({ "proxy": { "https": "https://proxy.example" } }), &[443]),
        (json!({ "proxy": { "https": "http://[2001:db8::1]:3128" } }), &[443, 3128]),
        (json!({ "proxy": { "https": "http://[2001:db8::1]" } }), &[443, 80]),
    ] {
        assert_eq!(spec(values.clone(), json!({}))["egress"][2]["ports"], tcp(ports), "{values}");
    }
}
