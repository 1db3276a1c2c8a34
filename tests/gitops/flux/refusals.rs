//! Manifests that the API server refuses.

use harness::simulator::Identity;
use kube::api::ListParams;
use serde_json::json;

use super::{ENROLMENTS, Flux};
use crate::fixture::JANE;

#[tokio::test]
async fn one_refused_request_keeps_all_from_being_applied_until_git_is_repaired() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    for name in ["john", "zoe"] {
        fixture.realm.add_identity(Identity::active(name, &format!("{name}@example.com")));
    }
    let mut john = flux.request("john", "john");
    john["spec"]["identity"] = json!({"id": "john", "username": "john@example.com"});
    let revision = flux
        .commit(&[("enrolments/john.yaml", Some(john)), ("enrolments/zoe.yaml", Some(flux.request("zoe", "zoe")))])
        .await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "ReconciliationFailed").await;
    let expected = format!(
        "EnrollmentRequest/{}/john dry-run failed (Invalid): EnrollmentRequest.beyondidentity.dev \"john\" is invalid: \
         spec.identity: Invalid value: exactly one of id and username must be set",
        fixture.namespace
    );
    assert_eq!(message.trim(), expected);
    let requests = fixture.requests().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(requests.len(), 1);
    assert_eq!(fixture.mailed().len(), 1);

    let revision = flux.commit(&[("enrolments/john.yaml", Some(flux.request("john", "john")))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 3);
}

#[tokio::test]
async fn change_of_what_was_sent_is_refused_until_git_is_repaired() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(flux.request("jane", "john")))]).await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "ReconciliationFailed").await;
    assert!(message.contains("are immutable once the email was or may have been sent"), "{message}");
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(flux.request("jane", JANE)))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 1);
}
