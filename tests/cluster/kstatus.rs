//! The kstatus of each version of each object, by the library that Flux uses: what a tool that waits for health sees. The
//! health in Argo CD is the same, except for a paused object.

use std::process::Command;
use std::time::Duration;

use beyond_identity_operator::api::{HasStatus, PAUSED};
use harness::argocd;
use harness::control_plane::{KSTATUS, locate};
use harness::process::output_of;
use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use serde::Serialize;
use serde_json::{Value, json};

use crate::argocd::health_script;
use crate::fixture::{
    CONFIG, Fixture, History, OWN, REQUEST, annotate, conditions, eventually, is_ready, job_of, patch, poll_often,
    shared_simulator,
};

const STALLED: &str = "Stalled=True Ready=False";

/// How the library judges these versions of an object. Repetitions are left out. Each Current version is Ready, and its
/// status is that of its spec.
fn judged<K: Serialize + HasStatus>(versions: &[K]) -> Vec<String> {
    let [program] = locate([&KSTATUS]).unwrap();
    let objects: Vec<Value> = versions.iter().map(|version| json!(version)).collect();
    let lines: Vec<_> = objects.iter().map(Value::to_string).collect();
    let output = output_of(Command::new(program), &lines.join("\n")).unwrap();
    let mut judged: Vec<_> = output.lines().map(str::to_owned).collect();
    assert_eq!(judged.len(), versions.len());
    for ((version, object), judged) in versions.iter().zip(&objects).zip(&judged) {
        let is_of_its_spec = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        assert!(judged != "Current" || (is_ready(version) && is_of_its_spec), "Current: {object}");
        let health = argocd::health(&health_script(), object).unwrap().status;
        let is_paused =
            object["metadata"]["annotations"][PAUSED] == "true" || conditions(version).contains("Paused=True");
        let expected = match &**judged {
            _ if is_paused && health == "Suspended" => "Suspended",
            "Current" if !is_paused => "Healthy",
            "Failed" if !is_paused => "Degraded",
            _ => "Progressing",
        };
        assert_eq!(health, expected, "{judged}: {object}");
    }
    judged.dedup();
    judged
}

/// A fixture whose grace period is short, and whose jobs are polled often.
async fn ready() -> (Fixture, crate::fixture::Operator) {
    Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.grace_period = Duration::from_secs(2);
        settings.resync_interval = Duration::from_secs(1);
    })
    .await
}

#[tokio::test]
async fn object_that_nobody_reconciled_is_in_progress() {
    let fixture = Fixture::new().await;
    let (config, request) = (fixture.create_config().await, fixture.create_request().await);
    assert_eq!(judged(&[config]), ["InProgress"]);
    assert_eq!(judged(&[request]), ["InProgress"]);
}

#[tokio::test]
async fn sent_link_is_current_whatever_the_person_does() {
    let (fixture, _operator) = ready().await;
    let states = [
        ("LINK_SENT", "LinkSent", &["InProgress", "Current"][..]),
        ("LINK_OPENED", "LinkOpened", &["InProgress", "Current"]),
        ("SOMETHING_NEW", "UnknownState", &["InProgress", "Current"]),
        ("COMPLETE", "Complete", &["InProgress", "Current"]),
        ("EXPIRED", "LinkExpired", &["InProgress", "Current"]),
        ("REVOKED", "Revoked", &["InProgress", "Current"]),
        ("FAILED_TO_SEND", "FailedToSend", &["InProgress", "Current", "Failed"]),
        ("gone", "JobNotFound", &["InProgress", "Current", "Failed"]),
    ];
    for (state, reason, expected) in states {
        let name = &*state.to_lowercase().replace('_', "-");
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        let history = History::of(&fixture.requests(), name).await;
        fixture.create_request_of(name, name).await;
        let job = job_of(&history.first_with_reason("LinkSent").await);
        match state {
            "gone" => fixture.realm.remove_job(&job),
            state => fixture.realm.set_job_state(&job, state),
        }
        history.first_with_reason(reason).await;
        assert_eq!(judged(&history.versions()), expected, "{state}");
    }
}

