//! The states that the tests of the health scripts have dumps of.

use std::time::Duration;

use beyond_identity_operator::api::conditions::{PAUSED as PAUSED_CONDITION, REVOKE_REFUSED};
use beyond_identity_operator::api::{
    AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest, HasStatus, PAUSED, ProviderConfig,
};
use harness::control_plane::ControlPlane;
use harness::simulator::Identity;
use kube::Client;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::dump::dump;
use crate::fixture::{
    Access, CONFIG, Fixture, JANE, OWN, REQUEST, annotate, cluster, conditions, job_of, message_of, object, patch,
    poll_often, reason, shared_simulator, wait_for,
};

fn no_grace(settings: &mut beyond_identity_operator::operator::Settings) {
    poll_often(settings);
    settings.grace_period = Duration::ZERO;
}

fn has_condition(object: &impl HasStatus, type_: &str) -> bool {
    conditions(object).contains(&format!("{type_}=True"))
}

/// Enrols an identity of this name by a request of this name, and returns the job.
async fn enroll(fixture: &Fixture, name: &str) -> String {
    fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
    fixture.create_request_of(name, name).await;
    job_of(&fixture.wait_for_request_named(name, "LinkSent").await)
}

async fn wait_for_provider(fixture: &Fixture, wanted: &'static str) {
    wait_for(fixture.providers(), &fixture.provider, wanted, |it: &ClusterProviderConfig| reason(it) == wanted).await;
}

#[tokio::test]
async fn requests_by_the_state_of_their_job() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    for (name, state, reason) in [
        ("link-sent", "LINK_SENT", "LinkSent"),
        ("complete", "COMPLETE", "Complete"),
        ("link-expired", "EXPIRED", "LinkExpired"),
        ("failed-to-send", "FAILED_TO_SEND", "FailedToSend"),
    ] {
        let job = enroll(&fixture, name).await;
        fixture.realm.set_job_state(&job, state);
        fixture.wait_for_request_named(name, reason).await;
        dump::<EnrollmentRequest>(&fixture, name, name).await;
    }
    let job = enroll(&fixture, "job-not-found").await;
    fixture.realm.remove_job(&job);
    fixture.wait_for_request_named("job-not-found", "JobNotFound").await;
    dump::<EnrollmentRequest>(&fixture, "job-not-found", "job-not-found").await;

    enroll(&fixture, "revoked").await;
    patch(&fixture.requests(), "revoked", json!({"spec": {"revoked": true}})).await.unwrap();
    fixture.wait_for_request_named("revoked", "Revoked").await;
    dump::<EnrollmentRequest>(&fixture, "revoked", "revoked").await;

    fixture.realm.leave_expired();
    let job = enroll(&fixture, "link-expired-by-time").await;
    fixture.realm.edit_job(&job, |job| job.expire_time = Some("2020-01-01T00:00:00Z".to_owned()));
    fixture.wait_for_request_named("link-expired-by-time", "LinkExpired").await;
    dump::<EnrollmentRequest>(&fixture, "link-expired-by-time", "link-expired-by-time").await;
}

#[tokio::test]
async fn requests_that_send_nothing() {
    let (fixture, operator) = Fixture::ready_with(poll_often).await;
    fixture.realm.add_identity(Identity::active("already-enrolled", "someone@example.com"));
    fixture.realm.edit_identity("already-enrolled", |it| it.enrollment_status = Some("ENROLLED".to_owned()));
    for (name, reason) in [("already-enrolled", "AlreadyEnrolled"), ("identity-not-found", "IdentityNotFound")] {
        fixture.create_request_of(name, name).await;
        fixture.wait_for_request_named(name, reason).await;
        dump::<EnrollmentRequest>(&fixture, name, name).await;
    }
    operator.stop().await;
    let _operator = fixture.start_with(no_grace).await;
    let is_stalled = |it: &EnrollmentRequest| has_condition(it, "Stalled");
    wait_for(fixture.requests(), "identity-not-found", "is stalled", is_stalled).await;
    dump::<EnrollmentRequest>(&fixture, "identity-not-found", "stalled").await;
}

