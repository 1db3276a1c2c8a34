//! The installation by a user who is admin of some namespaces only, after a cluster admin applied one file.

use harness::simulator::{Identity, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, cluster_admin_file, current_chart, eventually};
use crate::installed::pod;
use crate::support::{NAMESPACE, RELEASE, namespace, objects};

/// The user who installs the operator.
const USER: &str = "ann";
/// The namespaces that the operator watches.
const TEAMS: [&str; 2] = ["team-a", "team-b"];

/// A ProviderConfig, and the AuthenticatorConfig and the request that use it.
fn objects_of(tenant: &str) -> [Value; 3] {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
        })
    };
    let credentials = json!({ "apiToken": { "secretRef": { "name": "beyond-identity", "key": "token" } } });
    let reference = json!({ "kind": "ProviderConfig", "name": "own" });
    [
        object(
            "ProviderConfig",
            "own",
            json!({ "tenantID": tenant, "realmID": "realm", "region": "US", "credentials": credentials }),
        ),
        object(
            "AuthenticatorConfig",
            "hosted-web",
            json!({ "providerConfigRef": reference, "config": { "type": "hosted_web" } }),
        ),
        object(
            "EnrollmentRequest",
            "jane",
            json!({ "authenticatorConfigRef": { "name": "hosted-web" }, "identity": { "id": "jane" } }),
        ),
    ]
}

#[test]
fn release_has_no_cluster_scoped_object() {
    let rendered = objects(json!({
        "watchNamespaces": TEAMS,
        "rbac": { "clusterScoped": false },
        "metrics": { "secure": { "enabled": true } },
    }));
    let cluster_scoped: Vec<&Value> =
        rendered.iter().filter(|object| object["metadata"].get("namespace").is_none()).collect();
    assert_eq!(cluster_scoped, [&Value::Null; 0]);
    assert!(rendered.iter().any(|object| object["kind"] == "Deployment"));
}

#[test]
fn namespace_admin_installs_the_operator_after_the_cluster_admin() {
    let cluster = Cluster::empty();
    cluster.kubectl(&["apply", "--server-side", "--filename", &cluster_admin_file()]);
    for name in [&TEAMS[..], &[NAMESPACE]].concat() {
        namespace(&cluster.0, name);
        let admin = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": USER, "namespace": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER }],
        });
        cluster.apply(&admin.to_string(), &[]);
    }
    let user = format!("--as={USER}");
    let may = |verb: &str, what: &str, namespace: &str| {
        cluster.0.run_kubectl(["auth", "can-i", verb, what, &user, "--namespace", namespace]).is_ok()
    };
    eventually(|| may("create", "enrollmentrequests.beyondidentity.dev", "team-b"));
    for (verb, what) in [
        ("create", "clusterroles.rbac.authorization.k8s.io"),
        ("create", "customresourcedefinitions.apiextensions.k8s.io"),
        ("get", "clusterproviderconfigs.beyondidentity.dev"),
    ] {
        assert!(!may(verb, what, ""), "{verb} {what}");
    }
    assert!(!may("create", "enrollmentrequests.beyondidentity.dev", "default"));

    let as_user = format!("--kube-as-user={USER}");
    let watched = format!("watchNamespaces={{{}}}", TEAMS.join(","));
    let whole = cluster.release("install", RELEASE, &current_chart(), &[as_user.as_str()]).unwrap_err();
    assert!(whole.contains(&format!("User \"{USER}\" cannot")), "{whole}");
    let secrets = TEAMS.map(|team| format!("rbac.tenantSecrets.{team}={{beyond-identity}}"));
    let own = ["--set", &watched, "--set", &secrets[0], "--set", &secrets[1]];
    let values = [&["--install", "--set", "rbac.clusterScoped=false,settleTime=2s", &as_user], &own[..]].concat();
    for _ in 0..2 {
        let notes = cluster.release("upgrade", RELEASE, &current_chart(), &values).unwrap();
        assert!(notes.contains("kind: ProviderConfig") && !notes.contains("kind: ClusterProviderConfig"), "{notes}");
    }

    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let realms = TEAMS.map(|team| simulator.realm(&format!("tenant-of-{team}"), "realm", &format!("token-of-{team}")));
    let home = TempDir::new().unwrap();
    let operator = pod(&cluster.0, &home, "only", &["--loopback-region", &format!("US={}", simulator.url())]);
    eventually(|| operator.get("/readyz").0 == 200);
    for (team, realm) in TEAMS.iter().zip(&realms) {
        realm.add_identity(Identity::active("jane", "jane@example.com"));
        let token = format!("--from-literal=token=token-of-{team}");
        cluster.kubectl(&["create", "secret", "generic", "beyond-identity", "--namespace", team, &token, &user]);
        for object in objects_of(&format!("tenant-of-{team}")) {
            cluster.apply(&object.to_string(), &["--namespace", team, &user]);
        }
        let wait = ["wait", "--for=condition=Ready", "enrollmentrequest/jane", "--namespace", team, "--timeout=60s"];
        cluster.kubectl(&[&wait[..], &[&user]].concat());
        assert_eq!(realm.outbox().len(), 1, "{team}");
    }
    for team in TEAMS {
        let mut config = objects_of("any")[1].clone();
        config["metadata"]["name"] = "shared".into();
        config["spec"]["providerConfigRef"] = json!({ "kind": "ClusterProviderConfig", "name": "default" });
        cluster.apply(&config.to_string(), &["--namespace", team, &user]);
        let refused = "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=ProviderConfigNotFound";
        cluster.kubectl(&["wait", refused, "authenticatorconfig/shared", "--namespace", team, "--timeout=60s"]);
        for kind in ["enrollmentrequests", "authenticatorconfigs", "providerconfigs"] {
            cluster.kubectl(&["delete", kind, "--all", "--namespace", team, "--timeout=60s", &user]);
        }
    }
    assert!(realms.iter().all(|realm| realm.configs().is_empty()), "the configurations are deleted");
    let denied: Vec<String> = [operator.logged("not allowed to"), operator.logged("lacks permission")].concat();
    assert_eq!(denied, [""; 0]);
    cluster.helm(&["uninstall", RELEASE, "--wait", &as_user]).unwrap();
    cluster.kubectl(&["delete", "namespaces", TEAMS[0], TEAMS[1]]);
}