#[tokio::test]
async fn request_without_an_email_is_judged_by_what_it_waits_for() {
    let (fixture, _operator) = ready().await;
    let enrolled = Identity::active("enrolled", "someone@example.com").enrollment_status(Some("ENROLLED"));
    fixture.realm.add_identity(enrolled);
    fixture.realm.add_identity(Identity::active("revoked", "someone@example.com"));
    fixture.realm.add_identity(Identity::active("refused", "someone@example.com"));
    let refused = Reply::error(400, "bad_request", "invalid request");
    fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::CreateJob));
    for (name, spec, reason, expected) in [
        ("enrolled", json!({}), "AlreadyEnrolled", ["InProgress", "Current"]),
        ("revoked", json!({"revoked": true}), "Revoked", ["InProgress", "Current"]),
        ("refused", json!({}), "Refused", ["InProgress", "Failed"]),
        ("nobody", json!({}), "IdentityNotFound", ["InProgress", "Failed"]),
    ] {
        let history = History::of(&fixture.requests(), name).await;
        let mut spec = spec;
        spec["identity"] = json!({"id": name});
        fixture.create_request_with(name, spec).await;
        history.first_with_reason(reason).await;
        if expected[1] == "Failed" {
            history.first("stalled", |request| conditions(request) == STALLED).await;
        }
        assert_eq!(judged(&history.versions()), expected, "{name}");
    }
}

#[tokio::test]
async fn outage_is_in_progress_for_as_long_as_it_takes() {
    let (fixture, _operator) = ready().await;
    fixture.realm.pause();
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    history.first_with_reason("ServiceUnavailable").await;
    let started = std::time::Instant::now();
    eventually("the grace period is over", || started.elapsed() > Duration::from_secs(3)).await;
    assert_eq!(judged(&history.versions()), ["InProgress"]);
    fixture.realm.resume();
    history.first_with_reason("LinkSent").await;
    assert_eq!(judged(&history.versions()), ["InProgress", "Current"]);
}

#[tokio::test]
async fn pause_changes_nothing_until_the_spec_changes_and_a_deletion_is_terminating() {
    let (fixture, _operator) = ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    history.first_with_reason("LinkSent").await;
    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    history.first("paused", |request| conditions(request).contains("Paused=True")).await;
    assert_eq!(judged(&history.versions()), ["InProgress", "Current"]);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    history.first("changed", |request| request.metadata.generation == Some(2)).await;
    assert_eq!(judged(&history.versions()), ["InProgress", "Current", "InProgress"]);
    fixture.delete_request(REQUEST).await;
    history.first("deleted", |request| request.metadata.deletion_timestamp.is_some()).await;
    assert_eq!(judged(&history.versions()).last().unwrap(), "Terminating");
}

#[tokio::test]
async fn configuration_and_provider_config_fail_after_the_grace_period() {
    let fixture = Fixture::bare(shared_simulator()).await;
    let providers = History::of(&fixture.own_providers(), OWN).await;
    let configs = History::of(&fixture.configs(), CONFIG).await;
    assert_eq!(judged(&[fixture.create_own_provider().await]), ["InProgress"]);
    let _operator = fixture.start_with(|settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_own_config(CONFIG).await;
    providers.first("stalled", |provider| conditions(provider) == STALLED).await;
    configs.first("stalled", |config| conditions(config) == STALLED).await;
    assert_eq!(judged(&providers.versions()), ["InProgress", "Failed"]);
    assert_eq!(judged(&configs.versions()), ["InProgress", "Failed"]);

    fixture.set_own_token(&fixture.token).await;
    providers.first("ready", is_ready).await;
    configs.first("ready", is_ready).await;
    assert_eq!(judged(&providers.versions()).last().unwrap(), "Current");
    assert_eq!(judged(&configs.versions()).last().unwrap(), "Current");
    // A newer spec is in progress until it is checked.
    let changed = json!({"spec": {"enrollment": {"maxSendsPerHour": 7}}});
    let changed = patch(&fixture.own_providers(), OWN, changed).await.unwrap();
    assert_eq!(judged(&[changed]), ["InProgress"]);
}