#[tokio::test]
async fn requests_that_wait() {
    let (fixture, operator) = Fixture::ready_with(poll_often).await;
    let (_, hidden) = fixture.second_attempt_in_doubt().await;
    dump::<EnrollmentRequest>(&fixture, REQUEST, "send-in-doubt").await;
    fixture.realm.remove_fault(hidden);
    fixture.wait_for_request("LinkSent").await;

    enroll(&fixture, "paused").await;
    annotate(&fixture.requests(), "paused", PAUSED, "true").await;
    let is_paused = |it: &EnrollmentRequest| has_condition(it, PAUSED_CONDITION);
    wait_for(fixture.requests(), "paused", "is paused", is_paused).await;
    enroll(&fixture, "spec-changed").await;
    enroll(&fixture, "pause-requested").await;
    operator.stop().await;
    dump::<EnrollmentRequest>(&fixture, "paused", "paused").await;
    annotate(&fixture.requests(), "paused", PAUSED, None).await;
    dump::<EnrollmentRequest>(&fixture, "paused", "resume-requested").await;
    annotate(&fixture.requests(), "pause-requested", PAUSED, "true").await;
    dump::<EnrollmentRequest>(&fixture, "pause-requested", "pause-requested").await;
    patch(&fixture.requests(), "spec-changed", json!({"spec": {"attempt": 2}})).await.unwrap();
    dump::<EnrollmentRequest>(&fixture, "spec-changed", "spec-changed").await;
    fixture.create_request_of("never-reconciled", "never-reconciled").await;
    dump::<EnrollmentRequest>(&fixture, "never-reconciled", "never-reconciled").await;
}

#[tokio::test]
async fn requests_whose_link_cannot_be_revoked() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let is_refused = |it: &EnrollmentRequest| has_condition(it, REVOKE_REFUSED) && reason(it) == "LinkSent";
    let request = wait_for(fixture.requests(), REQUEST, "has a refused revocation", is_refused).await;
    assert!(!message_of(&request, REVOKE_REFUSED).is_empty());
    dump::<EnrollmentRequest>(&fixture, REQUEST, "revoke-refused").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    fixture.wait_for_request("DeletionBlocked").await;
    dump::<EnrollmentRequest>(&fixture, REQUEST, "deletion-blocked").await;
}

#[tokio::test]
async fn configurations() {
    let fixture = Fixture::new().await;
    fixture.create_config().await;
    dump::<AuthenticatorConfig>(&fixture, CONFIG, "never-reconciled").await;
    let operator = fixture.start_with(poll_often).await;
    fixture.wait_for_config("Available").await;
    dump::<AuthenticatorConfig>(&fixture, CONFIG, "available").await;

    fixture.create_request_of(REQUEST, JANE).await;
    fixture.wait_for_request("LinkSent").await;
    annotate(&fixture.configs(), CONFIG, PAUSED, "true").await;
    let is_paused = |it: &AuthenticatorConfig| has_condition(it, PAUSED_CONDITION);
    wait_for(fixture.configs(), CONFIG, "is paused", is_paused).await;
    dump::<AuthenticatorConfig>(&fixture, CONFIG, "paused").await;
    annotate(&fixture.configs(), CONFIG, PAUSED, None).await;
    fixture.delete_config().await;
    fixture.wait_for_config("InUse").await;
    dump::<AuthenticatorConfig>(&fixture, CONFIG, "in-use").await;

    let lost = fixture.config_with("lost", json!({"providerConfigRef": {"name": "does-not-exist"}}));
    fixture.configs().create(&PostParams::default(), &lost).await.unwrap();
    fixture.wait_for_config_named("lost", "ProviderConfigNotFound").await;
    dump::<AuthenticatorConfig>(&fixture, "lost", "provider-config-not-found").await;
    operator.stop().await;
    let _operator = fixture.start_with(no_grace).await;
    let is_stalled = |it: &AuthenticatorConfig| has_condition(it, "Stalled");
    wait_for(fixture.configs(), "lost", "is stalled", is_stalled).await;
    dump::<AuthenticatorConfig>(&fixture, "lost", "stalled").await;
}

