//! Annotations that ask for another email, or for the end of a link: each names the job that it is about, and acts once.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, History, JANE, Operator, REQUEST, conditions, eventually, following, job_of, message, patch, reason,
    wait_for,
};

const RESEND: &str = "beyondidentity.dev/resend";
const REVOKE: &str = "beyondidentity.dev/revoke";

/// Sets an annotation of Jane's request, or takes it away.
async fn annotate(fixture: &Fixture, annotation: &str, value: impl Into<Value>) {
    let annotations = json!({"metadata": {"annotations": {annotation: value.into()}}});
    patch(&fixture.requests(), REQUEST, annotations).await.unwrap();
}

/// Jane's request, whose link has expired, and its job.
async fn expired() -> (Fixture, Operator, String) {
    let (fixture, operator) = Fixture::ready_with(following).await;
    let job = expire(&fixture).await;
    (fixture, operator, job)
}

/// Sends the first email, whose link expires.
async fn expire(fixture: &Fixture) -> String {
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.set_job_state(&job, "EXPIRED");
    fixture.request_says("LinkExpired").await;
    job
}

/// Waits until another email than that of `job` is out.
async fn followed(fixture: &Fixture, job: &str) -> EnrollmentRequest {
    let job = job.to_owned();
    wait_for(fixture.requests(), REQUEST, format!("has sent again after {job}"), move |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.send.is_none() && status.job_id.as_ref().is_some_and(|id| *id != job)
    })
    .await
}

/// Sees to it that everything before this has been looked at: an attempt that is raised now is sent, and nothing else was.
async fn assert_nothing_came_of_it(fixture: &Fixture, emails: usize) -> EnrollmentRequest {
    let before = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!(fixture.mailed().len(), emails);
    let attempt = before.status.as_ref().unwrap().attempt.unwrap() + 1;
    fixture.change_request(json!({"attempt": attempt})).await.unwrap();
    let request = followed(fixture, &job_of(&before)).await;
    assert_eq!(fixture.mailed().len(), emails + 1);
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(attempt));
    request
}

#[tokio::test]
async fn a_resend_sends_once_however_often_it_is_clicked_and_leaves_the_attempt_as_it_is() {
    let (fixture, _operator, first) = expired().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    let request = followed(&fixture, &first).await;
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

    // A second click is the same annotation, taken off and set again: it names a job that is not the current one.
    annotate(&fixture, RESEND, Value::Null).await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.realm.set_job_state(&second, "EXPIRED");
    fixture.request_says("LinkExpired").await;
    annotate(&fixture, RESEND, format!("{second}/LINK_SENT")).await;
    let request = assert_nothing_came_of_it(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first, second, job_of(&request)]);
}

#[tokio::test]
async fn each_dead_link_can_be_sent_again_and_one_after_the_other() {
    let (fixture, _operator) = Fixture::ready_with(following).await;
    fixture.create_request().await;
    let mut jobs = vec![job_of(&fixture.request_says("LinkSent").await)];
    for (state, says) in [("EXPIRED", "LinkExpired"), ("FAILED_TO_SEND", "FailedToSend"), ("REVOKED", "Revoked")] {
        let job = jobs.last().unwrap().clone();
        fixture.realm.set_job_state(&job, state);
        fixture.request_says(says).await;
        annotate(&fixture, RESEND, format!("{job}/{state}")).await;
        jobs.push(job_of(&followed(&fixture, &job).await));
        assert_eq!(fixture.mailed(), jobs, "{state}");
    }
    let request = fixture.requests().get(REQUEST).await.unwrap();
    let earlier: Vec<_> = request.status.unwrap().previous_jobs.into_iter().map(|job| job.id).collect();
    assert_eq!(earlier, jobs.iter().rev().skip(1).cloned().collect::<Vec<_>>());
    assert_eq!(fixture.revocations().len(), 0, "what is dead is not revoked");
}

#[tokio::test]
async fn what_came_too_early_or_is_nonsense_does_nothing_then_or_later() {
    let (fixture, _operator) = Fixture::ready_with(following).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    for value in [format!("{job}/LINK_SENT"), job.clone(), "/".to_owned(), format!("{job}/EXPIRED/EXPIRED")] {
        annotate(&fixture, RESEND, value).await;
    }
    annotate(&fixture, RESEND, format!("{job}/LINK_SENT")).await;
    fixture.realm.set_job_state(&job, "EXPIRED");
    let request = fixture.request_says("LinkExpired").await;
    assert_eq!((job_of(&request), fixture.mailed()), (job.clone(), vec![job]));
    assert_nothing_came_of_it(&fixture, 1).await;
}

