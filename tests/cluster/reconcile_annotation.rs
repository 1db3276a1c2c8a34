//! `beyondidentity.dev/reconcile-requested-at`: any new value reconciles an object now, whatever it waits for. The
//! status records the value that was handled.

use std::time::Duration;

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::api::{EnrollmentRequest, HasStatus, PAUSED, RECONCILE_REQUESTED_AT};
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::Api;
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message_of, reason, wait_for,
    without_timers,
};

/// Requests a reconcile, and waits until it is handled.
async fn request_reconcile<K>(api: Api<K>, name: &str, value: &'static str) -> K
where
    K: HasStatus + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    annotate(&api, name, RECONCILE_REQUESTED_AT, value).await;
    let handled = move |object: &K| object.last_handled_reconcile_at() == Some(value);
    wait_for(api, name, format!("has handled {value}"), handled).await
}

#[tokio::test]
async fn settled_request_is_read_once_more_with_one_write() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&job, "COMPLETE");
    let request = request_reconcile(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Complete", 1));

    let history = History::of(&fixture.requests(), REQUEST).await;
    let request = request_reconcile(fixture.requests(), REQUEST, "two").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Complete", 2), "a final state is read too");
    // As after a revocation in the Admin Console.
    fixture.realm.set_job_state(&job, "REVOKED");
    let request = request_reconcile(fixture.requests(), REQUEST, "three").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Revoked", 3));
    fixture.realm.set_job_state(&job, "COMPLETE");
    request_reconcile(fixture.requests(), REQUEST, "four").await;
    fixture.realm.remove_job(&job);
    let request = request_reconcile(fixture.requests(), REQUEST, "five").await;
    assert_eq!(reason(&request), "Complete", "a complete request stays complete");
    let values = |version: &EnrollmentRequest| {
        (version.metadata.annotations.clone(), version.last_handled_reconcile_at().map(str::to_owned))
    };
    eventually("the watch has all versions", || {
        history.versions().last().is_some_and(|last| last.last_handled_reconcile_at() == Some("five"))
    })
    .await;
    let versions: Vec<_> = history.versions().iter().map(values).collect();
    let mut distinct = versions.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), 8, "each value is requested, and handled: {versions:#?}");
    // Two of them found a new state, which is written first.
    assert!(versions.len() <= 10, "{versions:#?}");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn stalled_request_is_retried() {
    let (fixture, _operator) = Fixture::ready_with(without_timers).await;
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.create_request().await;
    fixture.wait_for_request("IdentityNotActive").await;
    let request = request_reconcile(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), conditions(&request).as_str()), ("IdentityNotActive", "Stalled=True Ready=False"));
    fixture.realm.set_identity_status(JANE, "active");
    let request = request_reconcile(fixture.requests(), REQUEST, "two").await;
    assert_eq!(reason(&request), "LinkSent");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn stalled_configuration_is_retried_and_drift_is_corrected() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(without_timers).await;
    let refusal = Reply::invalid(&[("config".to_owned(), "not today".to_owned())]);
    let refused = fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateConfig));
    fixture.create_config().await;
    fixture.wait_for_config("Refused").await;
    let config = request_reconcile(fixture.configs(), CONFIG, "one").await;
    assert_eq!((reason(&config), conditions(&config).as_str()), ("Refused", "Stalled=True Ready=False"));
    fixture.realm.remove_fault(refused);
    let config = request_reconcile(fixture.configs(), CONFIG, "two").await;
    assert_eq!(reason(&config), "Available");

    let id = config.status.unwrap().id.unwrap();
    let spec = fixture.realm.config(&id).unwrap();
    fixture.realm.edit_config(&id, |config| config.display_name = Some("somebody's idea".to_owned()));
    let history = History::of(&fixture.configs(), CONFIG).await;
    request_reconcile(fixture.configs(), CONFIG, "three").await;
    assert_eq!(fixture.realm.config(&id), Some(spec));
    eventually("the watch has all versions", || history.versions().len() == 2).await;
    assert_eq!(fixture.realm.configs().len(), 1);
}

#[tokio::test]
async fn annotation_is_handled_only_after_a_successful_read() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::GetJob));
    fixture.realm.set_job_state(&job, "COMPLETE");
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    eventually("the job is read twice", || fixture.realm.fired(down) >= 2).await;
    let request = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!((request.last_handled_reconcile_at(), reason(&request)), (None, "LinkSent"));
    fixture.realm.remove_fault(down);
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("one");
    let request = wait_for(fixture.requests(), REQUEST, "has handled one", handled).await;
    assert_eq!(reason(&request), "Complete");
}

#[tokio::test]
async fn refused_revocation_is_retried() {
    let (fixture, _operator) = Fixture::ready_with(without_timers).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let refused = |request: &EnrollmentRequest| !message_of(request, REVOKE_REFUSED).is_empty();
    wait_for(fixture.requests(), REQUEST, "has RevokeRefused", refused).await;
    fixture.realm.refuse_revoke(None);
    let request = request_reconcile(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), fixture.remote_state(&job).as_str()), ("Revoked", "REVOKED"));
    assert_eq!(fixture.revocations().len(), 2);
}

#[tokio::test]
async fn annotation_waits_for_pause_and_does_not_shorten_doubt() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.request_timeout = Duration::from_secs(8)).await;
    annotate(&fixture.configs(), CONFIG, PAUSED, "true").await;
    wait_for(fixture.configs(), CONFIG, "is paused", |config| conditions(config).contains("Paused=True")).await;
    annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;

    fixture.realm.fault(Rule::new(Effect::HappenLate(Duration::from_secs(6))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;
    let request = request_reconcile(fixture.requests(), REQUEST, "one").await;
    assert_eq!(reason(&request), "SendInDoubt", "the call may still be carried out");
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);

    let config = fixture.configs().get(CONFIG).await.unwrap();
    assert_eq!(config.last_handled_reconcile_at(), None);
    annotate(&fixture.configs(), CONFIG, PAUSED, None).await;
    let handled = |config: &beyond_identity_operator::api::AuthenticatorConfig| {
        config.last_handled_reconcile_at() == Some("one") && conditions(config) == "Ready=True"
    };
    wait_for(fixture.configs(), CONFIG, "has handled one", handled).await;
}
