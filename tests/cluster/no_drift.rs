//! No drift: what the operator writes, and what the API server adds, is no difference from the manifest.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::OnceLock;

use beyond_identity_operator::api::{AuthenticatorConfig, FINALIZER, HasStatus, PAUSED, RECONCILE_REQUESTED_AT};
use harness::control_plane::ControlPlane;
use kube::Client;
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, Spelling, annotate, cluster, conditions, renamed, shared_simulator, spellings, wait_for,
    with_defaults, without_defaults,
};

/// How a manifest is applied: by the client, or by the API server.
const CLIENT_SIDE: &[&str] = &[];
const SERVER_SIDE: &[&str] = &["--server-side"];

fn list(manifests: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": manifests}).to_string()
}

/// Applies manifests. Returns what kubectl says of each object.
fn apply(control_plane: &ControlPlane, manifests: &[Value], way: &[&str]) -> Vec<String> {
    let args = ["apply", "--filename", "-"].iter().chain(way);
    let output = control_plane.run_kubectl_with(&list(manifests), args).unwrap();
    output.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
}

/// What `kubectl diff` prints. It is empty exactly if kubectl exits with 0.
fn diff(control_plane: &ControlPlane, manifests: &[Value], way: &[&str]) -> String {
    let mut command = control_plane.kubectl(["diff", "--filename", "-"].iter().chain(way));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(list(manifests).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => assert_eq!(printed, ""),
        Some(1) if !printed.is_empty() => {}
        _ => panic!("kubectl diff: {}", String::from_utf8_lossy(&output.stderr)),
    }
    printed
}

/// The objects of the manifests, with their managers.
fn live(control_plane: &ControlPlane, manifests: &[Value]) -> Vec<Value> {
    let args = ["get", "--filename", "-", "--output", "json", "--show-managed-fields"];
    let output = control_plane.run_kubectl_with(&list(manifests), args).unwrap();
    let mut live: Value = serde_json::from_str(&output).unwrap();
    live["items"].as_array_mut().unwrap().iter_mut().map(Value::take).collect()
}

/// A control plane for these tests: only an operator that watches all namespaces writes the status of a
/// ClusterProviderConfig.
async fn control_plane() -> (&'static ControlPlane, Client) {
    static STARTED: OnceLock<ControlPlane> = OnceLock::new();
    let control_plane = STARTED.get_or_init(|| {
        let control_plane = ControlPlane::start().unwrap();
        cluster::install(&control_plane);
        control_plane
    });
    (control_plane, Client::try_from(cluster::config_of(control_plane).await).unwrap())
}

#[tokio::test]
async fn manifest_is_unchanged_after_the_operator_has_worked() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::for_manifests_at(client).await;
    let beside = fixture.beside_for_manifests().await;
    let ways = [(&fixture, CLIENT_SIDE), (&beside, SERVER_SIDE)];
    for (fixture, way) in ways {
        apply(control_plane, &fixture.manifests(), way);
    }
    let _operator = fixture.start_everywhere(control_plane).await;
    for (fixture, _) in ways {
        fixture.wait_until_manifests_are_ready().await;
        // The annotations of the actions are not in the manifests either.
        annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "now").await;
        let is_handled = |it: &AuthenticatorConfig| it.last_handled_reconcile_at() == Some("now");
        wait_for(fixture.configs(), CONFIG, "has handled the request", is_handled).await;
        annotate(&fixture.configs(), CONFIG, PAUSED, "true").await;
        wait_for(fixture.configs(), CONFIG, "is paused", |it| conditions(it).contains("Paused=True")).await;
    }
    for (fixture, way) in ways {
        let manifests = fixture.manifests();
        assert_eq!(diff(control_plane, &manifests, way), "", "{way:?}");
        let before = live(control_plane, &manifests);
        before.iter().for_each(assert_only_finalizer_and_status_are_of_the_operator);
        let applied = apply(control_plane, &manifests, way);
        let expected = if way == SERVER_SIDE { "serverside-applied" } else { "unchanged" };
        assert_eq!(applied, vec![expected; manifests.len()], "{way:?}");
        assert_eq!(versions(&live(control_plane, &manifests)), versions(&before), "{way:?}: nothing is written");

        let mut changed = manifests;
        let config = changed.iter_mut().find(|it| it["metadata"]["name"] == CONFIG).unwrap();
        config["spec"]["displayName"] = json!("Another name");
        assert!(diff(control_plane, &changed, way).contains("+  displayName: Another name"), "{way:?}");
    }
}

