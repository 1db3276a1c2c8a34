//! Requests that are removed from Git, and those that get another name there.

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::Identity;
use kube::api::DeleteParams;
use serde_json::Value;

use super::health::with_the_shortest_timeout;
use super::{ENROLMENTS, Flux, condition, example};
use crate::fixture::{JANE, job_of, reason, wait_for, wait_until_deleted};

const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";

/// The request without the annotation of the examples, which keeps Flux from deleting it.
fn prunable(request: &mut Value) {
    request["metadata"]["annotations"].as_object_mut().unwrap().remove(PRUNE).unwrap();
}

/// The same, whose link stays active after its deletion.
fn orphaned(request: &mut Value) {
    prunable(request);
    request["spec"]["deletionPolicy"] = "Orphan".into();
}

#[tokio::test]
async fn request_that_is_removed_from_git_is_deleted_without_the_annotation() {
    for (edit, state) in [(prunable as fn(&mut Value), "REVOKED"), (orphaned, "LINK_SENT")] {
        let flux = Flux::with_an_email_and(|_| {}, edit).await;
        let job = job_of(&flux.fixture.requests().get("jane").await.unwrap());
        let revision = flux.commit(&[("enrolments/jane.yaml", None), ("enrolments/README.md", Some("".into()))]).await;
        flux.wait_until_ready(ENROLMENTS, &revision).await;
        wait_until_deleted(flux.fixture.requests(), "jane").await;
        assert_eq!(flux.fixture.remote_state(&job), state);
        assert_eq!(flux.fixture.mailed(), [job]);
    }
}

#[tokio::test]
async fn request_with_the_annotation_stays_until_a_commit_without_it() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let job = job_of(&fixture.requests().get("jane").await.unwrap());
    let readme = || ("enrolments/README.md", Some("".into()));
    let revision = flux.commit(&[("enrolments/jane.yaml", None), readme()]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    flux.reconcile(ENROLMENTS).await;
    assert_eq!(fixture.requests().get("jane").await.unwrap().metadata.deletion_timestamp, None);
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");

    let mut request = flux.request("jane", JANE);
    prunable(&mut request);
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    flux.commit(&[("enrolments/jane.yaml", None)]).await;
    wait_until_deleted(fixture.requests(), "jane").await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    assert_eq!(fixture.mailed(), [job]);
}

#[tokio::test]
async fn deleted_kustomization_keeps_only_requests_with_the_annotation() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    let mut john = flux.request("john", "john");
    prunable(&mut john);
    let revision = flux.commit(&[("enrolments/john.yaml", Some(john))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    let requests = fixture.requests();
    let [jane, john] = [requests.get("jane").await.unwrap(), requests.get("john").await.unwrap()].map(|it| job_of(&it));
    let kustomizations = flux.of_kind("Kustomization");
    kustomizations.delete(ENROLMENTS, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(kustomizations, ENROLMENTS).await;
    wait_until_deleted(requests.clone(), "john").await;
    assert_eq!(requests.get("jane").await.unwrap().metadata.deletion_timestamp, None);
    assert_eq!((&*fixture.remote_state(&jane), &*fixture.remote_state(&john)), ("LINK_SENT", "REVOKED"));
    assert_eq!(fixture.mailed(), [jane, john]);
}

#[tokio::test]
async fn request_with_the_annotation_moves_to_another_kustomization() {
    let flux = Flux::with_an_email().await;
    let job = job_of(&flux.fixture.requests().get("jane").await.unwrap());
    let mut other = example("flux/kustomizations.yaml").remove(1);
    other["metadata"]["name"] = "other".into();
    other["spec"]["path"] = "./other".into();
    let readme = ("enrolments/README.md", Some("".into()));
    let request = Some(flux.request("jane", JANE));
    let revision = flux.commit(&[("enrolments/jane.yaml", None), readme, ("other/jane.yaml", request)]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    flux.apply(other).await;
    flux.wait_until_ready("other", &revision).await;
    for name in [ENROLMENTS, "other"] {
        flux.reconcile(name).await;
    }
    let request = flux.fixture.requests().get("jane").await.unwrap();
    assert_eq!(request.metadata.labels.as_ref().unwrap()["kustomize.toolkit.fluxcd.io/name"], "other");
    assert_eq!(request.metadata.deletion_timestamp, None);
    assert_eq!((job_of(&request), flux.fixture.mailed()), (job.clone(), vec![job]));
}

#[tokio::test]
async fn removal_that_is_reverted_too_late_sends_again() {
    let flux = Flux::with_an_email_and(with_the_shortest_timeout, prunable).await;
    let fixture = &flux.fixture;
    let first = job_of(&fixture.requests().get("jane").await.unwrap());
    fixture.realm.pause();
    flux.commit(&[("enrolments/jane.yaml", None), ("enrolments/README.md", Some("".into()))]).await;
    wait_for(fixture.requests(), "jane", "is being deleted", |request: &EnrollmentRequest| {
        request.metadata.deletion_timestamp.is_some()
    })
    .await;
    let mut request = flux.request("jane", JANE);
    prunable(&mut request);
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_for("Kustomization", ENROLMENTS, "waits for the health", |kustomization| {
        kustomization["status"]["lastAttemptedRevision"] == *revision
            && condition(kustomization, "Reconciling")["message"]
                .as_str()
                .is_some_and(|it| it.contains("health checks"))
    })
    .await;
    fixture.realm.resume();
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    let second = job_of(&fixture.requests().get("jane").await.unwrap());
    assert_eq!(fixture.remote_state(&first), "REVOKED");
    assert_eq!(fixture.mailed(), [first, second]);
}

/// Gives Jane's request another name in Git.
async fn rename(flux: &Flux, edit: impl Fn(&mut Value)) -> String {
    let mut request = flux.request("jane-doe", JANE);
    edit(&mut request);
    flux.commit(&[("enrolments/jane.yaml", None), ("enrolments/jane-doe.yaml", Some(request))]).await
}

#[tokio::test]
async fn renamed_request_sends_again_unless_its_link_is_orphaned() {
    for (edit, emails) in [(prunable as fn(&mut Value), 2), (orphaned, 1)] {
        let flux = Flux::with_an_email_and(|_| {}, edit).await;
        let fixture = &flux.fixture;
        let first = job_of(&fixture.requests().get("jane").await.unwrap());
        let revision = rename(&flux, edit).await;
        flux.wait_until_ready(ENROLMENTS, &revision).await;
        wait_until_deleted(fixture.requests(), "jane").await;
        let last = job_of(&fixture.requests().get("jane-doe").await.unwrap());
        assert_eq!(fixture.remote_state(&last), "LINK_SENT");
        assert_eq!(fixture.mailed().len(), emails);
        assert_eq!(first == last, emails == 1);
    }
}

#[tokio::test]
async fn renamed_request_with_the_annotation_is_a_duplicate() {
    let flux = Flux::with_an_email().await;
    let revision = rename(&flux, |_| {}).await;
    flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    let request = flux.fixture.requests().get("jane-doe").await.unwrap();
    assert_eq!(reason(&request), "DuplicateRequest");
    assert_eq!(flux.fixture.mailed().len(), 1);
}
