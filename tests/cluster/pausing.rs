//! `beyondidentity.dev/paused: "true"` stops all work on an object, and a condition says so; then work goes on where it was.

use std::time::Duration;

use beyond_identity_operator::api::conditions::PAUSED as CONDITION;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, FINALIZER, HasStatus, PAUSED};
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, reason, said_by,
    wait_for, wait_until_gone,
};

const SENTENCE: &str = "Reconciliation of this object is paused, including its deletion; remove the annotation \
                        beyondidentity.dev/paused to resume";

fn is_paused(object: &impl HasStatus) -> bool {
    said_by(object, CONDITION) == SENTENCE
}

/// Sends an email to somebody else: by then the operator has looked at all that changed before.
async fn somebody_else_is_enrolled(place: &Fixture, name: &str) {
    place.realm.add_identity(Identity::active(name, "somebody@example.com"));
    place.create_request_of(name, name).await;
    place.named_request_says(name, "LinkSent").await;
}

/// What the service was asked about Jane.
fn calls_about_jane(place: &Fixture) -> usize {
    place.realm.requests().iter().filter(|call| call.path.contains(&format!("identities/{JANE}"))).count()
}

#[tokio::test]
async fn a_new_request_that_is_paused_is_left_alone_until_it_goes_on() {
    let (place, _operator) = Fixture::ready().await;
    let mut request = place.request(REQUEST, JANE);
    request.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    place.requests().create(&PostParams::default(), &request).await.unwrap();
    let request = place.request_says("Paused").await;
    assert_eq!(conditions(&request), "Ready=Unknown Paused=True");
    assert_eq!(request.status.as_ref().unwrap().observed_generation, Some(-1), "nobody has looked at it");
    assert_eq!(request.finalizers(), [] as [&str; 0]);
    place.tells("EnrollmentRequest", REQUEST, &["Normal Paused"]).await;
    somebody_else_is_enrolled(&place, "joe").await;
    assert_eq!(calls_about_jane(&place), 0);

    annotate(&place.requests(), REQUEST, PAUSED, None).await;
    let request = place.request_says("LinkSent").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    assert_eq!(place.mailed().len(), 2);
}

#[tokio::test]
async fn only_true_is_a_pause() {
    let (place, _operator) = Fixture::ready().await;
    for value in ["false", "True", "yes", ""] {
        let name = format!("by-{}", value.len());
        place.realm.add_identity(Identity::active(&name, "somebody@example.com"));
        let mut request = place.request(&name, &name);
        request.annotations_mut().insert(PAUSED.to_owned(), value.to_owned());
        place.requests().create(&PostParams::default(), &request).await.unwrap();
        let request = place.named_request_says(&name, "LinkSent").await;
        assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown", "{value:?}");
    }
}

#[tokio::test]
async fn a_paused_request_keeps_its_row_and_neither_a_new_attempt_nor_its_deletion_goes_on() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let before = place.request_says("LinkSent").await;
    let history = History::of(&place.requests(), REQUEST).await;
    annotate(&place.requests(), REQUEST, PAUSED, "true").await;
    let paused = wait_for(place.requests(), REQUEST, "is paused", is_paused).await;
    assert_eq!(conditions(&paused), "Ready=True Succeeded=Unknown Paused=True");
    assert_eq!((reason(&paused), message(&paused)), (reason(&before), message(&before)));

    place.change_request(json!({"attempt": 2})).await.unwrap();
    place.delete_request(REQUEST).await;
    somebody_else_is_enrolled(&place, "joe").await;
    let paused = place.requests().get(REQUEST).await.unwrap();
    let status = paused.status.clone().unwrap();
    assert_eq!((status.observed_generation, paused.finalizers()), (Some(1), &[FINALIZER.to_owned()][..]));
    assert_eq!((&status.job_id, status.attempt, status.send), (&Some(job_of(&before)), Some(1), None));
    assert_eq!((place.revocations().len(), place.mailed().len()), (0, 2));

    annotate(&place.requests(), REQUEST, PAUSED, None).await;
    wait_until_gone(place.requests(), REQUEST).await;
    assert_eq!((place.revocations(), place.mailed().len()), (vec![job_of(&before)], 2));
    let said_so = |version: &EnrollmentRequest| is_paused(version) && version.status.as_ref().unwrap().send.is_none();
    history.first("the pause", said_so).await;
}

