//! Another service answers: the provider config has a new endpoint, or another service has the same address. A send in
//! doubt is settled only at its recorded endpoint.

use std::time::Duration;

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::api::{EnrollmentRequest, HasStatus, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Identity, Operation, RealmHandle, Reply, Rule, Simulator};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, message_of, patch,
    poll_often, reason, short_delays, wait_for, wait_until_deleted,
};

/// Sets the endpoint of the provider config.
async fn set_endpoint(fixture: &Fixture, url: &str) {
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"endpoint": {"api": url}}})).await.unwrap();
}

/// A realm with the same ids and configurations at another service, without identities and jobs.
fn copy_realm(fixture: &Fixture, other: &Simulator) -> RealmHandle {
    let realm = other.realm(fixture.realm.tenant(), fixture.realm.realm(), &fixture.token);
    fixture.realm.configs().into_iter().for_each(|config| realm.add_config(config));
    realm
}

#[tokio::test]
async fn send_in_doubt_is_settled_only_at_its_recorded_endpoint() {
    let (fixture, _operator) = Fixture::ready_with(short_delays).await;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = copy_realm(&fixture, &other);
    elsewhere.add_identity(Identity::active(JANE, "jane@example.com"));
    elsewhere.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs));
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;

    set_endpoint(&fixture, elsewhere.url()).await;
    let request = fixture.wait_for_request("EndpointChanged").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    let message = message(&request);
    assert!(message.contains(fixture.realm.url()) && message.contains(elsewhere.url()), "{message}");
    // A later send is in doubt at the other service. When it is settled, the settle time of the first one is over too.
    elsewhere.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).once());
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("one");
    let request = wait_for(fixture.requests(), REQUEST, "has handled the reconcile request", handled).await;
    assert_eq!(reason(&request), "EndpointChanged");
    assert!(request.status.unwrap().send.is_some(), "the write-ahead record is kept");
    let there: Vec<_> = elsewhere.outbox().into_iter().map(|email| email.identity_id).collect();
    assert_eq!(there, ["joe"]);

    fixture.realm.remove_fault(hidden);
    set_endpoint(&fixture, fixture.realm.url()).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.mailed(), elsewhere.outbox().len()), (vec![job_of(&request)], 1));
}

/// Lets another service answer at the same address. It knows none of the objects of the realm.
fn misdirect(fixture: &Fixture) {
    let unknown = Reply::resource_error(404, "not_found", "identity not found", "Identity", JANE);
    let no_job =
        Reply::resource_error(404, "not_found", "credential binding job not found", "CredentialBindingJob", "x");
    let no_config = Reply::error(404, "not_found", "The requested resource was not found.");
    let empty = |key: &str| Reply::json(200, &json!({key: [], "total_size": 0}));
    for (operation, reply) in [
        (Operation::GetIdentity, unknown),
        (Operation::GetJob, no_job.clone()),
        (Operation::RevokeJob, no_job),
        (Operation::ListJobs, empty("credential_binding_jobs")),
        (Operation::GetConfig, no_config),
        (Operation::ListConfigs, empty("authenticator_configs")),
    ] {
        fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(operation));
    }
}

#[tokio::test]
async fn unrecognized_service_does_not_settle_a_send_in_doubt() {
    let (fixture, _operator) = Fixture::ready_with(short_delays).await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = Effect::LagList(Duration::from_secs(600));
    let hidden = fixture.realm.fault(Rule::new(hidden).on(Operation::ListJobs));
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;
    misdirect(&fixture);
    fixture.realm.remove_fault(hidden);
    let request = fixture.wait_for_request("UnrecognizedService").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(request.status.as_ref().unwrap().send.is_some(), "the write-ahead record is kept");
    assert_eq!(fixture.calls(Operation::CreateJob), 1);

    fixture.realm.clear_faults();
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
}

#[tokio::test]
async fn unrecognized_service_does_not_settle_a_revocation() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    misdirect(&fixture);
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request("DeletionBlocked").await;
    assert!(message(&request).contains("so it may be another service"), "{}", message(&request));
    eventually("the revocation is tried twice", || fixture.revocations().len() >= 2).await;
    fixture.realm.clear_faults();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

fn short_resync(settings: &mut Settings) {
    settings.resync_interval = Duration::from_secs(1);
}

/// Like `copy_realm`, with Jane.
fn copy_realm_with_jane(fixture: &Fixture, other: &Simulator) -> RealmHandle {
    let elsewhere = copy_realm(fixture, other);
    elsewhere.add_identity(Identity::active(JANE, "jane@example.com"));
    elsewhere
}

#[tokio::test]
async fn link_at_old_endpoint_is_revoked_when_endpoint_is_restored() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = copy_realm_with_jane(&fixture, &other);
    set_endpoint(&fixture, elsewhere.url()).await;
    fixture.wait_for_config("Available").await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let is_named = |request: &EnrollmentRequest| message_of(request, REVOKE_REFUSED).contains(&first);
    let request = wait_for(fixture.requests(), REQUEST, "reports that the first link is active", is_named).await;
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, reason(&request)), (Some(2), "LinkSent"), "the current link is not affected");
    let message = message_of(&request, REVOKE_REFUSED);
    assert!(message.contains(fixture.realm.url()), "{message}");
    assert_eq!((fixture.remote_state(&first).as_str(), elsewhere.outbox().len()), ("LINK_SENT", 1));

    set_endpoint(&fixture, fixture.realm.url()).await;
    eventually("the first link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
}

#[tokio::test]
async fn link_unknown_to_another_endpoint_is_not_job_not_found() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        short_resync(settings);
    })
    .await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let history = History::of(&fixture.requests(), REQUEST).await;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = copy_realm_with_jane(&fixture, &other);
    set_endpoint(&fixture, elsewhere.url()).await;
    let request = fixture.wait_for_request("EndpointChanged").await;
    let message = message(&request);
    assert!(message.contains(fixture.realm.url()) && message.contains(elsewhere.url()), "{message}");
    set_endpoint(&fixture, fixture.realm.url()).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((job_of(&request), fixture.mailed(), elsewhere.outbox().len()), (job.clone(), vec![job], 0));
    let versions = history.versions();
    assert!(!versions.iter().any(|version| reason(version) == "JobNotFound"), "{versions:#?}");
}

#[tokio::test]
async fn config_is_not_recreated_at_another_endpoint() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let known = fixture.wait_for_config("Available").await.status.unwrap().id;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = other.realm(fixture.realm.tenant(), fixture.realm.realm(), &fixture.token);
    set_endpoint(&fixture, elsewhere.url()).await;
    let config = fixture.wait_for_config("EndpointChanged").await;
    let message = message(&config);
    assert!(message.contains(fixture.realm.url()) && message.contains(elsewhere.url()), "{message}");
    assert_eq!((&config.status.unwrap().id, elsewhere.configs().len()), (&known, 0));

    // A deletion does not count as done at the other service.
    fixture.delete_config().await;
    fixture.wait_for_config("DeletionBlocked").await;
    assert_eq!((fixture.realm.configs().len(), elsewhere.configs().len()), (1, 0));
    set_endpoint(&fixture, fixture.realm.url()).await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!((fixture.realm.configs().len(), elsewhere.requests_of(Operation::CreateConfig).len()), (0, 0));
}
