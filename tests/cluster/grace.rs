//! A problem that can only be fixed elsewhere is Reconciling for the grace period, then Stalled. A fix clears it.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Identity, Operation};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, conditions, eventually, job_of, message, poll_often, reason, wait_for,
};

const STALLED: &str = "Stalled=True Ready=False";
const RECONCILING: &str = "Reconciling=True Ready=False";

/// A short grace period, with a retry soon after it.
fn short_delays(settings: &mut Settings) {
    settings.grace_period = Duration::from_secs(2);
    settings.resync_interval = Duration::from_secs(1);
}

fn failing_since(request: &EnrollmentRequest) -> Option<String> {
    request.status.as_ref().unwrap().failing_since.clone()
}

#[tokio::test]
async fn missing_secret_stalls_both_kinds_until_created() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let (configs, requests) =
        (History::of(&fixture.configs(), CONFIG).await, History::of(&fixture.requests(), REQUEST).await);
    let _operator = fixture.start_with(short_delays).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = configs.first_with_reason("SecretNotFound").await;
    assert_eq!(conditions(&config), RECONCILING);
    let first_failure = config.status.clone().unwrap().failing_since.unwrap();
    let stalled = configs.first("stalled", |config| conditions(config) == STALLED).await;
    assert_eq!(message(&stalled), message(&config), "the message does not change");
    assert_eq!(stalled.status.unwrap().failing_since, Some(first_failure));

    let request = requests.first_with_reason("AuthenticatorConfigStalled").await;
    assert_eq!(message(&request), format!("AuthenticatorConfig {CONFIG} is Stalled; see its conditions"));
    requests.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!(fixture.realm.requests(), []);

    fixture.create_secret(&fixture.token).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((conditions(&request).as_str(), failing_since(&request)), ("Ready=True Succeeded=Unknown", None));
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    let config = fixture.wait_for_config("Available").await;
    assert_eq!((conditions(&config).as_str(), config.status.unwrap().failing_since), ("Ready=True", None));
}

#[tokio::test]
async fn missing_identity_stalls_until_it_exists() {
    let (fixture, _operator) = Fixture::ready_with(short_delays).await;
    fixture.realm.remove_identity(JANE);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = history.first_with_reason("IdentityNotFound").await;
    assert_eq!(conditions(&request), RECONCILING);
    let first_failure = failing_since(&request).unwrap();
    let request = history.first("stalled", |request| conditions(request) == STALLED).await;
    assert_eq!((failing_since(&request).unwrap(), reason(&request)), (first_failure, "IdentityNotFound"));
    fixture.realm.add_identity(Identity::active(JANE, "jane@example.com"));
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((failing_since(&request), fixture.mailed()), (None, vec![job_of(&request)]));
}

#[tokio::test]
async fn grace_period_continues_through_other_failures_and_outages() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.realm.remove_identity(JANE);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let first_failure = failing_since(&history.first_with_reason("IdentityNotFound").await).unwrap();
    fixture.realm.pause();
    let request = history.first_with_reason("ServiceUnavailable").await;
    assert_eq!((failing_since(&request), conditions(&request).as_str()), (Some(first_failure.clone()), RECONCILING));
    fixture.realm.add_identity(Identity::active(JANE, "jane@example.com").status(Some("suspended")));
    fixture.realm.resume();
    let request = history.first_with_reason("IdentityNotActive").await;
    assert_eq!(failing_since(&request), Some(first_failure));
}

#[tokio::test]
async fn grace_period_does_not_restart_with_the_operator() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.remove_identity(JANE);
    fixture.create_request().await;
    let request = fixture.wait_for_request("IdentityNotFound").await;
    assert_eq!(conditions(&request), RECONCILING);
    let first_failure = failing_since(&request).unwrap();
    operator.stop().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    let _next = fixture.start_with(|settings| settings.grace_period = Duration::from_millis(1)).await;
    // The first status of the next operator is Stalled.
    let request = history.first("a status of the next operator", |_| true).await;
    assert_eq!((conditions(&request).as_str(), failing_since(&request)), (STALLED, Some(first_failure)));
}

#[tokio::test]
async fn failing_since_in_the_future_restarts_the_grace_period() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.create_request().await;
    let first_failure: jiff::Timestamp =
        failing_since(&fixture.wait_for_request("IdentityNotActive").await).unwrap().parse().unwrap();
    operator.stop().await;
    for (hours, expected) in [(1, RECONCILING), (-1, STALLED)] {
        let recorded = (first_failure + jiff::SignedDuration::from_hours(hours)).to_string();
        let edit = Patch::Merge(json!({"status": {"failingSince": recorded}}));
        fixture.requests().patch_status(REQUEST, &PatchParams::default(), &edit).await.unwrap();
        let history = History::of(&fixture.requests(), REQUEST).await;
        let next = fixture.start().await;
        fixture
            .change_request(json!({"postBindingRedirectURI": format!("https://app.example.com/{hours}")}))
            .await
            .unwrap();
        let observed = |request: &EnrollmentRequest| {
            request.status.as_ref().unwrap().observed_generation == request.metadata.generation
        };
        let request = history.first("a status of the current generation", observed).await;
        assert_eq!(
            (conditions(&request).as_str(), failing_since(&request) == Some(recorded.clone())),
            (expected, hours < 0),
            "{recorded}"
        );
        next.stop().await;
    }
    fixture.realm.set_identity_status(JANE, "active");
    let _last = fixture.start().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn outage_never_stalls() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_millis(1)).await;
    fixture.realm.pause();
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    fixture.wait_for_request("ServiceUnavailable").await;
    eventually("three checks fail", || fixture.calls(Operation::Check) >= 3 + 3).await;
    fixture.realm.resume();
    fixture.wait_for_request("LinkSent").await;
    let seen: Vec<_> = history.versions().iter().map(conditions).collect();
    assert!(seen.iter().any(|row| row == RECONCILING) && !seen.iter().any(|row| row.contains("Stalled")), "{seen:?}");
    assert!(history.versions().iter().all(|request| failing_since(request).is_none()));
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn blocked_second_attempt_stalls_and_keeps_the_first_link() {
    let (fixture, _operator) = Fixture::ready_with(short_delays).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let stalled = |request: &EnrollmentRequest| conditions(request) == STALLED;
    let request = wait_for(fixture.requests(), REQUEST, "is stalled", stalled).await;
    assert_eq!((reason(&request), job_of(&request)), ("IdentityNotActive", first.clone()));
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
    // With the first attempt requested again, nothing is pending.
    fixture.change_request(json!({"attempt": 1})).await.unwrap();
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((conditions(&request).as_str(), failing_since(&request)), ("Ready=True Succeeded=Unknown", None));
    assert_eq!(fixture.mailed(), [first]);
}

/// One expired token must neither change the conditions of a fleet nor write to all of it. A spec change that needs no
/// call is still observed.
#[tokio::test]
async fn failed_polls_of_settled_request_update_only_the_generation() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        short_delays(settings);
        settings.grace_period = Duration::from_millis(1);
    })
    .await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    fixture.realm.set_token("another");
    let checks = || fixture.calls(Operation::Check);
    let before = checks();
    eventually("three checks are refused", || checks() >= before + 3).await;
    let now = fixture.wait_for_request("LinkSent").await;
    assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);

    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    let request = fixture.wait_until_request_is_reconciled().await;
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
