//! Several links of one request: each is revoked separately, and a refused revocation does not block another one.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::api::RECONCILE_REQUESTED_AT;
use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Reply, Rule};
use serde_json::json;

use crate::fixture::{
    Fixture, JANE, REQUEST, annotate, conditions, eventually, job_of, message_of, reason, wait_for, wait_until_deleted,
};

/// The short grace period.
const GRACE: Duration = Duration::from_secs(3);

fn short_grace(settings: &mut Settings) {
    settings.grace_period = GRACE;
}

/// Lets `reply` answer the revocation of this job. Its link stays active.
fn answer(fixture: &Fixture, job: &str, reply: Reply) {
    fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(Operation::RevokeJob).about(job));
}

fn conflict(job: &str) -> Reply {
    Reply::resource_error(409, "conflict", "it cannot be revoked", "CredentialBindingJob", job)
}

/// A response that accepts the revocation, with the job in its earlier state.
fn accepted_without_effect(fixture: &Fixture, job: &str) -> Reply {
    let (tenant, realm) = (fixture.realm.tenant(), fixture.realm.realm());
    let mut shown = serde_json::to_value(fixture.realm.job(job).unwrap()).unwrap();
    shown["tenant_id"] = json!(tenant);
    shown["realm_id"] = json!(realm);
    Reply::json(200, &shown)
}

/// Waits until this attempt is concluded, and returns its job.
async fn sent(fixture: &Fixture, attempt: i64) -> String {
    let concluded = move |request: &EnrollmentRequest| {
        request.status.as_ref().is_some_and(|status| status.attempt == Some(attempt) && status.send.is_none())
    };
    job_of(&wait_for(fixture.requests(), REQUEST, format!("has concluded attempt {attempt}"), concluded).await)
}

/// Sends two attempts of Jane's request. `reply` answers the revocation of the first link.
async fn two_links(fixture: &Fixture, reply: impl FnOnce(&str) -> Reply) -> [String; 2] {
    fixture.create_request().await;
    let first = sent(fixture, 1).await;
    answer(fixture, &first, reply(&first));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    [first, sent(fixture, 2).await]
}

/// Waits until the condition RevokeRefused names all of `named`, and none of `not_named`.
async fn wait_for_refused(fixture: &Fixture, named: &[&str], not_named: &[&str]) -> EnrollmentRequest {
    let what = format!("names {named:?} in {REVOKE_REFUSED}, and not {not_named:?}");
    wait_for(fixture.requests(), REQUEST, what, |request: &EnrollmentRequest| {
        let message = message_of(request, REVOKE_REFUSED);
        named.iter().all(|job| message.contains(job)) && !not_named.iter().any(|job| message.contains(job))
    })
    .await
}

#[tokio::test]
async fn deletion_revokes_current_link_despite_a_refused_earlier_one() {
    let (fixture, _operator) = Fixture::ready_with(short_grace).await;
    let [first, second] = two_links(&fixture, conflict).await;
    wait_for_refused(&fixture, &[&first], &[&second]).await;
    fixture.delete_request(REQUEST).await;
    eventually("the current link is revoked", || fixture.remote_state(&second) == "REVOKED").await;
    let request = fixture.requests().get(REQUEST).await.expect("the request waits for the earlier link").metadata;
    assert!(request.deletion_timestamp.is_some());
    fixture.wait_for_request("DeletionBlocked").await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&first) && !note.contains(&second), "{note}");
    assert_eq!(fixture.remote_state(&first), "LINK_SENT");
    assert_eq!(fixture.revocations().iter().filter(|job| **job == second).count(), 1);
}

#[tokio::test]
async fn each_refused_link_is_named_and_older_links_are_revoked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = sent(&fixture, 1).await;
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let second = sent(&fixture, 2).await;
    fixture.change_request(json!({"attempt": 3})).await.unwrap();
    let third = sent(&fixture, 3).await;
    let request = wait_for_refused(&fixture, &[&first, &second], &[&third]).await;
    assert_eq!(
        (conditions(&request).as_str(), reason(&request)),
        ("Ready=True Succeeded=Unknown RevokeRefused=True", "LinkSent")
    );

    fixture.realm.refuse_revoke(None);
    answer(&fixture, &second, conflict(&second));
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    eventually("the older link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
    wait_for_refused(&fixture, &[&second], &[&first, &third]).await;
    assert_eq!((fixture.remote_state(&second), fixture.remote_state(&third)), ("LINK_SENT".into(), "LINK_SENT".into()));
    assert_eq!(fixture.mailed(), [first, second, third]);
}

