//! What a Kustomization waits for.

use harness::simulator::Identity;
use serde_json::{Value, json};

use super::{CONFIGURATION, ENROLMENTS, Flux};
use crate::fixture::{JANE, job_of};

/// The shortest timeout that Flux has.
pub fn with_the_shortest_timeout(kustomization: &mut Value) {
    kustomization["spec"]["timeout"] = "30s".into();
}

#[tokio::test]
async fn nothing_is_ready_without_an_operator() {
    let mut flux = Flux::start().await;
    drop(flux.operator.take());
    let revision = flux.commit(&[("configuration/jane.yaml", Some(flux.request("jane", JANE)))]).await;
    flux.apply_kustomizations("flux/kustomizations.yaml", with_the_shortest_timeout).await;
    let message = flux.wait_until_failed(CONFIGURATION, &revision, "HealthCheckFailed").await;
    let namespace = &flux.fixture.namespace;
    for object in ["AuthenticatorConfig", "EnrollmentRequest"] {
        assert!(message.contains(&format!("{object}/{namespace}/")), "{message}");
    }
    // A ClusterProviderConfig would be in progress for ever under an operator that watches only some namespaces.
    assert_eq!(message.matches("status: 'InProgress'").count(), 2, "{message}");
}

#[tokio::test]
async fn people_are_waited_for_only_on_request() {
    let flux = Flux::start().await;
    let fixture = &flux.fixture;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    let mut john = flux.request("john", "john");
    let revision = flux
        .commit(&[
            ("enrolments/jane.yaml", Some(flux.request("jane", JANE))),
            ("enrolments/john.yaml", Some(john.clone())),
        ])
        .await;
    flux.apply_kustomizations("flux/kustomizations.yaml", |_| {}).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;

    flux.apply_kustomizations("flux/wait-for-people.yaml", with_the_shortest_timeout).await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    for name in ["jane", "john"] {
        let waits = format!("EnrollmentRequest/{}/{name} status: 'InProgress'", fixture.namespace);
        assert!(message.contains("timeout waiting for") && message.contains(&waits), "{message}");
    }

    // A request that is revoked waits for nobody.
    john["spec"]["revoked"] = true.into();
    let revision = flux.commit(&[("enrolments/john.yaml", Some(john))]).await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    assert!(message.contains("/jane status: 'InProgress'") && !message.contains("/john"), "{message}");

    let jane = job_of(&fixture.requests().get("jane").await.unwrap());
    fixture.realm.set_job_state(&jane, "COMPLETE");
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn expired_link_fails_only_a_kustomization_that_waits_for_people() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let job = job_of(&fixture.requests().get("jane").await.unwrap());
    fixture.realm.set_job_state(&job, "EXPIRED");
    fixture.wait_for_request_named("jane", "LinkExpired").await;
    flux.reconcile(ENROLMENTS).await;

    flux.apply_kustomizations("flux/wait-for-people.yaml", |_| {}).await;
    let message = flux.wait_for_reason(ENROLMENTS, "HealthCheckFailed").await;
    assert!(message.contains(&format!("EnrollmentRequest/{}/jane status: 'Failed'", fixture.namespace)), "{message}");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn wrong_username_fails_until_it_is_repaired_in_git() {
    let flux = Flux::start().await;
    let fixture = &flux.fixture;
    fixture.realm.edit_identity(JANE, |identity| identity.username = Some("jane@example.com".to_owned()));
    let mut request = flux.request("jane", JANE);
    request["spec"]["identity"] = json!({"username": "jame@example.com"});
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request.clone()))]).await;
    flux.apply_kustomizations("flux/kustomizations.yaml", |_| {}).await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    assert!(message.contains(&format!("EnrollmentRequest/{}/jane status: 'Failed'", fixture.namespace)), "{message}");
    assert_eq!(fixture.requests().get("jane").await.unwrap().status.unwrap().job_id, None);

    request["spec"]["identity"] = json!({"username": "jane@example.com"});
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn problem_that_is_solved_elsewhere_is_noticed_at_the_next_retry() {
    let flux = Flux::start().await;
    let fixture = &flux.fixture;
    let revision = flux.commit(&[("enrolments/john.yaml", Some(flux.request("john", "john")))]).await;
    flux.apply_kustomizations("flux/kustomizations.yaml", |_| {}).await;
    flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 1);
}
