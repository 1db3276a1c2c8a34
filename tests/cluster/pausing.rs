//! `beyondidentity.dev/paused: "true"` stops all work on an object and sets a condition. Without it, work continues
//! where it stopped.

use std::time::Duration;

use beyond_identity_operator::api::conditions::PAUSED as CONDITION;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, FINALIZER, HasStatus, PAUSED};
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, message_of, reason,
    wait_for, wait_until_deleted,
};

const SENTENCE: &str = "Reconciliation of this object is paused, including its deletion; remove the annotation \
                        beyondidentity.dev/paused to resume";

fn is_paused(object: &impl HasStatus) -> bool {
    message_of(object, CONDITION) == SENTENCE
}

/// Enrols another identity. By then the operator has reconciled all earlier changes.
async fn enroll_another_identity(fixture: &Fixture, name: &str) {
    fixture.realm.add_identity(Identity::active(name, "somebody@example.com"));
    fixture.create_request_of(name, name).await;
    fixture.wait_for_request_named(name, "LinkSent").await;
}

/// The number of calls about Jane's identity.
fn calls_about_jane(fixture: &Fixture) -> usize {
    fixture.realm.requests().iter().filter(|call| call.path.contains(&format!("identities/{JANE}"))).count()
}

#[tokio::test]
async fn new_paused_request_makes_no_call_until_resumed() {
    let (fixture, _operator) = Fixture::ready().await;
    let mut request = fixture.request(REQUEST, JANE);
    request.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    fixture.requests().create(&PostParams::default(), &request).await.unwrap();
    let request = fixture.wait_for_request("Paused").await;
    assert_eq!(conditions(&request), "Ready=Unknown Paused=True");
    assert_eq!(request.status.as_ref().unwrap().observed_generation, Some(-1), "the spec is not reconciled");
    assert_eq!(request.finalizers(), [] as [&str; 0]);
    fixture.wait_for_events("EnrollmentRequest", REQUEST, &["Normal Paused"]).await;
    enroll_another_identity(&fixture, "joe").await;
    assert_eq!(calls_about_jane(&fixture), 0);

    annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn only_the_value_true_pauses() {
    let (fixture, _operator) = Fixture::ready().await;
    for value in ["false", "True", "yes", ""] {
        let name = format!("by-{}", value.len());
        fixture.realm.add_identity(Identity::active(&name, "somebody@example.com"));
        let mut request = fixture.request(&name, &name);
        request.annotations_mut().insert(PAUSED.to_owned(), value.to_owned());
        fixture.requests().create(&PostParams::default(), &request).await.unwrap();
        let request = fixture.wait_for_request_named(&name, "LinkSent").await;
        assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown", "{value:?}");
    }
}

#[tokio::test]
async fn paused_request_keeps_conditions_and_blocks_attempt_and_deletion() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let before = fixture.wait_for_request("LinkSent").await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    let paused = wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
    assert_eq!(conditions(&paused), "Ready=True Succeeded=Unknown Paused=True");
    assert_eq!((reason(&paused), message(&paused)), (reason(&before), message(&before)));

    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    enroll_another_identity(&fixture, "joe").await;
    let paused = fixture.requests().get(REQUEST).await.unwrap();
    let status = paused.status.clone().unwrap();
    assert_eq!((status.observed_generation, paused.finalizers()), (Some(1), &[FINALIZER.to_owned()][..]));
    assert_eq!((&status.job_id, status.attempt, status.send), (&Some(job_of(&before)), Some(1), None));
    assert_eq!((fixture.revocations().len(), fixture.mailed().len()), (0, 2));

    annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.revocations(), fixture.mailed().len()), (vec![job_of(&before)], 2));
    let paused = |version: &EnrollmentRequest| is_paused(version) && version.status.as_ref().unwrap().send.is_none();
    history.first("a paused version", paused).await;
}

#[tokio::test]
async fn pause_keeps_a_send_in_doubt_across_a_restart() {
    let short_delays = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.request_timeout = Duration::from_secs(2);
    };
    for restart in [false, true] {
        let (fixture, mut operator) = Fixture::ready_with(short_delays).await;
        fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
        // The first list is read before the send.
        let hidden = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).about(JANE).skip(1));
        fixture.create_request().await;
        fixture.wait_for_request("SendInDoubt").await;
        annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
        let paused = wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
        assert_eq!(conditions(&paused), "Reconciling=True Ready=Unknown Paused=True");
        fixture.realm.remove_fault(hidden);
        if restart {
            operator.kill().await;
            operator = fixture.start_with(short_delays).await;
        }
        let calls = calls_about_jane(&fixture);

        // A later send in doubt is settled, so an unpaused one would be settled by now.
        fixture.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).once());
        enroll_another_identity(&fixture, "joe").await;
        let still = fixture.requests().get(REQUEST).await.unwrap();
        assert_eq!(still.status, paused.status, "status.send is retained, and the attempt is not concluded");
        assert_eq!((calls_about_jane(&fixture), fixture.mailed().len()), (calls, 2));

        annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(request.status.as_ref().unwrap().send, None);
        assert_eq!(fixture.mailed()[0], job_of(&request), "restart: {restart}");
        assert_eq!(fixture.mailed().len(), 2);
        drop(operator);
    }
}

#[tokio::test]
async fn configuration_can_be_paused() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    let configs: Api<AuthenticatorConfig> = fixture.configs();
    let mut config = fixture.config(CONFIG);
    config.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    configs.create(&PostParams::default(), &config).await.unwrap();
    let config = fixture.wait_for_config("Paused").await;
    assert_eq!((conditions(&config).as_str(), message(&config)), ("Ready=Unknown Paused=True", SENTENCE));
    assert_eq!(config.status.unwrap().observed_generation, Some(-1));
    fixture.create_config_named("another").await;
    fixture.wait_for_config_named("another", "Available").await;
    assert_eq!(fixture.realm.configs().len(), 1);
    annotate(&configs, CONFIG, PAUSED, "false").await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(conditions(&config), "Ready=True");

    annotate(&configs, CONFIG, PAUSED, "true").await;
    wait_for(configs.clone(), CONFIG, "is paused", is_paused).await;
    let change = json!({"spec": {"config": {"trustedOrigins": ["https://b.example.com"]}}});
    crate::fixture::patch(&configs, CONFIG, change).await.unwrap();
    configs.delete(CONFIG, &DeleteParams::default()).await.unwrap();
    configs.delete("another", &DeleteParams::default()).await.unwrap();
    wait_until_deleted(configs.clone(), "another").await;
    let config = configs.get(CONFIG).await.unwrap();
    assert_eq!(conditions(&config), "Ready=True Paused=True");
    assert_eq!(config.status.unwrap().observed_generation, Some(1));
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(fixture.realm.configs().len(), 1);
    annotate(&configs, CONFIG, PAUSED, None).await;
    wait_until_deleted(configs, CONFIG).await;
    eventually("the configuration is deleted", || fixture.realm.configs().is_empty()).await;
}