#[tokio::test]
async fn a_resend_that_was_stripped_before_it_was_seen_is_taken_back() {
    let (fixture, operator, job) = expired().await;
    operator.stop().await;
    annotate(&fixture, RESEND, format!("{job}/EXPIRED")).await;
    annotate(&fixture, RESEND, Value::Null).await;
    let _next = fixture.start_with(following).await;
    assert_nothing_came_of_it(&fixture, 1).await;
}

#[tokio::test]
async fn a_raised_attempt_takes_a_resend_with_it() {
    let (fixture, operator, first) = expired().await;
    operator.stop().await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let history = History::of(&fixture.requests(), REQUEST).await;
    let _next = fixture.start_with(following).await;
    let request = followed(&fixture, &first).await;
    let record = history.first("the record", |version| version.status.as_ref().unwrap().send.is_some()).await;
    let send = record.status.unwrap().send.unwrap();
    assert_eq!((send.attempt, send.resend_of), (2, None));
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(2));
    fixture.realm.set_job_state(&job_of(&request), "EXPIRED");
    fixture.request_says("LinkExpired").await;
    assert_nothing_came_of_it(&fixture, 2).await;
}

#[tokio::test]
async fn a_resend_in_doubt_is_looked_for_also_by_the_next_process_and_a_stripped_annotation_changes_nothing() {
    let (fixture, operator, first) = expired().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateJob).once());
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    eventually("the email went out", || fixture.mailed().len() == 2).await;
    operator.kill().await;
    annotate(&fixture, RESEND, Value::Null).await;
    let _next = fixture.start_with(following).await;
    let request = followed(&fixture, &first).await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    assert_nothing_came_of_it(&fixture, 2).await;
}

#[tokio::test]
async fn a_resend_waits_while_the_request_is_revoked_and_says_what_is_in_its_way() {
    let (fixture, _operator, first) = expired().await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    fixture.request_says("Revoked").await;
    annotate(&fixture, RESEND, format!("{first}/EXPIRED")).await;
    fixture.realm.edit_identity(JANE, |jane| jane.status = Some("suspended".to_owned()));
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let request = fixture.request_says("IdentityNotActive").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(fixture.mailed().len(), 1);
    fixture.realm.edit_identity(JANE, |jane| jane.status = Some("active".to_owned()));
    let request = followed(&fixture, &first).await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
}

#[tokio::test]
async fn a_link_is_revoked_by_its_jobs_name_and_that_is_no_warning() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    annotate(&fixture, REVOKE, job.clone()).await;
    let request = fixture.request_says("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(
        message(&request),
        "The job was revoked, as the annotation beyondidentity.dev/revoke requests; raise spec.attempt to send \
         another email"
    );
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations()), ("REVOKED", vec![job.clone()]));
    fixture.tells("EnrollmentRequest", REQUEST, &["Normal LinkSent", "Normal Revoked"]).await;

    // Once more, and for the job of the next attempt, it does nothing.
    annotate(&fixture, REVOKE, Value::Null).await;
    annotate(&fixture, REVOKE, job.clone()).await;
    let next = assert_nothing_came_of_it(&fixture, 1).await;
    assert_eq!((fixture.remote_state(&job_of(&next)).as_str(), fixture.revocations()), ("LINK_SENT", vec![job]));
}

#[tokio::test]
async fn a_revocation_of_another_job_or_one_that_was_stripped_before_it_was_seen_does_nothing() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    annotate(&fixture, REVOKE, "another").await;
    annotate(&fixture, REVOKE, "").await;
    operator.stop().await;
    annotate(&fixture, REVOKE, job.clone()).await;
    annotate(&fixture, REVOKE, Value::Null).await;
    let _next = fixture.start().await;
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.request_is_looked_at().await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));
}

#[tokio::test]
async fn a_link_that_is_named_dies_before_the_next_attempt_is_sent() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    operator.stop().await;
    annotate(&fixture, REVOKE, first.clone()).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let _next = fixture.start().await;
    let request = followed(&fixture, &first).await;
    let writes = fixture.realm.requests().into_iter().map(|call| call.operation);
    let writes: Vec<_> = writes.filter(|call| matches!(call, Operation::CreateJob | Operation::RevokeJob)).collect();
    assert_eq!(writes, [Operation::CreateJob, Operation::RevokeJob, Operation::CreateJob]);
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn a_revocation_whose_answer_is_lost_or_whose_send_is_in_doubt_comes_to_its_end() {
    // What is hidden stays in doubt, however long the steps of this test take.
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(600)).await;
    let (first, rule) = fixture.second_attempt_in_doubt().await;
    annotate(&fixture, REVOKE, first.clone()).await;
    assert_eq!(fixture.revocations().len(), 0, "the doubt is settled first");
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
