//! Two configurations, one identity: one email at a time. Who waits for another request's email says so, and is stalled
//! only where that one does not get on by itself.

use std::time::Duration;

use beyond_identity_operator::api::conditions::PAUSED as CONDITION;
use beyond_identity_operator::api::{EnrollmentRequest, PAUSED};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Rule, RuleId};
use serde_json::json;

use crate::fixture::{Fixture, History, Operator, REQUEST, annotate, conditions, job_of, message, said_by, wait_for};

const SECOND: &str = "second";
const STALLED: &str = "Stalled=True Ready=False";

fn short(settings: &mut Settings) {
    settings.request_timeout = Duration::from_secs(2);
    settings.grace_period = Duration::from_secs(2);
}

/// Jane's request is in doubt until the rule is taken back, though its email is out; another configuration is Ready.
async fn in_doubt() -> (Fixture, Operator, RuleId) {
    let (fixture, operator) = Fixture::ready_with(short).await;
    fixture.create_config_named("other").await;
    fixture.named_config_says("other", "Available").await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs);
    let hidden = fixture.realm.fault(hidden);
    fixture.create_request().await;
    fixture.request_says("SendInDoubt").await;
    (fixture, operator, hidden)
}

async fn create_second(fixture: &Fixture) {
    fixture.create_request_with(SECOND, json!({"authenticatorConfigRef": {"name": "other"}})).await;
}

#[tokio::test]
async fn who_waits_for_a_paused_request_in_doubt_is_stalled_and_told_what_to_look_at() {
    let (fixture, _operator, hidden) = in_doubt().await;
    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    let is_paused = |request: &EnrollmentRequest| !said_by(request, CONDITION).is_empty();
    wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
    let history = History::of(&fixture.requests(), SECOND).await;
    create_second(&fixture).await;
    let request = history.says("WaitingForAnotherSend").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    let said = "Waiting for the outcome of an email to the same identity from EnrollmentRequest request, which is \
                paused or stalled; see its conditions";
    assert_eq!(message(&request), said);
    history.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!(fixture.mailed().len(), 1);

    fixture.realm.remove_fault(hidden);
    annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let second = job_of(&fixture.named_request_says(SECOND, "LinkSent").await);
    assert_eq!(fixture.mailed(), [first, second]);
}

#[tokio::test]
async fn who_waits_for_a_request_in_doubt_during_an_outage_is_not() {
    let (fixture, _operator, hidden) = in_doubt().await;
    fixture.realm.remove_fault(hidden);
    let outage = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs));
    fixture.request_says("ServiceUnavailable").await;
    let history = History::of(&fixture.requests(), SECOND).await;
    create_second(&fixture).await;
    history.says("WaitingForAnotherSend").await;
    // Somebody whose grace period begins later, and is over.
    fixture.create_request_of("nobody", "nobody").await;
    let stalled = |request: &EnrollmentRequest| conditions(request) == STALLED;
    wait_for(fixture.requests(), "nobody", "is stalled", stalled).await;

    fixture.realm.remove_fault(outage);
    let first = job_of(&fixture.request_says("LinkSent").await);
    let second = job_of(&fixture.named_request_says(SECOND, "LinkSent").await);
    assert_eq!(fixture.mailed(), [first, second]);
    let rows: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(!rows.iter().any(|row| row.contains("Stalled")), "{rows:?}");
}
