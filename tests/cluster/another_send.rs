//! Two configurations, one identity: one email at a time. A request reports that it waits for another one, and is
//! stalled only if that one cannot continue by itself.

use std::time::Duration;

use beyond_identity_operator::api::conditions::PAUSED as CONDITION;
use beyond_identity_operator::api::{EnrollmentRequest, PAUSED};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Rule, RuleId};
use serde_json::json;

use crate::fixture::{
    Fixture, History, Operator, REQUEST, annotate, conditions, job_of, message, message_of, wait_for,
};

const SECOND: &str = "second";
const STALLED: &str = "Stalled=True Ready=False";

fn short_delays(settings: &mut Settings) {
    settings.request_timeout = Duration::from_secs(2);
    settings.grace_period = Duration::from_secs(2);
}

/// Jane's request stays in doubt until the rule is removed, although its email is sent. Another configuration is Ready.
async fn in_doubt() -> (Fixture, Operator, RuleId) {
    let (fixture, operator) = Fixture::ready_with(short_delays).await;
    fixture.create_config_named("other").await;
    fixture.wait_for_config_named("other", "Available").await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs);
    let hidden = fixture.realm.fault(hidden);
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;
    (fixture, operator, hidden)
}

async fn create_second(fixture: &Fixture) {
    fixture.create_request_with(SECOND, json!({"authenticatorConfigRef": {"name": "other"}})).await;
}

#[tokio::test]
async fn request_waiting_for_a_paused_send_in_doubt_is_stalled() {
    let (fixture, _operator, hidden) = in_doubt().await;
    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    let is_paused = |request: &EnrollmentRequest| !message_of(request, CONDITION).is_empty();
    wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
    let history = History::of(&fixture.requests(), SECOND).await;
    create_second(&fixture).await;
    let request = history.first_with_reason("WaitingForAnotherSend").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    let expected = "Waiting for the outcome of an email to the same identity from EnrollmentRequest request, which is \
                paused or stalled; see its conditions";
    assert_eq!(message(&request), expected);
    history.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!(fixture.mailed().len(), 1);

    fixture.realm.remove_fault(hidden);
    annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let second = job_of(&fixture.wait_for_request_named(SECOND, "LinkSent").await);
    assert_eq!(fixture.mailed(), [first, second]);
}

#[tokio::test]
async fn request_waiting_for_a_send_in_doubt_in_an_outage_is_not_stalled() {
    let (fixture, _operator, hidden) = in_doubt().await;
    fixture.realm.remove_fault(hidden);
    let outage = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs));
    let in_outage = |request: &EnrollmentRequest| message(request).contains("nothing is sent meanwhile: GET ");
    wait_for(fixture.requests(), REQUEST, "is in doubt in an outage", in_outage).await;
    let history = History::of(&fixture.requests(), SECOND).await;
    create_second(&fixture).await;
    history.first_with_reason("WaitingForAnotherSend").await;
    // When this later request is stalled, the grace period of the second one is over too.
    fixture.create_request_of("nobody", "nobody").await;
    let stalled = |request: &EnrollmentRequest| conditions(request) == STALLED;
    wait_for(fixture.requests(), "nobody", "is stalled", stalled).await;

    fixture.realm.remove_fault(outage);
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let second = job_of(&fixture.wait_for_request_named(SECOND, "LinkSent").await);
    assert_eq!(fixture.mailed(), [first, second]);
    let all: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(!all.iter().any(|conditions| conditions.contains("Stalled")), "{all:?}");
}
