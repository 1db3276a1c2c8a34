//! The installation by a user who is admin of some namespaces only, after a cluster admin applied one file.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, cluster_admin_file, current_chart, eventually};
use crate::installed::pod;
use crate::support::{NAMESPACE, RELEASE, namespace, objects};

/// The user who installs the operator.
const USER: &str = "ann";
/// The namespaces that the operator watches.
const TEAMS: [&str; 2] = ["team-a", "team-b"];

#[test]
fn release_has_no_cluster_scoped_object() {
    let rendered = objects(json!({ "watchNamespaces": TEAMS, "rbac": { "clusterScoped": false } }));
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
    let values = ["--install", "--set", "rbac.clusterScoped=false", "--set", &watched, &as_user];
    for _ in 0..2 {
        let notes = cluster.release("upgrade", RELEASE, &current_chart(), &values).unwrap();
        assert!(notes.contains("kind: ProviderConfig") && !notes.contains("kind: ClusterProviderConfig"), "{notes}");
    }

    let home = TempDir::new().unwrap();
    let operator = pod(&cluster.0, &home, "only");
    eventually(|| operator.get("/readyz").0 == 200);
    let config = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": {"name": "hosted-web"},
        "spec": {"config": {"type": "hosted_web"}},
    });
    for team in TEAMS {
        cluster.apply(&config.to_string(), &["--namespace", team, &user]);
        let waiting = "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=ProviderConfigNotFound";
        cluster.kubectl(&["wait", waiting, "authenticatorconfig/hosted-web", "--namespace", team, "--timeout=60s"]);
    }
    for team in TEAMS {
        let delete = ["delete", "authenticatorconfig", "hosted-web", "--namespace", team, "--timeout=60s", &user];
        cluster.kubectl(&delete);
    }
    let denied: Vec<String> = [operator.logged("not allowed to"), operator.logged("lacks permission")].concat();
    assert_eq!(denied, [""; 0]);
    cluster.helm(&["uninstall", RELEASE, "--wait", &as_user]).unwrap();
    cluster.kubectl(&["delete", "namespaces", TEAMS[0], TEAMS[1]]);
}
