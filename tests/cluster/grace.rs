//! What somebody else has to mend is in progress for the grace period, stalled from then on, and goes through once it is
//! mended.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Identity, Operation};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, conditions, eventually, following, job_of, message, reason, wait_for,
};

const STALLED: &str = "Stalled=True Ready=False";
const RECONCILING: &str = "Reconciling=True Ready=False";

/// A grace period that is soon over, and another try soon after it.
fn short(settings: &mut Settings) {
    settings.grace_period = Duration::from_secs(2);
    settings.resync_interval = Duration::from_secs(1);
}

fn since(request: &EnrollmentRequest) -> Option<String> {
    request.status.as_ref().unwrap().failing_since.clone()
}

#[tokio::test]
async fn a_secret_that_stays_away_stalls_both_kinds_until_it_is_there() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let (configs, requests) =
        (History::of(&fixture.configs(), CONFIG).await, History::of(&fixture.requests(), REQUEST).await);
    let _operator = fixture.start_with(short).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = configs.says("SecretNotFound").await;
    assert_eq!(conditions(&config), RECONCILING);
    let begun = config.status.clone().unwrap().failing_since.unwrap();
    let stalled = configs.first("stalled", |config| conditions(config) == STALLED).await;
    assert_eq!(message(&stalled), message(&config), "the sentence stays");
    assert_eq!(stalled.status.unwrap().failing_since, Some(begun));

    let request = requests.says("AuthenticatorConfigStalled").await;
    assert_eq!(message(&request), format!("AuthenticatorConfig {CONFIG} is Stalled; see its conditions"));
    requests.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!(fixture.realm.requests(), []);

    fixture.create_secret(&fixture.token).await;
    let request = fixture.request_says("LinkSent").await;
    assert_eq!((conditions(&request).as_str(), since(&request)), ("Ready=True Succeeded=Unknown", None));
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    let config = fixture.config_says("Available").await;
    assert_eq!((conditions(&config).as_str(), config.status.unwrap().failing_since), ("Ready=True", None));
}

#[tokio::test]
async fn an_identity_that_stays_away_stalls_and_goes_through_once_it_is_there() {
    let (fixture, _operator) = Fixture::ready_with(short).await;
    fixture.realm.remove_identity(JANE);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = history.says("IdentityNotFound").await;
    assert_eq!(conditions(&request), RECONCILING);
    let begun = since(&request).unwrap();
    let request = history.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!((since(&request).unwrap(), reason(&request)), (begun, "IdentityNotFound"));
    fixture.realm.add_identity(Identity::active(JANE, "jane@example.com"));
    let request = fixture.request_says("LinkSent").await;
    assert_eq!((since(&request), fixture.mailed()), (None, vec![job_of(&request)]));
}

#[tokio::test]
async fn another_cause_does_not_begin_the_period_anew_and_neither_does_an_outage() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.realm.remove_identity(JANE);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let begun = since(&history.says("IdentityNotFound").await).unwrap();
    fixture.realm.pause();
    let request = history.says("ServiceUnavailable").await;
    assert_eq!((since(&request), conditions(&request).as_str()), (Some(begun.clone()), RECONCILING));
    fixture.realm.add_identity(Identity::active(JANE, "jane@example.com").status(Some("suspended")));
    fixture.realm.resume();
    let request = history.says("IdentityNotActive").await;
    assert_eq!(since(&request), Some(begun));
}

#[tokio::test]
async fn a_restart_does_not_begin_the_period_anew() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.remove_identity(JANE);
    fixture.create_request().await;
    let request = fixture.request_says("IdentityNotFound").await;
    assert_eq!(conditions(&request), RECONCILING);
    let begun = since(&request).unwrap();
    operator.stop().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    let _next = fixture.start_with(|settings| settings.grace_period = Duration::from_millis(1)).await;
    // Its first word is that the period is over.
    let request = history.first("a word of the next operator", |_| true).await;
    assert_eq!((conditions(&request).as_str(), since(&request)), (STALLED, Some(begun)));
}