#[tokio::test]
async fn a_pause_in_doubt_leaves_the_doubt_as_it_is_also_through_a_restart() {
    let short = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.request_timeout = Duration::from_secs(2);
    };
    for restart in [false, true] {
        let (place, mut operator) = Fixture::ready_with(short).await;
        place.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
        // The first list is the one before the send.
        let hidden = place.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).about(JANE).skip(1));
        place.create_request().await;
        place.request_says("ServiceUnavailable").await;
        annotate(&place.requests(), REQUEST, PAUSED, "true").await;
        let paused = wait_for(place.requests(), REQUEST, "is paused", is_paused).await;
        assert_eq!(conditions(&paused), "Reconciling=True Ready=False Paused=True");
        place.realm.remove_fault(hidden);
        if restart {
            operator.kill().await;
            operator = place.start_with(short).await;
        }
        let calls = calls_about_jane(&place);

        // Another doubt that begins later is settled, so that this one would be by now.
        place.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).once());
        somebody_else_is_enrolled(&place, "joe").await;
        let still = place.requests().get(REQUEST).await.unwrap();
        assert_eq!(still.status, paused.status, "its record stands, and nothing is concluded");
        assert_eq!((calls_about_jane(&place), place.mailed().len()), (calls, 2));

        annotate(&place.requests(), REQUEST, PAUSED, None).await;
        let request = place.request_says("LinkSent").await;
        assert_eq!(request.status.as_ref().unwrap().send, None);
        assert_eq!(place.mailed()[0], job_of(&request), "restart: {restart}");
        assert_eq!(place.mailed().len(), 2);
        drop(operator);
    }
}

#[tokio::test]
async fn a_configuration_is_paused_in_the_same_way() {
    let place = Fixture::new().await;
    let _operator = place.start().await;
    let configs: Api<AuthenticatorConfig> = place.configs();
    let mut config = place.config(CONFIG);
    config.annotations_mut().insert(PAUSED.to_owned(), "true".to_owned());
    configs.create(&PostParams::default(), &config).await.unwrap();
    let config = place.config_says("Paused").await;
    assert_eq!((conditions(&config).as_str(), message(&config)), ("Ready=Unknown Paused=True", SENTENCE));
    assert_eq!(config.status.unwrap().observed_generation, Some(-1));
    place.create_config_named("another").await;
    place.named_config_says("another", "Available").await;
    assert_eq!(place.realm.configs().len(), 1);
    annotate(&configs, CONFIG, PAUSED, "false").await;
    let config = place.config_says("Available").await;
    assert_eq!(conditions(&config), "Ready=True");

    annotate(&configs, CONFIG, PAUSED, "true").await;
    wait_for(configs.clone(), CONFIG, "is paused", is_paused).await;
    let change = json!({"spec": {"config": {"trustedOrigins": ["https://b.example.com"]}}});
    crate::fixture::patch(&configs, CONFIG, change).await.unwrap();
    configs.delete(CONFIG, &DeleteParams::default()).await.unwrap();
    configs.delete("another", &DeleteParams::default()).await.unwrap();
    wait_until_gone(configs.clone(), "another").await;
    let config = configs.get(CONFIG).await.unwrap();
    assert_eq!(conditions(&config), "Ready=True Paused=True");
    assert_eq!(config.status.unwrap().observed_generation, Some(1));
    assert_eq!(place.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(place.realm.configs().len(), 1);
    annotate(&configs, CONFIG, PAUSED, None).await;
    wait_until_gone(configs, CONFIG).await;
    eventually("it is deleted", || place.realm.configs().is_empty()).await;
}
