//! A request that is deleted takes its links with it, or leaves them, and never hangs for good.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use serde_json::json;

use crate::fixture::{
    Fixture, History, REQUEST, conditions, eventually, job_of, message, said_by, wait_for, wait_until_gone,
};

/// How long these operators wait for what somebody would have to mend.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_deleted_request_takes_its_link_with_it_and_the_next_of_that_name_sends_anew() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.revocations()), ("REVOKED", vec![first.clone()]));
    fixture.create_request().await;
    let request = fixture.request_says("LinkSent").await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
}

#[tokio::test]
async fn an_orphaned_link_lives_and_the_next_of_that_name_adopts_it() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"deletionPolicy": "Orphan"})).await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
    fixture.create_request().await;
    let request = fixture.request_says("Adopted").await;
    assert_eq!((job_of(&request), fixture.mailed()), (job.clone(), vec![job]));
}

/// Lists lag: gone too early, the request would be made again without a trace of its link. That one list shows it says
/// nothing about the next one.
#[tokio::test]
async fn an_orphaned_link_is_shown_by_every_list_before_its_request_goes() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(4)).await;
    fixture.create_request_with(REQUEST, json!({"deletionPolicy": "Orphan"})).await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(3))).on(Operation::ListJobs).skip(1));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let request = history.says("Deleting").await;
    assert_eq!(message(&request), "Waiting until the last job is visible in job lists");
    assert_eq!(conditions(&request), "Succeeded=Unknown Ready=True");
    wait_until_gone(fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = fixture.request_says("Adopted").await;
    assert_eq!((job_of(&request), fixture.mailed(), fixture.revocations().len()), (job.clone(), vec![job], 0));
}

#[tokio::test]
async fn all_links_of_a_request_go_with_it_also_when_its_configuration_went_first() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    // The earlier link could not be revoked when it should have been.
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let refused = |request: &_| !said_by(request, "RevokeRefused").is_empty();
    let second = job_of(&wait_for(fixture.requests(), REQUEST, "says that it is refused", refused).await);
    fixture.let_config_go().await;
    fixture.realm.refuse_revoke(None);
    // It is tried again at the resync interval, which never comes here, or by the next operator.
    operator.stop().await;
    let _next = fixture.start().await;
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()), ("REVOKED", "REVOKED"));
    assert_eq!(fixture.mailed(), [first, second]);
}

#[tokio::test]
async fn a_refused_revocation_blocks_the_deletion_and_after_the_grace_period_what_is_left_is_said() {
    futures::future::join_all([401, 403].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
        fixture.realm.refuse_revoke(status);
        fixture.create_request().await;
        let job = job_of(&fixture.request_says("LinkSent").await);
        let history = History::of(&fixture.requests(), REQUEST).await;
        fixture.delete_request(REQUEST).await;
        let request = history.says("DeletionBlocked").await;
        assert_eq!(
            conditions(&request).replace(" RevokeRefused=True", ""),
            "Succeeded=Unknown Ready=True",
            "being deleted, it keeps its row"
        );
        let said = format!(
            "Deletion is waiting because the link of credential binding job {job} is not revoked: The link of \
             credential binding job {job} cannot be revoked: POST credential-binding-jobs/{{id}}:revoke was refused \
             ({status}): "
        );
        assert!(message(&request).starts_with(&said), "{}", message(&request));
        assert!(request.status.unwrap().failing_since.is_some());

        wait_until_gone(fixture.requests(), REQUEST).await;
        let told = fixture.told(REQUEST, "Warning RemoteResourceRetained").await;
        assert!(told.note.contains(&job) && told.note.contains(&format!("({status})")), "{told:?}");
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("LINK_SENT", vec![job]));
    }))
    .await;
}

#[tokio::test]
async fn orphan_is_the_way_out_of_a_deletion_that_is_blocked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    fixture.request_says("DeletionBlocked").await;
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}

#[tokio::test]
async fn a_secret_that_a_process_has_never_seen_blocks_a_deletion_for_the_grace_period_only() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    operator.stop().await;
    fixture.delete_secret().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let request = history.says("DeletionBlocked").await;
    assert!(message(&request).contains("Secret beyond-identity does not exist"), "{}", message(&request));
    wait_until_gone(fixture.requests(), REQUEST).await;
    let told = fixture.told(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(told.note.contains(&job), "{told:?}");
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
}

#[tokio::test]
async fn nor_does_a_send_in_doubt_that_nobody_can_settle_any_more_hold_up_a_deletion_for_good() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob));
    fixture.create_request().await;
    eventually("the email went out", || fixture.mailed().len() == 1).await;
    operator.kill().await;
    fixture.delete_secret().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let blocked = |request: &EnrollmentRequest| {
        request.metadata.deletion_timestamp.is_some()
            && message(request).contains("Secret beyond-identity does not exist")
    };
    let request = history.first("what blocks the deletion", blocked).await;
    let sentence = "Deletion is waiting because it is not known whether the email was sent: ";
    assert!(message(&request).starts_with(sentence), "{}", message(&request));
    wait_until_gone(fixture.requests(), REQUEST).await;
    let told = fixture.told(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(
        told.note
            .starts_with("Finalizer removed after the grace period, but it is not known whether the email was sent: "),
        "{told:?}"
    );
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn a_secret_that_comes_back_in_time_lets_the_link_be_revoked() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    operator.stop().await;
    fixture.delete_secret().await;
    let _next = fixture.start().await;
    fixture.delete_request(REQUEST).await;
    fixture.request_says("DeletionBlocked").await;
    fixture.create_secret(&fixture.token).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

#[tokio::test]
async fn nothing_is_sent_for_a_request_that_was_deleted_before_its_turn() {
    let fixture = Fixture::new().await;
    fixture.create_config().await;
    fixture.realm.pause();
    let _operator = fixture.start().await;
    fixture.create_request().await;
    fixture.request_says("AuthenticatorConfigNotReady").await;
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    fixture.realm.resume();
    fixture.config_says("Available").await;
    let calls = || fixture.calls(Operation::CreateConfig);
    eventually("the configuration is there", || calls() == 1).await;
    assert_eq!((fixture.mailed().len(), fixture.calls(Operation::ListJobs)), (0, 0));
}
