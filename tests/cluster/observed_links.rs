//! A link that was adopted through a configuration that is only observed may be another team's. It is revoked only if the
//! ClusterProviderConfig allows that.

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, PAUSED, RECONCILE_REQUESTED_AT};
use harness::simulator::{Config, Job};
use kube::api::DeleteParams;
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, JANE, Operator, REQUEST, conditions, job_of, message, message_of, patch, wait_for,
    wait_until_deleted,
};

/// A request that adopted a link through an observed configuration. Both were created elsewhere.
async fn with_adopted_link() -> (Fixture, Operator, String) {
    let fixture = Fixture::new().await;
    let config = Config::of_type("hosted_web");
    fixture.realm.add_config(config.clone());
    let job = Job { state: Some("LINK_SENT".to_owned()), ..Job::email(JANE, &config.id) };
    fixture.realm.add_job(job.clone());
    let operator = fixture.start().await;
    fixture.create_config_with(json!({"resourceID": config.id, "managementPolicy": "Observe"})).await;
    fixture.wait_for_config("Available").await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!(job_of(&request), job.id);
    (fixture, operator, job.id)
}

fn has_revoke_refused(request: &EnrollmentRequest) -> bool {
    !message_of(request, REVOKE_REFUSED).is_empty()
}

/// Deletes the request, which leaves the link of `job` and tells it.
async fn delete_and_leave(fixture: &Fixture, job: &str) {
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let event = fixture.wait_for_event(REQUEST, "Normal RemoteResourceRetained").await;
    let expected = format!(
        "The link of credential binding job {job} stays active because it was adopted through a configuration that is only \
         observed"
    );
    assert_eq!((event.note, fixture.remote_state(job)), (expected, "LINK_SENT".to_owned()));
}

#[tokio::test]
async fn deletion_leaves_a_link_that_another_team_may_have_sent() {
    let (fixture, _operator, job) = with_adopted_link().await;
    let request = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!(request.status.as_ref().unwrap().adopted_through_observe, Some(true));
    let promise = format!(
        "Another team may have sent that link, because the configuration is only observed, so this request revokes it only if \
         ClusterProviderConfig {} says spec.allowRevokingAdoptedLinks: true.",
        fixture.provider
    );
    assert!(message(&request).ends_with(&promise), "{}", message(&request));
    delete_and_leave(&fixture, &job).await;
    assert_eq!(fixture.revocations().len(), 0);
}

#[tokio::test]
async fn revocation_by_spec_or_annotation_is_refused_until_it_is_allowed() {
    let (fixture, _operator, job) = with_adopted_link().await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has RevokeRefused", has_revoke_refused).await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown RevokeRefused=True");
    assert_eq!(
        message_of(&request, REVOKE_REFUSED),
        format!(
            "The link of credential binding job {job} cannot be revoked: it was adopted through an AuthenticatorConfig with \
             managementPolicy: Observe, and ClusterProviderConfig {} does not allow revoking such links, which another team \
             may have sent; ask the cluster's admins for spec.allowRevokingAdoptedLinks there, or revoke the job in Beyond \
             Identity",
            fixture.provider
        )
    );
    fixture.wait_for_event(REQUEST, "Warning RevokeRefused").await;
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let is_withdrawn = |request: &EnrollmentRequest| !has_revoke_refused(request);
    wait_for(fixture.requests(), REQUEST, "has no RevokeRefused", is_withdrawn).await;
    let annotation = json!({"metadata": {"annotations": {"beyondidentity.dev/revoke": job}}});
    patch(&fixture.requests(), REQUEST, annotation).await.unwrap();
    wait_for(fixture.requests(), REQUEST, "has RevokeRefused", has_revoke_refused).await;
    assert_eq!(fixture.revocations().len(), 0);

    let allowed = json!({"spec": {"allowRevokingAdoptedLinks": true}});
    patch(&fixture.providers(), &fixture.provider, allowed).await.unwrap();
    let annotation = json!({"metadata": {"annotations": {RECONCILE_REQUESTED_AT: "now"}}});
    patch(&fixture.requests(), REQUEST, annotation).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

#[tokio::test]
async fn later_attempt_sends_its_own_link_and_only_that_is_revoked() {
    let (fixture, operator, adopted) = with_adopted_link().await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has RevokeRefused", has_revoke_refused).await;
    let own = job_of(&request);
    assert_ne!(own, adopted);
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown RevokeRefused=True");
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.adopted_through_observe, status.previous_jobs[0].adopted_through_observe), (None, Some(true)));
    // After a restart, only the status says where the link came from.
    operator.stop().await;
    let _operator = fixture.start().await;
    delete_and_leave(&fixture, &adopted).await;
    assert_eq!((fixture.remote_state(&own).as_str(), fixture.revocations()), ("REVOKED", vec![own]));
}

#[tokio::test]
async fn link_stays_if_no_provider_config_says_that_it_may_be_revoked() {
    let (fixture, operator, job) = with_adopted_link().await;
    operator.stop().await;
    fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.providers(), &fixture.provider).await;
    let _operator = fixture.start().await;
    delete_and_leave(&fixture, &job).await;
}

/// The conditions of a paused configuration are those of its earlier generation.
#[tokio::test]
async fn edit_from_observe_to_manage_does_not_make_the_link_revocable() {
    let (fixture, _operator, job) = with_adopted_link().await;
    delete_and_leave(&fixture, &job).await;
    let edit = json!({"metadata": {"annotations": {PAUSED: "true"}}, "spec": {"managementPolicy": "Manage"}});
    let edited: AuthenticatorConfig = patch(&fixture.configs(), CONFIG, edit).await.unwrap();
    assert_eq!(edited.metadata.generation, Some(2));
    fixture.create_request().await;
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!(request.status.unwrap().adopted_through_observe, Some(true));
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
}
