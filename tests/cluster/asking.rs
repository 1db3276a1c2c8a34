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
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    place.realm.set_job_state(&job, "COMPLETE");
    let request = ask(place.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), place.calls(Operation::GetJob)), ("Complete", 1));

    let history = History::of(&place.requests(), REQUEST).await;
    let request = ask(place.requests(), REQUEST, "two").await;
    assert_eq!((reason(&request), place.calls(Operation::GetJob)), ("Complete", 2), "also when it is final");
    // What somebody did in the vendor's console.
    place.realm.set_job_state(&job, "REVOKED");
    let request = ask(place.requests(), REQUEST, "three").await;
    assert_eq!((reason(&request), place.calls(Operation::GetJob)), ("Revoked", 3));
    place.realm.set_job_state(&job, "COMPLETE");
    ask(place.requests(), REQUEST, "four").await;
    place.realm.remove_job(&job);
    let request = ask(place.requests(), REQUEST, "five").await;
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
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn a_request_that_is_stalled_is_tried_again() {
    let (place, _operator) = Fixture::ready_with(never_by_itself).await;
    place.realm.set_identity_status(JANE, "suspended");
    place.create_request().await;
    place.request_says("IdentityNotActive").await;
    let request = ask(place.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), conditions(&request).as_str()), ("IdentityNotActive", "Stalled=True Ready=False"));
    place.realm.set_identity_status(JANE, "active");
    let request = ask(place.requests(), REQUEST, "two").await;
    assert_eq!(reason(&request), "LinkSent");
    assert_eq!(place.mailed().len(), 1);
}

#[tokio::test]
async fn a_configuration_that_is_stalled_is_tried_again_and_one_that_somebody_changed_is_corrected() {
    let place = Fixture::new().await;
    let _operator = place.start_with(never_by_itself).await;
    let refusal = Reply::invalid(&[("config".to_owned(), "not today".to_owned())]);
    let refused = place.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateConfig));
    place.create_config().await;
    place.config_says("Refused").await;
    let config = ask(place.configs(), CONFIG, "one").await;
    assert_eq!((reason(&config), conditions(&config).as_str()), ("Refused", "Stalled=True Ready=False"));
    place.realm.remove_fault(refused);
    let config = ask(place.configs(), CONFIG, "two").await;
    assert_eq!(reason(&config), "Available");

    let id = config.status.unwrap().id.unwrap();
    let spec = place.realm.config(&id).unwrap();
    place.realm.edit_config(&id, |config| config.display_name = Some("somebody's idea".to_owned()));
    let history = History::of(&place.configs(), CONFIG).await;
    ask(place.configs(), CONFIG, "three").await;
    assert_eq!(place.realm.config(&id), Some(spec));
    eventually("the watch has told of all", || history.versions().len() == 2).await;
    assert_eq!(place.realm.configs().len(), 1);
}

#[tokio::test]
async fn a_look_that_the_service_did_not_answer_is_made_when_it_does() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    let down = place.realm.fault(Rule::new(Effect::unavailable()).on(Operation::GetJob));
    place.realm.set_job_state(&job, "COMPLETE");
    annotate(&place.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    eventually("it was tried twice", || place.realm.fired(down) >= 2).await;
    let request = place.requests().get(REQUEST).await.unwrap();
    assert_eq!((request.last_handled_reconcile_at(), reason(&request)), (None, "LinkSent"));
    place.realm.remove_fault(down);
    let handled = |request: &EnrollmentRequest| request.last_handled_reconcile_at() == Some("one");
    let request = wait_for(place.requests(), REQUEST, "is handled", handled).await;
    assert_eq!(reason(&request), "Complete");
}

#[tokio::test]
async fn a_revocation_that_was_refused_is_tried_again() {
    let (place, _operator) = Fixture::ready_with(never_by_itself).await;
    place.realm.refuse_revoke(403);
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    place.change_request(json!({"revoked": true})).await.unwrap();
    let refused = |request: &EnrollmentRequest| !said_by(request, REVOKE_REFUSED).is_empty();
    wait_for(place.requests(), REQUEST, "is refused", refused).await;
    place.realm.refuse_revoke(None);
    let request = ask(place.requests(), REQUEST, "one").await;
    assert_eq!((reason(&request), place.remote_state(&job).as_str()), ("Revoked", "REVOKED"));
    assert_eq!(place.revocations().len(), 2);
}

#[tokio::test]
async fn a_look_that_was_asked_for_in_a_pause_is_made_after_it_and_one_in_doubt_shortens_no_wait() {
    let (place, _operator) = Fixture::ready_with(|settings| settings.request_timeout = Duration::from_secs(8)).await;
    annotate(&place.configs(), CONFIG, PAUSED, "true").await;
    wait_for(place.configs(), CONFIG, "is paused", |config| conditions(config).contains("Paused=True")).await;
    annotate(&place.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;

    place.realm.fault(Rule::new(Effect::HappenLate(Duration::from_secs(6))).on(Operation::CreateJob).once());
    place.create_request().await;
    place.request_says("SendInDoubt").await;
    let request = ask(place.requests(), REQUEST, "one").await;
    assert_eq!(reason(&request), "SendInDoubt", "asked for before the email can have gone out");
    let request = place.request_says("LinkSent").await;
    assert_eq!(place.mailed(), [job_of(&request)]);

    let config = place.configs().get(CONFIG).await.unwrap();
    assert_eq!(config.last_handled_reconcile_at(), None);
    annotate(&place.configs(), CONFIG, PAUSED, None).await;
    let handled = |config: &beyond_identity_operator::api::AuthenticatorConfig| {
        config.last_handled_reconcile_at() == Some("one") && conditions(config) == "Ready=True"
    };
    wait_for(place.configs(), CONFIG, "has handled it", handled).await;
}
