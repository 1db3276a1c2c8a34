//! `beyondidentity.dev/reconcile-requested-at`: any new value has an object looked at now, whatever it waits for, and what
//! was handled stands in its status.

use std::time::Duration;

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::api::{EnrollmentRequest, HasStatus, PAUSED, RECONCILE_REQUESTED_AT};
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::Api;
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, never_by_itself, reason,
    said_by, wait_for,
};

/// Asks for a look, and waits until it was made.
async fn ask<K>(api: Api<K>, name: &str, value: &'static str) -> K
where
    K: HasStatus + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    annotate(&api, name, RECONCILE_REQUESTED_AT, value).await;
    let handled = move |object: &K| object.last_handled_reconcile_at() == Some(value);
    wait_for(api, name, format!("has handled {value}"), handled).await
}

#[tokio::test]
async fn what_is_settled_is_read_once_more_in_one_write() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.set_job_state(&job, "COMPLETE");
    let request = ask(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Complete", 1));

    let history = History::of(&fixture.requests(), REQUEST).await;
    let request = ask(fixture.requests(), REQUEST, "two").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Complete", 2), "also when it is final");
    // What somebody did in the vendor's console.
    fixture.realm.set_job_state(&job, "REVOKED");
    let request = ask(fixture.requests(), REQUEST, "three").await;
    assert_eq!((reason(&request), fixture.calls(Operation::GetJob)), ("Revoked", 3));
    fixture.realm.set_job_state(&job, "COMPLETE");
    ask(fixture.requests(), REQUEST, "four").await;
    fixture.realm.remove_job(&job);
    let request = ask(fixture.requests(), REQUEST, "five").await;
    assert_eq!(reason(&request), "Complete", "a passkey stays a passkey");
    let values = |version: &EnrollmentRequest| {
        (version.metadata.annotations.clone(), version.last_handled_reconcile_at().map(str::to_owned))
    };
    eventually("the watch has told of all", || {
        history.versions().last().is_some_and(|last| last.last_handled_reconcile_at() == Some("five"))
    })
    .await;
    let versions: Vec<_> = history.versions().iter().map(values).collect();
    let mut turns = versions.clone();
    turns.dedup();
    assert_eq!(turns.len(), 8, "each was asked for, and handled: {versions:#?}");
    // Two of them brought news, which is written down first.
    assert!(versions.len() <= 10, "{versions:#?}");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_stalled_is_tried_again() {
    let (fixture, _operator) = Fixture::ready_with(never_by_itself).await;
    fixture.realm.set_identity_status(JANE, "suspended");
    fixture.create_request().await;
    fixture.request_says("IdentityNotActive").await;
    let request = ask(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), conditions(&request).as_str()), ("IdentityNotActive", "Stalled=True Ready=False"));
    fixture.realm.set_identity_status(JANE, "active");
    let request = ask(fixture.requests(), REQUEST, "two").await;
    assert_eq!(reason(&request), "LinkSent");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_that_is_stalled_is_tried_again_and_one_that_somebody_changed_is_corrected() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(never_by_itself).await;
    let refusal = Reply::invalid(&[("config".to_owned(), "not today".to_owned())]);
    let refused = fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateConfig));
    fixture.create_config().await;
    fixture.config_says("Refused").await;
    let config = ask(fixture.configs(), CONFIG, "one").await;
    assert_eq!((reason(&config), conditions(&config).as_str()), ("Refused", "Stalled=True Ready=False"));
    fixture.realm.remove_fault(refused);
    let config = ask(fixture.configs(), CONFIG, "two").await;
    assert_eq!(reason(&config), "Available");

    let id = config.status.unwrap().id.unwrap();
    let spec = fixture.realm.config(&id).unwrap();
    fixture.realm.edit_config(&id, |config| config.display_name = Some("somebody's idea".to_owned()));
    let history = History::of(&fixture.configs(), CONFIG).await;
    ask(fixture.configs(), CONFIG, "three").await;
    assert_eq!(fixture.realm.config(&id), Some(spec));
    eventually("the watch has told of all", || history.versions().len() == 2).await;
    assert_eq!(fixture.realm.configs().len(), 1);
}

#[tokio::test]
async fn a_look_that_the_service_did_not_answer_is_made_when_it_does() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::GetJob));
    fixture.realm.set_job_state(&job, "COMPLETE");
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    eventually("it was tried twice", || fixture.realm.fired(down) >= 2).await;
    let request = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!((request.last_handled_reconcile_at(), reason(&request)), (None, "LinkSent"));
    fixture.realm.remove_fault(down);
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("one");
    let request = wait_for(fixture.requests(), REQUEST, "is handled", handled).await;
    assert_eq!(reason(&request), "Complete");
}

#[tokio::test]
async fn a_revocation_that_was_refused_is_tried_again() {
    let (fixture, _operator) = Fixture::ready_with(never_by_itself).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let refused = |request: &EnrollmentRequest| !said_by(request, REVOKE_REFUSED).is_empty();
    wait_for(fixture.requests(), REQUEST, "is refused", refused).await;
    fixture.realm.refuse_revoke(None);
    let request = ask(fixture.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), fixture.remote_state(&job).as_str()), ("Revoked", "REVOKED"));
    assert_eq!(fixture.revocations().len(), 2);
}

#[tokio::test]
async fn a_look_that_was_asked_for_in_a_pause_is_made_after_it_and_one_in_doubt_shortens_no_wait() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.request_timeout = Duration::from_secs(8)).await;
    annotate(&fixture.configs(), CONFIG, PAUSED, "true").await;
    wait_for(fixture.configs(), CONFIG, "is paused", |config| conditions(config).contains("Paused=True")).await;
    annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;

    fixture.realm.fault(Rule::new(Effect::HappenLate(Duration::from_secs(6))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    fixture.request_says("SendInDoubt").await;
    let request = ask(fixture.requests(), REQUEST, "one").await;
    assert_eq!(reason(&request), "SendInDoubt", "asked for before the email can have gone out");
    let request = fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);

    let config = fixture.configs().get(CONFIG).await.unwrap();
    assert_eq!(config.last_handled_reconcile_at(), None);
    annotate(&fixture.configs(), CONFIG, PAUSED, None).await;
    let handled = |config: &beyond_identity_operator::api::AuthenticatorConfig| {
        config.last_handled_reconcile_at() == Some("one") && conditions(config) == "Ready=True"
    };
    wait_for(fixture.configs(), CONFIG, "has handled it", handled).await;
}
