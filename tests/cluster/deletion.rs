//! The deletion of a request revokes its links or orphans them, and always completes.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use serde_json::json;

use crate::fixture::{
    Fixture, History, REQUEST, conditions, eventually, job_of, message, message_of, wait_for, wait_until_deleted,
};

/// The grace period of these operators.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn deletion_revokes_the_link_and_a_new_request_sends_again() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.revocations()), ("REVOKED", vec![first.clone()]));
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
}

#[tokio::test]
async fn orphaned_link_stays_active_and_the_next_request_adopts_it() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"deletionPolicy": "Orphan"})).await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!((job_of(&request), fixture.mailed()), (job.clone(), vec![job]));
}

/// Lists lag. If the request were deleted too early, the next one of its name would not find the link. A list that
/// shows the link does not prove that the next list does.
#[tokio::test]
async fn orphaned_link_is_in_lists_before_finalizer_removal() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(4)).await;
    fixture.create_request_with(REQUEST, json!({"deletionPolicy": "Orphan"})).await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(3))).on(Operation::ListJobs).skip(1));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let request = history.first_with_reason("Deleting").await;
    assert_eq!(
        message(&request),
        "Keeping the finalizer for at most 4 s, so that the next request of this name finds this job in the list"
    );
    assert_eq!(conditions(&request), "Succeeded=Unknown Ready=True");
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!((job_of(&request), fixture.mailed(), fixture.revocations().len()), (job.clone(), vec![job], 0));
}

#[tokio::test]
async fn deletion_revokes_all_links_after_the_config_is_deleted() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    // The revocation of the earlier link is refused.
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let refused = |request: &_| !message_of(request, "RevokeRefused").is_empty();
    let second = job_of(&wait_for(fixture.requests(), REQUEST, "reports the refused revocation", refused).await);
    fixture.orphan_config().await;
    fixture.realm.refuse_revoke(None);
    // The revocation is retried at the resync interval, which is never due here, or after a restart.
    operator.stop().await;
    let _next = fixture.start().await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()), ("REVOKED", "REVOKED"));
    assert_eq!(fixture.mailed(), [first, second]);
}

#[tokio::test]
async fn refused_revocation_blocks_deletion_for_the_grace_period() {
    futures::future::join_all([401, 403].map(|status| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
        fixture.realm.refuse_revoke(status);
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        let history = History::of(&fixture.requests(), REQUEST).await;
        fixture.delete_request(REQUEST).await;
        let request = history.first_with_reason("DeletionBlocked").await;
        assert_eq!(
            conditions(&request).replace(" RevokeRefused=True", ""),
            "Succeeded=Unknown Ready=True",
            "conditions are kept during deletion"
        );
        let prefix = format!(
            "Deletion is waiting because the link of credential binding job {job} is not revoked: The link of \
             credential binding job {job} cannot be revoked: POST credential-binding-jobs/{{id}}:revoke was refused \
             ({status}): "
        );
        assert!(message(&request).starts_with(&prefix), "{}", message(&request));
        assert!(request.status.unwrap().failing_since.is_some());

        wait_until_deleted(fixture.requests(), REQUEST).await;
        let event = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await;
        assert!(event.note.contains(&job) && event.note.contains(&format!("({status})")), "{event:?}");
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("LINK_SENT", vec![job]));
    }))
    .await;
}

#[tokio::test]
async fn orphan_policy_unblocks_a_deletion() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.delete_request(REQUEST).await;
    fixture.wait_for_request("DeletionBlocked").await;
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}

#[tokio::test]
async fn missing_secret_blocks_deletion_for_the_grace_period_only() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    operator.stop().await;
    fixture.delete_secret().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let request = history.first_with_reason("DeletionBlocked").await;
    assert!(message(&request).contains("Secret beyond-identity does not exist"), "{}", message(&request));
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let event = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(event.note.contains(&job), "{event:?}");
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
}

#[tokio::test]
async fn revoked_token_blocks_deletion_for_the_grace_period_only() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_token("renewed");
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let request = history.first_with_reason("DeletionBlocked").await;
    assert!(message(&request).contains("(401)"), "{}", message(&request));
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let event = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(event.note.contains(&job), "{event:?}");
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}

#[tokio::test]
async fn send_in_doubt_blocks_deletion_for_the_grace_period_only() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob));
    fixture.create_request().await;
    eventually("the email is sent", || fixture.mailed().len() == 1).await;
    operator.kill().await;
    fixture.delete_secret().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.delete_request(REQUEST).await;
    let blocked = |request: &EnrollmentRequest| {
        request.metadata.deletion_timestamp.is_some()
            && message(request).contains("Secret beyond-identity does not exist")
    };
    let request = history.first("a blocked deletion", blocked).await;
    let sentence = "Deletion is waiting because it is not known whether the email was sent: ";
    assert!(message(&request).starts_with(sentence), "{}", message(&request));
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let event = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(
        event
            .note
            .starts_with("Finalizer removed after the grace period, but it is not known whether the email was sent. "),
        "{event:?}"
    );
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn secret_restored_in_time_lets_the_link_be_revoked() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    operator.stop().await;
    fixture.delete_secret().await;
    let _next = fixture.start().await;
    fixture.delete_request(REQUEST).await;
    fixture.wait_for_request("DeletionBlocked").await;
    fixture.create_secret(&fixture.token).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

#[tokio::test]
async fn request_deleted_before_its_send_sends_nothing() {
    let fixture = Fixture::new().await;
    fixture.create_config().await;
    fixture.realm.pause();
    let _operator = fixture.start().await;
    fixture.create_request().await;
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.realm.resume();
    fixture.wait_for_config("Available").await;
    let calls = || fixture.calls(Operation::CreateConfig);
    eventually("the configuration is created", || calls() == 1).await;
    assert_eq!((fixture.mailed().len(), fixture.calls(Operation::ListJobs)), (0, 0));
}
