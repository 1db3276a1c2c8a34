//! A ClusterProviderConfig allows namespaces by their labels. A change of the labels takes effect at once.

use harness::control_plane::ControlPlane;
use harness::simulator::Operation;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::fixture::{
    Access, Fixture, REQUEST, cluster, conditions, job_of, message, patch, poll_often, reason, shared_simulator,
    wait_for, wait_until_deleted, without_timers,
};

/// Sets the label `team` of the namespace, or removes it.
async fn label(fixture: &Fixture, team: Option<&str>) {
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    patch(&namespaces, &fixture.namespace, json!({"metadata": {"labels": {"team": team}}})).await.unwrap();
}

/// The provider config selects the namespaces with `team=identity`, and names none.
async fn select_team(fixture: &Fixture) {
    let selector = json!({"names": [], "selector": {"matchLabels": {"team": "identity"}}});
    set_allowed(fixture, selector).await.unwrap();
}

async fn set_allowed(fixture: &Fixture, allowed: Value) -> kube::Result<()> {
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowedNamespaces": allowed}})).await.map(|_| ())
}

#[tokio::test]
async fn labels_allow_a_namespace_at_once() {
    let fixture = Fixture::new().await;
    select_team(&fixture).await;
    let _operator = fixture.start_with(without_timers).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("NamespaceNotAllowed").await;
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not allow namespace {}; add it there to spec.allowedNamespaces.names, or \
             label the namespace so that spec.allowedNamespaces.selector (team=identity) selects it",
            fixture.provider, fixture.namespace
        )
    );
    label(&fixture, Some("another")).await;
    assert_eq!(fixture.realm.requests_of(Operation::CreateConfig), []);
    label(&fixture, Some("identity")).await;
    fixture.wait_for_config("Available").await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn removed_label_stops_sends_but_not_polls_and_revocations() {
    let fixture = Fixture::new().await;
    select_team(&fixture).await;
    label(&fixture, Some("identity")).await;
    let _operator = fixture.start_with(poll_often).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);

    label(&fixture, None).await;
    // No identity has this id, so nothing is sent even if the operator's watch lags.
    fixture.create_request_of("later", "nobody").await;
    fixture.wait_for_request_named("later", "NamespaceNotAllowed").await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(conditions(&config), "Ready=True", "a settled object keeps its conditions");
    fixture.realm.set_job_state(&job, "LINK_OPENED");
    wait_for(fixture.requests(), REQUEST, "is polled", |request: &beyond_identity_operator::api::EnrollmentRequest| {
        request.status.as_ref().and_then(|status| status.state.as_deref()) == Some("LINK_OPENED")
    })
    .await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.revocations(), fixture.mailed()), (vec![job.clone()], vec![job]));
}

#[tokio::test]
async fn names_and_selector_are_a_union() {
    let fixture = Fixture::new().await;
    let selector = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["nobody"]}]});
    set_allowed(&fixture, json!({"selector": selector})).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    // Without the name, the selector matches nothing.
    set_allowed(&fixture, json!({"names": []})).await.unwrap();
    fixture.create_request_of(REQUEST, "nobody").await;
    let request = fixture.wait_for_request("NamespaceNotAllowed").await;
    assert!(message(&request).contains("spec.allowedNamespaces.selector (team in (nobody))"), "{}", message(&request));
    assert_eq!(fixture.mailed(), [""; 0]);
}

#[tokio::test]
async fn invalid_selector_is_refused() {
    let fixture = Fixture::new().await;
    let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
    for (selector, says) in [
        (json!({}), "at least one of matchLabels and matchExpressions must be set"),
        (json!({"matchLabels": {}, "matchExpressions": []}), "at least one of matchLabels and matchExpressions"),
        (json!({"matchLabels": {"team": "not a label"}}), "selector.matchLabels.team"),
        (expression("Like", json!(["identity"])), "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\""),
        (expression("In", json!([])), "values must be set with the operators In and NotIn"),
        (expression("Exists", json!(["identity"])), "values must be set with the operators In and NotIn"),
    ] {
        let refused = set_allowed(&fixture, json!({"selector": selector})).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{selector}: {refused}");
    }
}

/// With its rights in the whole cluster, the operator watches the labels of all namespaces.
#[tokio::test]
async fn labels_are_watched_in_the_whole_cluster() {
    let control_plane = ControlPlane::start().unwrap();
    cluster::install(&control_plane);
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    select_team(&fixture).await;
    let access = Access::to(&control_plane).everywhere();
    let _process = fixture.spawn(&access, &[]).await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("NamespaceNotAllowed").await;
    assert_eq!(reason(&config), "NamespaceNotAllowed");
    label(&fixture, Some("identity")).await;
    fixture.wait_for_config("Available").await;
}