/// The resource version of each object. Each write raises it.
fn versions(live: &[Value]) -> Vec<&Value> {
    live.iter().map(|object| &object["metadata"]["resourceVersion"]).collect()
}

/// By `managedFields`, the operator has written its finalizer and the status. What has no name is of this test.
fn assert_only_finalizer_and_status_are_of_the_operator(object: &Value) {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut written = BTreeSet::new();
    for entry in object["metadata"]["managedFields"].as_array().unwrap() {
        match (entry["manager"].as_str().unwrap(), entry["subresource"].as_str()) {
            ("unknown" | "kubectl" | "kubectl-client-side-apply", None) => {}
            ("beyond-identity-operator", Some("status")) => {
                assert_eq!(keys(&entry["fieldsV1"]), ["f:status"], "{object}");
                written.insert("status");
            }
            ("beyond-identity-operator", None) => {
                assert_eq!(keys(&entry["fieldsV1"]), ["f:metadata"], "{object}");
                assert_eq!(keys(&entry["fieldsV1"]["f:metadata"]), ["f:finalizers"], "{object}");
                written.insert("finalizer");
            }
            other => panic!("{other:?}: {object}"),
        }
    }
    assert_eq!(written, BTreeSet::from(["finalizer", "status"]), "{object}");
    assert_eq!(object["metadata"]["finalizers"], json!([FINALIZER]));
}

#[tokio::test]
async fn default_is_no_drift_whether_a_manifest_has_it_or_not() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    let manifests = without_defaults(&fixture);
    let spelled = with_defaults(&manifests);
    for way in [CLIENT_SIDE, SERVER_SIDE] {
        let suffix = if way == CLIENT_SIDE { "client" } else { "server" };
        let (without, with) = (renamed(&manifests, suffix), renamed(&spelled, suffix));
        for (applied, other) in [(&without, &with), (&with, &without)] {
            apply(control_plane, applied, way);
            assert_eq!(diff(control_plane, applied, way), "", "{way:?}");
            assert_eq!(diff(control_plane, other, way), "", "{way:?}");
        }
    }
}

#[tokio::test]
async fn spelling_of_a_value_is_no_drift() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    for (way, prefix) in [(CLIENT_SIDE, "client"), (SERVER_SIDE, "server")] {
        let spelled = spellings(&fixture).into_iter().enumerate().map(|(number, (manifest, spelling))| {
            (renamed(&[manifest], &format!("{prefix}-{number}")).remove(0), spelling)
        });
        let is_refused = |spelling| way == SERVER_SIDE && spelling == Spelling::NullForNothing;
        let (refused, applied): (Vec<_>, Vec<_>) = spelled.partition(|(_, spelling)| is_refused(*spelling));
        let applied: Vec<_> = applied.into_iter().map(|(manifest, _)| manifest).collect();
        apply(control_plane, &applied, way);
        assert_eq!(diff(control_plane, &applied, way), "", "{way:?}");
        // The metadata may be written once more, for a map without entries.
        apply(control_plane, &applied, way);
        assert!(live(control_plane, &applied).iter().all(|it| it["metadata"]["generation"] == 1), "{way:?}");
        for (manifest, _) in refused {
            let args = ["apply", "--server-side", "--filename", "-"];
            let error = control_plane.run_kubectl_with(&manifest.to_string(), args).unwrap_err().to_string();
            assert!(error.contains("Invalid value: \"null\": spec."), "{manifest}: {error}");
        }
    }
}