#[tokio::test]
async fn what_a_clock_left_that_was_an_hour_ahead_begins_anew_and_nothing_is_lost_by_one_that_was_behind() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.create_request().await;
    let begun: jiff::Timestamp = since(&fixture.request_says("IdentityNotActive").await).unwrap().parse().unwrap();
    operator.stop().await;
    for (hours, row) in [(1, RECONCILING), (-1, STALLED)] {
        let left = (begun + jiff::SignedDuration::from_hours(hours)).to_string();
        let edit = Patch::Merge(json!({"status": {"failingSince": left}}));
        fixture.requests().patch_status(REQUEST, &PatchParams::default(), &edit).await.unwrap();
        let history = History::of(&fixture.requests(), REQUEST).await;
        let next = fixture.start().await;
        fixture
            .change_request(json!({"postBindingRedirectURI": format!("https://app.example.com/{hours}")}))
            .await
            .unwrap();
        let seen = |request: &EnrollmentRequest| {
            request.status.as_ref().unwrap().observed_generation == request.metadata.generation
        };
        let request = history.first("looked at", seen).await;
        assert_eq!((conditions(&request).as_str(), since(&request) == Some(left.clone())), (row, hours < 0), "{left}");
        next.stop().await;
    }
    fixture.realm.set_identity_status(JANE, "active");
    let _last = fixture.start().await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn an_outage_never_stalls() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_millis(1)).await;
    fixture.realm.pause();
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    fixture.request_says("ServiceUnavailable").await;
    eventually("it was tried three times", || fixture.calls(Operation::GetIdentity) >= 3).await;
    fixture.realm.resume();
    fixture.request_says("LinkSent").await;
    let rows: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(rows.iter().any(|row| row == RECONCILING) && !rows.iter().any(|row| row.contains("Stalled")), "{rows:?}");
    assert!(history.versions().iter().all(|request| since(request).is_none()));
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_raised_attempt_that_is_held_up_stalls_too_and_its_link_lives() {
    let (fixture, _operator) = Fixture::ready_with(short).await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let stalled = |request: &EnrollmentRequest| conditions(request) == STALLED;
    let request = wait_for(fixture.requests(), REQUEST, "is stalled", stalled).await;
    assert_eq!((reason(&request), job_of(&request)), ("IdentityNotActive", first.clone()));
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
    // Taken back, nothing is owed any more.
    fixture.change_request(json!({"attempt": 1})).await.unwrap();
    let request = fixture.request_says("LinkSent").await;
    assert_eq!((conditions(&request).as_str(), since(&request)), ("Ready=True Succeeded=Unknown", None));
    assert_eq!(fixture.mailed(), [first]);
}

/// One expired token must not turn a fleet red, nor write to all of it; and a change that asks for nothing was seen.
#[tokio::test]
async fn a_settled_request_keeps_its_row_when_looks_fail_and_moves_its_generation_alone() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        following(settings);
        short(settings);
        settings.grace_period = Duration::from_millis(1);
    })
    .await;
    fixture.create_request().await;
    let sent = fixture.request_says("LinkSent").await;
    fixture.realm.set_token("another");
    let reads = || fixture.calls(Operation::GetJob);
    let before = reads();
    eventually("the job was refused three times", || reads() >= before + 3).await;
    let now = fixture.request_says("LinkSent").await;
    assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);

    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    let request = fixture.request_is_looked_at().await;
    assert_eq!(request.metadata.generation, Some(2));
    let but_the_generation = |request: &EnrollmentRequest| {
        let mut status = request.status.clone().unwrap();
        status.observed_generation = None;
        status.conditions.iter_mut().for_each(|condition| condition.observed_generation = None);
        status
    };
    assert_eq!(but_the_generation(&request), but_the_generation(&sent));
    assert_eq!(fixture.mailed().len(), 1);
}
