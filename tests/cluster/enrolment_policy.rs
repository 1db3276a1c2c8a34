//! The admission policy in `examples`: who may have emails sent, and to whom. The operator works under it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use beyond_identity_operator::api::{EnrollmentRequest, RESEND};
use harness::simulator::Identity;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::config::AuthInfo;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, JANE, REQUEST, annotate, cluster, eventually, job_of, object, patch, refusal, wait_until_deleted,
};

/// The policy, its binding and its ConfigMap.
const NAME: &str = "beyond-identity-enrolment";
/// The user that the file names.
const GIT: &str = "system:serviceaccount:argocd:argocd-application-controller";

/// The requests of the namespace, as a user whom RBAC allows everything.
async fn requests_as(fixture: &Fixture, user: &str) -> Api<EnrollmentRequest> {
    let mut config = cluster::config().await;
    let groups = vec!["system:masters".to_owned()];
    let auth_info =
        AuthInfo { impersonate: Some(user.to_owned()), impersonate_groups: Some(groups), ..config.auth_info };
    config.auth_info = auth_info;
    Api::namespaced(Client::try_from(config).unwrap(), &fixture.namespace)
}

/// A request that names its identity so.
fn request(name: &str, identity: &Value) -> EnrollmentRequest {
    object(json!({
        "metadata": {"name": name},
        "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": identity},
    }))
}

/// Waits until a create of this request has this outcome: the text of a refusal, or none.
async fn wait_until_create(requests: &Api<EnrollmentRequest>, identity: Value, refused: Option<&str>) {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let started = Instant::now();
    loop {
        let tried = requests.create(&dry, &request("probe", &identity)).await.map(drop).map_err(|why| why.to_string());
        let fits = match (&tried, refused) {
            (Ok(()), None) => true,
            (Err(why), Some(text)) => why.contains(text),
            _ => false,
        };
        if fits {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "expected {refused:?}: {tried:?}");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Applies the file to the namespace of the fixture, which may enrol Jane alone.
async fn apply(fixture: &Fixture) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/admission-policy.yaml");
    let mut manifest = fs::read_to_string(file).unwrap();
    let listed = format!("  {}: |\n    someone-else\n    {JANE}\n", fixture.namespace);
    for (text, here) in [
        ("namespace: beyond-identity-system", &*format!("namespace: {}", fixture.operator_namespace)),
        ("  identity: |\n    9ca7716e846cfa97\n", &listed),
    ] {
        assert!(manifest.contains(text), "{text}");
        manifest = manifest.replace(text, here);
    }
    cluster::control_plane().apply(&manifest).unwrap();
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    let label = json!({"metadata": {"labels": {"example.com/enrolment": "allowed"}}});
    patch(&namespaces, &fixture.namespace, label).await.unwrap();
}

#[tokio::test]
async fn policy_limits_who_may_enrol_whom() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    apply(&fixture).await;
    let (git, person) = (requests_as(&fixture, GIT).await, requests_as(&fixture, "john").await);
    let jane = json!({"id": JANE});
    wait_until_create(&person, jane.clone(), Some("only Argo CD may have enrolment emails sent, and not john: ")).await;
    wait_until_create(&git, jane.clone(), None).await;

    // Neither a username nor an identity that is not listed, whoever asks.
    let create = async |identity| git.create(&PostParams::default(), &request("refused", &identity)).await;
    let refused = refusal(create(json!({"username": "jane@example.com"})).await);
    assert!(refused.contains("spec.identity.username: name the identity by its id"), "{refused}");
    let refused = refusal(create(json!({"id": "joe"})).await);
    let expected = format!("spec.identity.id: namespace {} may not enrol this identity; ", fixture.namespace);
    assert!(refused.contains(&expected), "{refused}");

    git.create(&PostParams::default(), &request(REQUEST, &jane)).await.unwrap();
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!(fixture.mailed(), std::slice::from_ref(&job));

    // What sends again needs the same user. What does not send is left to RBAC.
    let resend = json!({"metadata": {"annotations": {RESEND: format!("{job}/LINK_SENT")}}});
    for change in [json!({"spec": {"attempt": 2}}), resend] {
        let refused = refusal(patch(&person, REQUEST, change.clone()).await);
        assert!(refused.contains("only Argo CD may have"), "{refused}");
    }
    annotate(&person, REQUEST, "example.com/note", "seen").await;
    patch(&git, REQUEST, json!({"spec": {"attempt": 2}})).await.unwrap();
    eventually("the second email is sent", || fixture.mailed().len() == 2).await;

    // Without the list every write is refused, also one that does not send. With it, a deletion completes.
    let lists: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    let list = lists.get(NAME).await.unwrap();
    lists.delete(NAME, &DeleteParams::default()).await.unwrap();
    wait_until_create(&git, jane.clone(), Some(NAME)).await;
    let note = json!({"metadata": {"annotations": {"example.com/note": "again"}}});
    let refused = patch(&person, REQUEST, note).await.unwrap_err().to_string();
    assert!(refused.contains(NAME), "{refused}");
    let list = ConfigMap { metadata: ObjectMeta { name: list.metadata.name, ..ObjectMeta::default() }, ..list };
    lists.create(&PostParams::default(), &list).await.unwrap();
    wait_until_create(&git, jane, None).await;
    person.delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.mailed().len(), 2);
}
