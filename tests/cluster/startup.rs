//! Startup in a cluster that is not ready: `/readyz` reports what is missing, and the operator continues when it
//! exists.

use std::time::{Duration, Instant};

use beyond_identity_operator::api::crds;
use harness::control_plane::ControlPlane;
use harness::proxy::Way;
use harness::simulator::Identity;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::fixture::{Access, Fixture, Process, REQUEST, cluster, eventually, object, shared_simulator};

/// Waits until `/readyz` reports exactly these reasons.
async fn not_ready(process: &Process, sentences: &[&str]) {
    let (since, expected) = (Instant::now(), (503, format!("not ready: {}", sentences.join("; "))));
    loop {
        let answer = process.get("/readyz");
        if answer == expected {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "waited in vain for {expected:?}; the answer is {answer:?}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Waits until `/readyz` is ok, which takes less than 20 s.
async fn is_ready_soon(process: &Process) {
    let since = Instant::now();
    eventually("the process is ready", || process.get("/readyz") == (200, "ok".to_owned())).await;
    assert!(since.elapsed() < Duration::from_secs(20), "after {:?}", since.elapsed());
}

#[tokio::test]
async fn startup_waits_for_a_silent_api_server() {
    let fixture = Fixture::new().await;
    let (access, proxy) = Access::shared().through(Way::Silent);
    let process = fixture.spawn(&access, &[]).await;
    let silence = "requests to the Kubernetes API fail";
    not_ready(&process, &[silence]).await;
    // Only the log names the server and the cause.
    let logged = process.logged(&format!("{silence}: {}: deadline has elapsed", access.server()));
    assert_eq!((logged.len(), process.logged(silence).len()), (1, 1));
    proxy.set(Way::Open);
    is_ready_soon(&process).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
}

#[tokio::test]
async fn startup_waits_for_crds_and_skips_undecodable_objects() {
    let control_plane = ControlPlane::start().unwrap();
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    let access = Access::to(&control_plane);
    let process = fixture.spawn(&access, &["--leader-elect"]).await;
    let missing = |plural: &str| format!("the CustomResourceDefinition {plural}.beyondidentity.dev is not installed");
    let all = ["authenticatorconfigs", "clusterproviderconfigs", "enrollmentrequests", "providerconfigs"].map(missing);
    not_ready(&process, &all.each_ref().map(|sentence| &**sentence)).await;

    let mut definitions: Vec<Value> = serde_saphyr::from_multiple(&crds::yaml()).unwrap();
    let requests = definitions.iter().position(|crd| crd["spec"]["names"]["plural"] == "enrollmentrequests").unwrap();
    let requests = definitions.remove(requests);
    for definition in &definitions {
        control_plane.apply(&definition.to_string()).unwrap();
    }
    not_ready(&process, &[&all[2]]).await;

    control_plane.apply(&loosened(requests.clone()).to_string()).unwrap();
    is_ready_soon(&process).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    create_undecodable(&fixture).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    assert_not_decodable(&fixture, &process).await;
    for sentence in &all {
        assert_eq!(process.logged(sentence).len(), 1, "{sentence}");
    }
    assert_eq!(process.logged("Kubernetes API request succeeds again").len(), all.len());

    // It does not block the next process either, which receives it in its first list.
    assert_eq!(process.stop().0, Some(0));
    let next = fixture.spawn(&access, &["--leader-elect"]).await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.wait_for_request_named("later", "LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 2);
    assert_eq!(next.logged(LACKS), [""; 0]);
    assert_eq!(next.stop().0, Some(0));

    // The definition is rolled back to one without `status.send`.
    let mut older = loosened(requests);
    let schema = &mut older["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["status"]["properties"].as_object_mut().unwrap().remove("send").unwrap();
    control_plane.apply(&older.to_string()).unwrap();
    let served =
        || control_plane.run_kubectl(["get", "--raw", "/openapi/v3/apis/beyondidentity.dev/v1alpha1"]).unwrap();
    eventually("the older definition is served", || !served().contains("notBefore")).await;
    let last = fixture.spawn(&access, &["--leader-elect"]).await;
    eventually("the process warns of the missing field", || !last.logged(LACKS).is_empty()).await;
    let log = last.log();
    let warned = |line: &&Value| line["message"].as_str().is_some_and(|message| message.contains(LACKS));
    let warned: Vec<_> = log.iter().filter(warned).collect();
    let [line] = &warned[..] else { panic!("there is not exactly one line: {warned:?}") };
    assert_eq!((line["level"].as_str(), line["kind"].as_str()), (Some("WARN"), Some("EnrollmentRequest")));
    assert_eq!(line["fields"], "status.send");
    assert_eq!(
        line["message"],
        "Installed CustomResourceDefinition lacks fields of this version, and the API server drops them; upgrade the \
         Helm release, or apply crds/ of this version with kubectl apply --server-side --force-conflicts"
    );
    assert_eq!(last.get("/readyz").0, 200);
}

/// The start of the warning about a definition without some fields.
const LACKS: &str = "Installed CustomResourceDefinition";

/// The definition with a spec that accepts anything, as an older version could have it.
fn loosened(mut definition: Value) -> Value {
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema.as_object_mut().unwrap().remove("x-kubernetes-validations");
    definition["spec"]["versions"][0].as_object_mut().unwrap().remove("selectableFields");
    definition
}

/// Creates a request that this version cannot decode.
async fn create_undecodable(fixture: &Fixture) {
    let kind = GroupVersionKind::gvk("beyondidentity.dev", "v1alpha1", "EnrollmentRequest");
    let api: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &ApiResource::from_gvk(&kind));
    let undecodable = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "EnrollmentRequest",
        "metadata": {"name": "of-old"},
        "spec": {"identity": "jane@example.com"},
    });
    api.create(&PostParams::default(), &object(undecodable)).await.unwrap();
}

async fn assert_not_decodable(fixture: &Fixture, process: &Process) {
    fixture.wait_for_event("of-old", "Warning NotDecodable").await;
    let line = process.log().into_iter().find(|line| line["name"] == "of-old").unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("spec.identity: expected struct IdentityRef"), "{message}");
    assert!(!line.to_string().contains("jane@example.com"), "{line}");
}

#[tokio::test]
async fn startup_names_each_missing_permission_and_its_role() {
    let fixture = Fixture::new().await;
    let access = Access::shared().of_service_account("operator");
    let process = fixture.spawn(&access, &["--leader-elect"]).await;
    let Fixture { namespace, operator_namespace, .. } = &fixture;
    let in_namespace = |verb: &str, plural: &str| {
        format!(
            "the operator is not allowed to {verb} {plural}.beyondidentity.dev in namespace {namespace}: grant it list \
             and watch in its Role there"
        )
    };
    let providers = "the operator is not allowed to list clusterproviderconfigs.beyondidentity.dev: grant it list and \
                     watch in its ClusterRole";
    let configs = in_namespace("list", "authenticatorconfigs");
    let listed = ["enrollmentrequests", "providerconfigs"].map(|kind| in_namespace("list", kind));
    let namespaces = "the operator is not allowed to list namespaces: grant it list and watch in its ClusterRole";
    not_ready(&process, &[&configs, providers, &listed[0], namespaces, &listed[1]]).await;

    let mut labels = rule("", &["namespaces"], &["list", "watch"]);
    labels["resourceNames"] = json!([namespace]);
    let everywhere = vec![rule("beyondidentity.dev", &["clusterproviderconfigs"], &["list", "watch"]), labels];
    grant_everywhere(&fixture, everywhere).await;
    let kinds = ["authenticatorconfigs", "enrollmentrequests"];
    let listed = vec![
        rule("beyondidentity.dev", &kinds, &["list"]),
        rule("beyondidentity.dev", &["providerconfigs"], &["list", "watch"]),
    ];
    grant(&fixture, namespace, "list", listed).await;
    let lease = format!(
        "the Lease {operator_namespace}/beyond-identity-operator cannot be read or written: grant the operator get and update \
         on Lease beyond-identity-operator and create on leases in a Role of namespace {operator_namespace}"
    );
    let [watch_configs, watch_requests] = kinds.map(|kind| in_namespace("watch", kind));
    not_ready(&process, &[&lease, &watch_configs, &watch_requests]).await;

    let statuses = ["authenticatorconfigs/status", "enrollmentrequests/status"];
    let work = vec![
        rule("beyondidentity.dev", &kinds, &["get", "watch", "patch"]),
        rule("beyondidentity.dev", &statuses, &["update"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ];
    grant(&fixture, namespace, "work", work).await;
    not_ready(&process, &[&lease]).await;

    let mut rest = vec![
        rule("", &["secrets"], &["list", "watch"]),
        rule("coordination.k8s.io", &["leases"], &["get", "update"]),
        rule("coordination.k8s.io", &["leases"], &["create"]),
    ];
    rest[1]["resourceNames"] = json!(["beyond-identity-operator"]);
    grant(&fixture, operator_namespace, "rest", rest).await;
    eventually("the process is ready", || process.get("/readyz").0 == 200).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(process.logged(&lease).len(), 1);
    assert_eq!(process.logged(&configs).len(), 1);
    assert_eq!(process.stop().0, Some(0));
    assert!(fixture.requests().get(REQUEST).await.unwrap().status.unwrap().job_id.is_some());
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn subjects(fixture: &Fixture) -> Value {
    json!([{"kind": "ServiceAccount", "name": "operator", "namespace": fixture.operator_namespace}])
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// Creates and binds a Role of this name in this namespace for the operator.
async fn grant(fixture: &Fixture, namespace: &str, name: &str, rules: Vec<Value>) {
    let (roles, bindings): (Api<Role>, Api<RoleBinding>) =
        (Api::namespaced(fixture.client.clone(), namespace), Api::namespaced(fixture.client.clone(), namespace));
    let metadata = json!({"name": name});
    let role = json!({"metadata": metadata, "rules": rules});
    roles.create(&PostParams::default(), &object(role)).await.unwrap();
    let binding = json!({"metadata": metadata, "roleRef": reference("Role", name), "subjects": subjects(fixture)});
    bindings.create(&PostParams::default(), &object(binding)).await.unwrap();
}

/// Creates and binds a ClusterRole for the operator.
async fn grant_everywhere(fixture: &Fixture, rules: Vec<Value>) {
    let (roles, bindings): (Api<ClusterRole>, Api<ClusterRoleBinding>) =
        (Api::all(fixture.client.clone()), Api::all(fixture.client.clone()));
    let name = &fixture.operator_namespace;
    let metadata = json!({"name": name});
    roles.create(&PostParams::default(), &object(json!({"metadata": metadata, "rules": rules}))).await.unwrap();
    let binding =
        json!({"metadata": metadata, "roleRef": reference("ClusterRole", name), "subjects": subjects(fixture)});
    bindings.create(&PostParams::default(), &object(binding)).await.unwrap();
}