/// Only an operator that watches all namespaces writes the status of a ClusterProviderConfig.
#[tokio::test]
async fn cluster_provider_configs() {
    let control_plane = ControlPlane::start().unwrap();
    cluster::install(&control_plane);
    let client = Client::try_from(cluster::config_of(&control_plane).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    let provider = fixture.provider.clone();
    dump::<ClusterProviderConfig>(&fixture, &provider, "never-reconciled").await;
    let access = Access::to(&control_plane).everywhere();
    let process = fixture.spawn(&access, &[]).await;
    wait_for_provider(&fixture, "CredentialsAccepted").await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "credentials-accepted").await;

    annotate(&fixture.providers(), &provider, PAUSED, "true").await;
    let is_paused = |it: &ClusterProviderConfig| has_condition(it, PAUSED_CONDITION);
    wait_for(fixture.providers(), &provider, "is paused", is_paused).await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "paused").await;
    annotate(&fixture.providers(), &provider, PAUSED, None).await;
    wait_for(fixture.providers(), &provider, "is resumed", |it: &ClusterProviderConfig| !is_paused(it)).await;

    fixture.set_token("wrong").await;
    wait_for_provider(&fixture, "Unauthorized").await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "unauthorized").await;
    process.stop();
    let _process = fixture.spawn(&access, &["--grace-period", "0s"]).await;
    let is_stalled = |it: &ClusterProviderConfig| has_condition(it, "Stalled");
    wait_for(fixture.providers(), &provider, "is stalled", is_stalled).await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "stalled").await;

    fixture.set_token(&fixture.token).await;
    wait_for_provider(&fixture, "CredentialsAccepted").await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let is_degraded = |it: &ClusterProviderConfig| has_condition(it, "Degraded");
    wait_for(fixture.providers(), &provider, "is degraded", is_degraded).await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "missing-scopes").await;

    fixture.providers().delete(&provider, &DeleteParams::default()).await.unwrap();
    wait_for_provider(&fixture, "InUse").await;
    dump::<ClusterProviderConfig>(&fixture, &provider, "in-use").await;
}

#[tokio::test]
async fn provider_configs() {
    let (fixture, operator) = Fixture::with_own_provider(poll_often).await;
    dump::<ProviderConfig>(&fixture, OWN, "credentials-accepted").await;
    annotate(&fixture.own_providers(), OWN, PAUSED, "true").await;
    let is_paused = |it: &ProviderConfig| has_condition(it, PAUSED_CONDITION);
    wait_for(fixture.own_providers(), OWN, "is paused", is_paused).await;
    dump::<ProviderConfig>(&fixture, OWN, "paused").await;
    annotate(&fixture.own_providers(), OWN, PAUSED, None).await;
    fixture.set_own_token("wrong").await;
    fixture.wait_for_own_provider("Unauthorized").await;
    dump::<ProviderConfig>(&fixture, OWN, "unauthorized").await;
    operator.stop().await;
    let operator = fixture.start_with(no_grace).await;
    let is_stalled = |it: &ProviderConfig| has_condition(it, "Stalled");
    wait_for(fixture.own_providers(), OWN, "is stalled", is_stalled).await;
    dump::<ProviderConfig>(&fixture, OWN, "stalled").await;
    operator.stop().await;

    let mut another = fixture.own_provider();
    another["metadata"]["name"] = json!("never-reconciled");
    fixture.own_providers().create(&PostParams::default(), &object(another)).await.unwrap();
    dump::<ProviderConfig>(&fixture, "never-reconciled", "never-reconciled").await;
}