#[tokio::test]
async fn failing_revocation_does_not_block_other_revocations() {
    let (fixture, _operator) = Fixture::ready_with(short_grace).await;
    let [first, second] = two_links(&fixture, |_| Reply::internal_error()).await;
    answer(&fixture, &second, Reply::internal_error());
    fixture.change_request(json!({"attempt": 3})).await.unwrap();
    let third = sent(&fixture, 3).await;
    fixture.realm.clear_faults();
    answer(&fixture, &second, Reply::internal_error());
    eventually("the oldest link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
    assert_eq!(fixture.remote_state(&second), "LINK_SENT");

    fixture.delete_request(REQUEST).await;
    eventually("the current link is revoked", || fixture.remote_state(&third) == "REVOKED").await;
    // The grace period does not apply to an outage.
    fixture.wait_for_request("ServiceUnavailable").await;
    fixture.realm.clear_faults();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&second), "REVOKED");
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    assert!(!events.iter().any(|event| event.turn == "Warning RemoteResourceRetained"), "{events:#?}");
}

#[tokio::test]
async fn ineffective_revocations_are_named_after_the_settle_time() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let mut jobs = vec![sent(&fixture, 1).await];
    for attempt in [2, 3] {
        let job = jobs.last().unwrap();
        answer(&fixture, job, accepted_without_effect(&fixture, job));
        fixture.change_request(json!({"attempt": attempt})).await.unwrap();
        jobs.push(sent(&fixture, attempt).await);
    }
    // One reconcile retries both before the settle time of either is over.
    fixture.annotate_request(REQUEST, "one").await;
    let [first, second, third] = &jobs[..] else { panic!("expected three jobs") };
    let request = wait_for_refused(&fixture, &[first, second], &[third]).await;
    let message = message_of(&request, REVOKE_REFUSED);
    assert_eq!(
        message.matches("the API accepted the revocation, but the link is still active").count(),
        2,
        "{message}"
    );
    assert_eq!(reason(&request), "LinkSent", "the current link is not affected");
    fixture.realm.clear_faults();
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, "one").await;
    wait_for(fixture.requests(), REQUEST, "has no RevokeRefused condition", |request: &EnrollmentRequest| {
        message_of(request, REVOKE_REFUSED).is_empty()
    })
    .await;
    let states = jobs.iter().map(|job| fixture.remote_state(job)).collect::<Vec<_>>();
    assert_eq!(states, ["REVOKED", "REVOKED", "LINK_SENT"]);
}

#[tokio::test]
async fn earlier_link_is_revoked_while_next_attempt_is_blocked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = sent(&fixture, 1).await;
    let calls = || fixture.calls(Operation::CreateJob);
    let slow = Effect::DelayAnswer(Duration::from_secs(2));
    fixture.realm.fault(Rule::new(slow).on(Operation::CreateJob).once());
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("the second send has started", || calls() == 2).await;
    fixture.change_request(json!({"attempt": 3})).await.unwrap();
    fixture.realm.set_identity_status(JANE, "suspended");
    let request = fixture.wait_for_request("IdentityNotActive").await;
    let second = job_of(&request);
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(2));
    eventually("the first link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
    fixture.wait_for_request("IdentityNotActive").await;
    assert_eq!((fixture.remote_state(&second).as_str(), fixture.mailed()), ("LINK_SENT", vec![first, second]));
}

/// RevokeRefused is removed when the link expires.
#[tokio::test]
async fn expired_link_clears_revoke_refused_and_unblocks_deletion() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.create_request().await;
    let job = sent(&fixture, 1).await;
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    wait_for_refused(&fixture, &[&job], &[]).await;
    fixture.realm.set_job_state(&job, "EXPIRED");
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(request.status.unwrap().state.as_deref(), Some("EXPIRED"));
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;

    // The same when the link expires while the deletion waits. The grace period of ten minutes is not over.
    fixture.realm.refuse_revoke(None);
    fixture.create_request().await;
    let job = sent(&fixture, 1).await;
    fixture.realm.refuse_revoke(403);
    fixture.delete_request(REQUEST).await;
    fixture.wait_for_request("DeletionBlocked").await;
    fixture.realm.set_job_state(&job, "EXPIRED");
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    assert!(!events.iter().any(|event| event.turn == "Warning RemoteResourceRetained"), "{events:#?}");
}

#[tokio::test]
async fn deletion_completes_at_once_if_the_identity_was_removed() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = sent(&fixture, 1).await;
    fixture.realm.remove_job(&job);
    fixture.realm.remove_identity(JANE);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    assert!(!events.iter().any(|event| event.turn.starts_with("Warning")), "{events:#?}");
    assert_eq!(fixture.mailed(), [job]);
}
