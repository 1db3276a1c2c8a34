//! Annotations that request a resend or a revocation. Each names its job, and acts once.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, History, JANE, Operator, REQUEST, conditions, eventually, job_of, message, patch, poll_often, reason,
    wait_for,
};

const RESEND: &str = "beyondidentity.dev/resend";
const REVOKE: &str = "beyondidentity.dev/revoke";

/// Sets an annotation of Jane's request. Null removes it.
async fn annotate(fixture: &Fixture, annotation: &str, value: impl Into<Value>) {
    let annotations = json!({"metadata": {"annotations": {annotation: value.into()}}});
    patch(&fixture.requests(), REQUEST, annotations).await.unwrap();
}

/// A fixture with Jane's request, whose link has expired, and its job.
async fn expired() -> (Fixture, Operator, String) {
    let (fixture, operator) = Fixture::ready_with(poll_often).await;
    let job = expire(&fixture).await;
    (fixture, operator, job)
}

/// Creates Jane's request, and lets its link expire. Returns the job.
async fn expire(fixture: &Fixture) -> String {
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&job, "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    job
}

/// Waits until the request has sent another email than that of `job`.
async fn sent_after(fixture: &Fixture, job: &str) -> EnrollmentRequest {
    let job = job.to_owned();
    wait_for(fixture.requests(), REQUEST, format!("has sent again after {job}"), move |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.send.is_none() && status.job_id.as_ref().is_some_and(|id| *id != job)
    })
    .await
}

/// Raises the attempt, and waits for its email. By then all earlier changes are reconciled, and must have sent nothing.
async fn assert_nothing_else_is_sent(fixture: &Fixture, emails: usize) -> EnrollmentRequest {
    let before = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!(fixture.mailed().len(), emails);
    let attempt = before.status.as_ref().unwrap().attempt.unwrap() + 1;
    fixture.change_request(json!({"attempt": attempt})).await.unwrap();
    let request = sent_after(fixture, &job_of(&before)).await;
    assert_eq!(fixture.mailed().len(), emails + 1);
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(attempt));
    request
}

#[tokio::test]
async fn resend_sends_once_and_keeps_the_attempt() {
    let (fixture, _operator, first) = expired().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    let request = sent_after(&fixture, &first).await;
    let second = job_of(&request);
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, request.spec.attempt), (Some(1), 1));
    let earlier: Vec<_> = status.previous_jobs.iter().map(|job| (job.id.as_str(), job.state.as_deref())).collect();
    assert_eq!(earlier, [(first.as_str(), Some("EXPIRED"))]);
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=Unknown", "LinkSent"));
    let record = history.first("the record", |version| version.status.as_ref().unwrap().send.is_some()).await;
    assert_eq!(conditions(&record), "Reconciling=True Ready=Unknown");
    let send = record.status.unwrap().send.unwrap();
    assert_eq!((send.attempt, send.resend_of.as_deref()), (1, Some(first.as_str())));

    // The same annotation is removed and set again. It names a job that is no longer the current one.
    annotate(&fixture, RESEND, Value::Null).await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.realm.set_job_state(&second, "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    annotate(&fixture, RESEND, format!("{second}/LINK_SENT")).await;
    let request = assert_nothing_else_is_sent(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first, second, job_of(&request)]);
}

#[tokio::test]
async fn resend_replaces_expired_failed_and_revoked_links() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let mut jobs = vec![job_of(&fixture.wait_for_request("LinkSent").await)];
    for (state, reason) in [("EXPIRED", "LinkExpired"), ("FAILED_TO_SEND", "FailedToSend"), ("REVOKED", "Revoked")] {
        let job = jobs.last().unwrap().clone();
        fixture.realm.set_job_state(&job, state);
        fixture.wait_for_request(reason).await;
        annotate(&fixture, RESEND, format!("{job}/{state}")).await;
        jobs.push(job_of(&sent_after(&fixture, &job).await));
        assert_eq!(fixture.mailed(), jobs, "{state}");
    }
    let request = fixture.requests().get(REQUEST).await.unwrap();
    let earlier: Vec<_> = request.status.unwrap().previous_jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(earlier, jobs.iter().rev().skip(1).cloned().collect::<Vec<_>>());
    assert_eq!(fixture.revocations().len(), 0, "links that are not active are not revoked");
}

#[tokio::test]
async fn early_or_malformed_resend_has_no_effect() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    for value in [format!("{job}/LINK_SENT"), job.clone(), "/".to_owned(), format!("{job}/EXPIRED/EXPIRED")] {
        annotate(&fixture, RESEND, value).await;
    }
    annotate(&fixture, RESEND, format!("{job}/LINK_SENT")).await;
    fixture.realm.set_job_state(&job, "EXPIRED");
    let request = fixture.wait_for_request("LinkExpired").await;
    assert_eq!((job_of(&request), fixture.mailed()), (job.clone(), vec![job]));
    assert_nothing_else_is_sent(&fixture, 1).await;
}

