//! `force: true`: Flux deletes an object whose change the API server refuses, and creates it again.

use harness::simulator::Identity;
use serde_json::{Value, json};

use super::{ENROLMENTS, Flux};
use crate::fixture::{JANE, job_of, wait_until_deleted};

fn force(kustomization: &mut Value) {
    kustomization["spec"]["force"] = true.into();
}

#[tokio::test]
async fn force_without_a_refusal_replaces_nothing() {
    let flux = Flux::with_an_email_and(force, |_| {}).await;
    let mut request = flux.request("jane", JANE);
    request["metadata"]["labels"] = json!({"team": "one"});
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(flux.fixture.mailed().len(), 1);
}

#[tokio::test]
async fn force_revokes_the_link_and_sends_another_email() {
    let flux = Flux::with_an_email_and(force, |_| {}).await;
    let fixture = &flux.fixture;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    let first = job_of(&fixture.requests().get("jane").await.unwrap());
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(flux.request("jane", "john")))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    let second = job_of(&fixture.requests().get("jane").await.unwrap());
    assert_eq!(fixture.remote_state(&first), "REVOKED");
    assert_eq!(fixture.mailed(), [first, second]);
}

#[tokio::test]
async fn force_deletes_a_request_for_any_refusal() {
    let flux = Flux::with_an_email_and(force, |_| {}).await;
    let fixture = &flux.fixture;
    let first = job_of(&fixture.requests().get("jane").await.unwrap());
    let mut request = flux.request("jane", JANE);
    request["spec"]["attempt"] = 0.into();
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_until_failed(ENROLMENTS, &revision, "ReconciliationFailed").await;
    wait_until_deleted(fixture.requests(), "jane").await;
    assert_eq!(fixture.remote_state(&first), "REVOKED");

    let revision = flux.commit(&[("enrolments/jane.yaml", Some(flux.request("jane", JANE)))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 2);
}
