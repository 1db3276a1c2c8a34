//! The installed chart: two processes run with the arguments and the permissions of its pods, for the whole cluster.

use std::path::Path;
use std::process::Command;

use harness::control_plane::ControlPlane;
use harness::program::{Running, command};
use harness::simulator::{Identity, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{Cluster, current_chart, eventually};
use crate::support::{NAMESPACE, RELEASE, namespace};

/// Starts the container of the Deployment as a process, as the ServiceAccount of the Deployment. It listens on
/// addresses of this machine, and `more` are further arguments.
pub fn pod(cluster: &ControlPlane, home: &TempDir, name: &str, more: &[&str]) -> Running {
    let get = ["get", "deployment", RELEASE, "--namespace", NAMESPACE, "--output", "json"];
    let deployment: Value = serde_json::from_str(&cluster.run_kubectl(get).unwrap()).unwrap();
    let spec = &deployment["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let replaced = ["--health-address=:8081", "--metrics-address=:8080", "--log-format=json"];
    let mut all: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !replaced.contains(argument)).collect();
    assert_eq!(all.len() + replaced.len(), arguments.len());
    all.extend(more);

    let account = spec["serviceAccountName"].as_str().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": cluster.server_url(), "certificate-authority": cluster.folder().join("pki/apiserver.crt"),
        }}],
        "users": [{"name": "test", "user": {
            "token": cluster.token(), "as": format!("system:serviceaccount:{NAMESPACE}:{account}"),
        }}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    let file = home.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let mut command = confined(&all);
    command.env("KUBECONFIG", file);
    for variable in container["env"].as_array().unwrap() {
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("metadata.namespace") => NAMESPACE,
            Some("metadata.name") => name,
            other => panic!("{other:?}"),
        };
        command.env(variable["name"].as_str().unwrap(), value);
    }
    Running::start(command, home.path())
}

/// Replaces the shell by the program, for which all files are read-only, and whose user has no entry in `/etc/passwd`.
const CONFINED: &str =
    r#"mount -o remount,bind,ro / && exec unshare --user --map-user=1000660000 --map-group=0 -- "$@""#;

/// The program as in a container of OpenShift: a user from the range of the namespace, and a read-only root. Where this
/// user may not create namespaces, the program runs without them.
fn confined(arguments: &[&str]) -> Command {
    let program = env!("CARGO_BIN_EXE_beyond-identity-operator");
    let unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", CONFINED, "sh"];
    let has_namespaces =
        Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success());
    let home = Path::new("/");
    if has_namespaces {
        command("unshare", home, &[&unshare[..], &[program], arguments].concat())
    } else {
        println!("without namespaces: the program runs as the user of the test, and may write files");
        command(program, home, arguments)
    }
}

/// Creates an AuthenticatorConfig and a request in a namespace.
fn enrol(cluster: &Cluster, namespace: &str, identity: &str) {
    let config = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": {"name": "hosted-web"},
        "spec": {"config": {"type": "hosted_web"}},
    });
    let request = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest", "metadata": {"name": identity},
        "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": identity}},
    });
    for object in [config, request] {
        cluster.apply(&object.to_string(), &["--namespace", namespace]);
    }
}

fn wait_until_sent(cluster: &Cluster, namespace: &str, identity: &str) {
    let request = format!("enrollmentrequest/{identity}");
    cluster.kubectl(&["wait", "--for=condition=Ready", &request, "--namespace", namespace, "--timeout=60s"]);
}

#[test]
fn second_pod_takes_over_when_the_first_one_ends() {
    let cluster = Cluster::empty();
    cluster.release("install", RELEASE, &current_chart(), &["--set", "settleTime=2s"]).unwrap();
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let realm = simulator.realm("tenant", "realm", "token");
    for identity in ["jane", "joe", "ann"] {
        realm.add_identity(Identity::active(identity, &format!("{identity}@example.com")));
    }
    let homes = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let first = pod(&cluster.0, &homes[0], "first", &["--allow-loopback-endpoints"]);
    eventually(|| first.get("/readyz").0 == 200);
    let second = pod(&cluster.0, &homes[1], "second", &["--allow-loopback-endpoints"]);
    eventually(|| second.get("/readyz").0 == 200);

    let token =
        ["create", "secret", "generic", "beyond-identity", "--namespace", NAMESPACE, "--from-literal=token=token"];
    cluster.kubectl(&token);
    cluster.kubectl(&["label", "secret", "beyond-identity", "--namespace", NAMESPACE, "owner=helm"]);
    let provider = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "ClusterProviderConfig", "metadata": {"name": "default"},
        "spec": {
            "tenantID": "tenant", "realmID": "realm", "endpoint": {"api": realm.url()},
            "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
            "allowedNamespaces": {"names": ["team-a", "team-b"]},
        },
    });
    cluster.apply(&provider.to_string(), &[]);
    for (team, identity) in [("team-a", "jane"), ("team-b", "joe")] {
        namespace(&cluster.0, team);
        enrol(&cluster, team, identity);
        wait_until_sent(&cluster, team, identity);
    }
    let (leader, standby) = ["1", "0"]
        .map(|value| format!("leader_election_master_status{{name=\"beyond-identity-operator\"}} {value}\n"))
        .into();
    let (status, metrics) = first.get("/metrics");
    assert!(status == 200 && metrics.contains(&leader), "{metrics}");
    for line in [
        "beyond_identity_operator_api_requests_total{method=\"POST\",path=\"credential-binding-jobs\",outcome=\"success\"} 2",
        "beyond_identity_operator_emails_sent_total 2",
        "beyond_identity_operator_enrollment_requests{state=\"LINK_SENT\"} 2",
        "beyond_identity_operator_sends_in_doubt 0",
    ] {
        assert!(metrics.lines().any(|sample| sample == line), "{line} is not in {metrics}");
    }
    assert!(second.get("/metrics").1.contains(&standby));

    let (status, printed) = first.stop();
    assert_eq!(status.code(), Some(0), "{printed}");
    enrol(&cluster, "team-a", "ann");
    wait_until_sent(&cluster, "team-a", "ann");
    assert!(second.get("/metrics").1.contains(&leader));
    assert_eq!(realm.outbox().len(), 3);
    for (team, identity) in [("team-a", "jane"), ("team-b", "joe"), ("team-a", "ann")] {
        cluster.kubectl(&["delete", "enrollmentrequest", identity, "--namespace", team, "--timeout=60s"]);
    }
    for team in ["team-a", "team-b"] {
        cluster.kubectl(&["delete", "authenticatorconfig", "hosted-web", "--namespace", team, "--timeout=60s"]);
        cluster.kubectl(&["delete", "namespace", team]);
    }
    // Its finalizer would block the deletion of the CustomResourceDefinitions by the next test.
    cluster.kubectl(&["delete", "clusterproviderconfig", "default", "--timeout=60s"]);
    let denied: Vec<String> = [second.logged("not allowed to"), second.logged("lacks permission")].concat();
    assert_eq!(denied, [""; 0]);
}