#[tokio::test]
async fn resend_removed_before_reconcile_has_no_effect() {
    let (fixture, operator, job) = expired().await;
    operator.stop().await;
    annotate(&fixture, RESEND, format!("{job}/EXPIRED")).await;
    annotate(&fixture, RESEND, Value::Null).await;
    let _next = fixture.start_with(poll_often).await;
    assert_nothing_else_is_sent(&fixture, 1).await;
}

#[tokio::test]
async fn raised_attempt_supersedes_a_resend() {
    let (fixture, operator, first) = expired().await;
    operator.stop().await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let history = History::of(&fixture.requests(), REQUEST).await;
    let _next = fixture.start_with(poll_often).await;
    let request = sent_after(&fixture, &first).await;
    let record = history.first("the record", |version| version.status.as_ref().unwrap().send.is_some()).await;
    let send = record.status.unwrap().send.unwrap();
    assert_eq!((send.attempt, send.resend_of), (2, None));
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(2));
    fixture.realm.set_job_state(&job_of(&request), "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    assert_nothing_else_is_sent(&fixture, 2).await;
}

#[tokio::test]
async fn resend_in_doubt_is_settled_after_restart_without_annotation() {
    let (fixture, operator, first) = expired().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob).once());
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    eventually("the email is sent", || fixture.mailed().len() == 2).await;
    operator.kill().await;
    annotate(&fixture, RESEND, Value::Null).await;
    let _next = fixture.start_with(poll_often).await;
    let request = sent_after(&fixture, &first).await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    assert_nothing_else_is_sent(&fixture, 2).await;
}

#[tokio::test]
async fn resend_waits_until_request_is_not_revoked_and_identity_is_active() {
    let (fixture, _operator, first) = expired().await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.realm.edit_identity(JANE, |jane| jane.status = Some("suspended".to_owned()));
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let request = fixture.wait_for_request("IdentityNotActive").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(fixture.mailed().len(), 1);
    fixture.realm.edit_identity(JANE, |jane| jane.status = Some("active".to_owned()));
    let request = sent_after(&fixture, &first).await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
}

#[tokio::test]
async fn revoke_annotation_revokes_named_job_with_normal_event() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    annotate(&fixture, REVOKE, job.clone()).await;
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(
        message(&request),
        "The job was revoked, as the annotation beyondidentity.dev/revoke requests; raise spec.attempt to send \
         another email"
    );
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations()), ("REVOKED", vec![job.clone()]));
    fixture.wait_for_events("EnrollmentRequest", REQUEST, &["Normal LinkSent", "Normal Revoked"]).await;

    // The same annotation has no effect again, nor on the job of the next attempt.
    annotate(&fixture, REVOKE, Value::Null).await;
    annotate(&fixture, REVOKE, job.clone()).await;
    let next = assert_nothing_else_is_sent(&fixture, 1).await;
    assert_eq!((fixture.remote_state(&job_of(&next)).as_str(), fixture.revocations()), ("LINK_SENT", vec![job]));
}

#[tokio::test]
async fn revoke_of_another_job_or_removed_annotation_has_no_effect() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    annotate(&fixture, REVOKE, "another").await;
    annotate(&fixture, REVOKE, "").await;
    operator.stop().await;
    annotate(&fixture, REVOKE, job.clone()).await;
    annotate(&fixture, REVOKE, Value::Null).await;
    let _next = fixture.start().await;
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.wait_until_request_is_reconciled().await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
}

#[tokio::test]
async fn revoke_annotation_takes_effect_before_the_next_attempt() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    operator.stop().await;
    annotate(&fixture, REVOKE, first.clone()).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let _next = fixture.start().await;
    let request = sent_after(&fixture, &first).await;
    let writes = fixture.realm.requests().into_iter().map(|call| call.operation);
    let writes: Vec<_> = writes.filter(|call| matches!(call, Operation::CreateJob | Operation::RevokeJob)).collect();
    assert_eq!(writes, [Operation::CreateJob, Operation::RevokeJob, Operation::CreateJob]);
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn revoke_completes_after_send_in_doubt_and_lost_response() {
    // The hidden send stays in doubt for longer than this test takes.
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(600)).await;
    let (first, rule) = fixture.second_attempt_in_doubt().await;
    annotate(&fixture, REVOKE, first.clone()).await;
    assert_eq!(fixture.revocations().len(), 0, "the send in doubt is settled first");
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::RevokeJob).once());
    fixture.realm.remove_fault(rule);
    let request = wait_for(fixture.requests(), REQUEST, "has revoked the first", |request: &EnrollmentRequest| {
        let previous = &request.status.as_ref().unwrap().previous_jobs;
        previous.first().is_some_and(|job| job.state.as_deref() == Some("REVOKED"))
    })
    .await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!((fixture.remote_state(&first).as_str(), reason(&request)), ("REVOKED", "LinkSent"));
}
