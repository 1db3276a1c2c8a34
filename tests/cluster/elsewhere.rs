//! What answers is not the service that has the job: a provider config that leads elsewhere, or another service in its
//! place. What became of a send in doubt is found out only where it was sent.

use std::time::Duration;

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::api::{EnrollmentRequest, HasStatus, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Identity, Operation, RealmHandle, Reply, Rule, Simulator};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, following, job_of, message, patch,
    reason, said_by, short, wait_for, wait_until_gone,
};

/// Lets the provider config lead to another address.
async fn lead_to(fixture: &Fixture, url: &str) {
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"endpoint": {"api": url}}})).await.unwrap();
}

/// A realm of the same name at another service, with the same configurations, other identities, and no jobs.
fn twin(fixture: &Fixture, other: &Simulator) -> RealmHandle {
    let realm = other.realm(fixture.realm.tenant(), fixture.realm.realm(), &fixture.token);
    fixture.realm.configs().into_iter().for_each(|config| realm.add_config(config));
    realm
}

#[tokio::test]
async fn a_send_in_doubt_is_settled_where_it_was_sent_though_the_provider_config_leads_elsewhere_meanwhile() {
    let (fixture, _operator) = Fixture::ready_with(short).await;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = twin(&fixture, &other);
    elsewhere.add_identity(Identity::active(JANE, "jane@example.com"));
    elsewhere.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs));
    fixture.create_request().await;
    fixture.request_says("SendInDoubt").await;

    lead_to(&fixture, elsewhere.url()).await;
    let request = fixture.request_says("EndpointChanged").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    let said = message(&request);
    assert!(said.contains(fixture.realm.url()) && said.contains(elsewhere.url()), "{said}");
    // Somebody else's send is in doubt there, later and for as long: by its end the time of the first one is over, too.
    elsewhere.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).once());
    fixture.create_request_of("joe", "joe").await;
    fixture.named_request_says("joe", "LinkSent").await;
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("one");
    let request = wait_for(fixture.requests(), REQUEST, "has handled it", handled).await;
    assert_eq!(reason(&request), "EndpointChanged");
    assert!(request.status.unwrap().send.is_some(), "its record stays");
    let there: Vec<_> = elsewhere.outbox().into_iter().map(|email| email.identity_id).collect();
    assert_eq!(there, ["joe"]);

    fixture.realm.remove_fault(hidden);
    lead_to(&fixture, fixture.realm.url()).await;
    let request = fixture.request_says("LinkSent").await;
    assert_eq!((fixture.mailed(), elsewhere.outbox().len()), (vec![job_of(&request)], 1));
}

/// Everything at the same address is answered by a service that knows nothing of the realm's.
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
async fn a_service_that_knows_nothing_of_the_realm_is_not_believed_that_nothing_was_sent() {
    let (fixture, _operator) = Fixture::ready_with(short).await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = Effect::LagList(Duration::from_secs(600));
    let hidden = fixture.realm.fault(Rule::new(hidden).on(Operation::ListJobs));
    fixture.create_request().await;
    fixture.request_says("SendInDoubt").await;
    misdirect(&fixture);
    fixture.realm.remove_fault(hidden);
    let request = fixture.request_says("UnrecognizedService").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(request.status.as_ref().unwrap().send.is_some(), "its record stays");
    assert_eq!(fixture.calls(Operation::CreateJob), 1);

    fixture.realm.clear_faults();
    let request = fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
}

#[tokio::test]
async fn nor_is_it_that_a_link_is_gone_which_is_to_be_revoked() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    misdirect(&fixture);
    fixture.delete_request(REQUEST).await;
    let request = fixture.request_says("DeletionBlocked").await;
    assert!(message(&request).contains("so it may be another service"), "{}", message(&request));
    eventually("it was tried twice", || fixture.revocations().len() >= 2).await;
    fixture.realm.clear_faults();
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

fn every_second(settings: &mut Settings) {
    settings.resync_interval = Duration::from_secs(1);
}

/// The same realm at another service, which knows Jane.
fn twin_with_jane(fixture: &Fixture, other: &Simulator) -> RealmHandle {
    let elsewhere = twin(fixture, other);
    elsewhere.add_identity(Identity::active(JANE, "jane@example.com"));
    elsewhere
}

#[tokio::test]
async fn an_earlier_link_at_another_endpoint_is_said_to_be_out_until_the_provider_config_leads_back() {
    let (fixture, _operator) = Fixture::ready_with(every_second).await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = twin_with_jane(&fixture, &other);
    lead_to(&fixture, elsewhere.url()).await;
    fixture.config_says("Available").await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let names_it = |request: &EnrollmentRequest| said_by(request, REVOKE_REFUSED).contains(&first);
    let request = wait_for(fixture.requests(), REQUEST, "says that the first link is out", names_it).await;
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, reason(&request)), (Some(2), "LinkSent"), "the next one is as it is");
    let said = said_by(&request, REVOKE_REFUSED);
    assert!(said.contains(fixture.realm.url()), "{said}");
    assert_eq!((fixture.remote_state(&first).as_str(), elsewhere.outbox().len()), ("LINK_SENT", 1));

    lead_to(&fixture, fixture.realm.url()).await;
    eventually("the first link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
}

#[tokio::test]
async fn a_link_that_another_endpoint_does_not_know_is_not_said_to_be_gone() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        following(settings);
        every_second(settings);
    })
    .await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let history = History::of(&fixture.requests(), REQUEST).await;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = twin_with_jane(&fixture, &other);
    lead_to(&fixture, elsewhere.url()).await;
    let request = fixture.request_says("EndpointChanged").await;
    let said = message(&request);
    assert!(said.contains(fixture.realm.url()) && said.contains(elsewhere.url()), "{said}");
    lead_to(&fixture, fixture.realm.url()).await;
    let request = fixture.request_says("LinkSent").await;
    assert_eq!((job_of(&request), fixture.mailed(), elsewhere.outbox().len()), (job.clone(), vec![job], 0));
    let versions = history.versions();
    assert!(!versions.iter().any(|version| reason(version) == "JobNotFound"), "{versions:#?}");
}

#[tokio::test]
async fn a_configuration_whose_provider_config_leads_elsewhere_is_neither_forgotten_nor_made_again_there() {
    let (fixture, _operator) = Fixture::ready_with(every_second).await;
    let known = fixture.config_says("Available").await.status.unwrap().id;
    let other = Simulator::start(([127, 0, 0, 1], 0).into()).unwrap();
    let elsewhere = other.realm(fixture.realm.tenant(), fixture.realm.realm(), &fixture.token);
    lead_to(&fixture, elsewhere.url()).await;
    let config = fixture.config_says("EndpointChanged").await;
    let said = message(&config);
    assert!(said.contains(fixture.realm.url()) && said.contains(elsewhere.url()), "{said}");
    assert_eq!((&config.status.unwrap().id, elsewhere.configs().len()), (&known, 0));

    // Nor is it taken for deleted there.
    fixture.delete_config().await;
    fixture.config_says("DeletionBlocked").await;
    assert_eq!((fixture.realm.configs().len(), elsewhere.configs().len()), (1, 0));
    lead_to(&fixture, fixture.realm.url()).await;
    wait_until_gone(fixture.configs(), CONFIG).await;
    assert_eq!((fixture.realm.configs().len(), elsewhere.requests_of(Operation::CreateConfig).len()), (0, 0));
}
