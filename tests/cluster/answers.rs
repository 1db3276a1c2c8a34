//! Unexpected responses: their values can be recorded, and secrets in them are redacted.

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Reply, Rule};
use serde_json::json;

use crate::fixture::{Fixture, History, JANE, REQUEST, conditions, eventually, job_of, message, poll_often, wait_for};

#[tokio::test]
async fn any_job_field_value_can_be_recorded() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    let id = job_of(&sent);
    fixture.realm.allow_any_answer();
    fixture.realm.edit_job(&id, |job| {
        job.state = Some("Ä".repeat(5000));
        job.expire_time = Some("some day\n".repeat(1000));
        job.create_time = Some("9999999-99-99".to_owned());
        job.update_time = None;
    });
    let request = fixture.wait_for_request("UnknownState").await;
    let status = request.status.clone().unwrap();
    assert_eq!(status.state.as_deref(), Some("[redacted]"));
    assert_eq!((status.expire_time, status.create_time, status.update_time), (None, None, None));
    assert_eq!(
        message(&request),
        "The job is in state [redacted], which this version does not know; the service reports no valid time at which \
         the link expires"
    );

    // A job with only an id.
    fixture.realm.edit_job(&id, |job| {
        (job.state, job.expire_time, job.create_time) = (None, None, None);
    });
    let request = wait_for(fixture.requests(), REQUEST, "has lost its state", |request: &EnrollmentRequest| {
        request.status.as_ref().unwrap().state.is_none()
    })
    .await;
    assert_eq!(
        message(&request),
        "The service does not report the state of the job; the service reports no valid time at which the link expires"
    );
    fixture.realm.set_job_state(&id, "COMPLETE");
    fixture.wait_for_request("Complete").await;
}

#[tokio::test]
async fn job_with_unusable_id_is_found_by_list() {
    let jobs = ["", "..", "a b", &"x".repeat(2000)].map(|id| json!({"id": id, "state": "LINK_SENT"}));
    futures::future::join_all(jobs.into_iter().chain([json!({"state": "LINK_SENT"}), json!(null)]).map(|job| {
        let answer = Reply::json(200, &json!({"credential_binding_job": job}));
        async move {
            let (fixture, _operator) = Fixture::ready().await;
            fixture.realm.fault(Rule::new(Effect::HappenThenAnswer(answer)).on(Operation::CreateJob).once());
            fixture.create_request().await;
            let request = fixture.wait_for_request("LinkSent").await;
            assert_eq!(fixture.mailed(), [job_of(&request)]);
        }
    }))
    .await;
}

/// A list that cannot be decoded is not an empty list.
#[tokio::test]
async fn incomplete_job_list_blocks_the_send() {
    let effects = [
        Effect::Answer(Reply::json(200, &json!({}))),
        Effect::Answer(Reply::json(200, &json!({"identities": [], "total_size": 0}))),
        Effect::Answer(Reply::json(200, &json!({"credential_binding_jobs": [{}]}))),
        Effect::Answer(Reply::garbage()),
        Effect::Answer(Reply::empty(200)),
        Effect::CutAnswer,
    ];
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator) = Fixture::ready().await;
        let rule = fixture.realm.fault(Rule::new(effect.clone()).on(Operation::ListJobs));
        fixture.create_request().await;
        let request = fixture.wait_for_request("ServiceUnavailable").await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        let sentence = match effect {
            Effect::CutAnswer => "GET credential-binding-jobs lost the connection (",
            _ => "GET credential-binding-jobs returned 200 with an unusable response: ",
        };
        assert!(message(&request).starts_with(sentence), "{effect:?}: {}", message(&request));
        eventually("the jobs are listed again", || fixture.realm.fired(rule) >= 2).await;
        assert_eq!(fixture.realm.requests_of(Operation::CreateJob), [], "{effect:?}");
        fixture.realm.remove_fault(rule);
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{effect:?}");
    }))
    .await;
}

/// A body of 50 MiB exceeds the limit of 16 MiB.
#[tokio::test]
async fn oversized_response_is_a_failed_call() {
    let long = |field: &str, value: serde_json::Value| {
        Reply::json(200, &json!({field: value, "padding": "x".repeat(50 << 20)}))
    };
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let list = long("credential_binding_jobs", json!([]));
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(list)).on(Operation::ListJobs));
    fixture.create_request().await;
    let request = fixture.wait_for_request("ServiceUnavailable").await;
    assert_eq!(
        message(&request),
        "GET credential-binding-jobs returned 200 with an unusable response: the body is larger than 4194304 bytes"
    );
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    let job = long("credential_binding_job", json!({"id": "57d73b5909ede35a"}));
    fixture.realm.fault(Rule::new(Effect::HappenThenAnswer(job)).on(Operation::CreateJob).once());
    fixture.realm.remove_fault(rule);
    let sent = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&sent)], "the job is found by list, and nothing is sent again");

    let job = long("credential_binding_job", json!({"id": job_of(&sent), "state": "EXPIRED"}));
    assert_unchanged_while_job_is_read_as(&fixture, &sent, job).await;
}

/// While reads of its job return `reply`, the request is not written. Afterwards its job is polled again.
async fn assert_unchanged_while_job_is_read_as(fixture: &Fixture, sent: &EnrollmentRequest, reply: Reply) {
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(Operation::GetJob));
    eventually("the job is read twice", || fixture.realm.fired(rule) >= 2).await;
    let now = fixture.wait_for_request("LinkSent").await;
    assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);
    fixture.realm.remove_fault(rule);
    fixture.realm.set_job_state(&job_of(sent), "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
}

/// An unreadable response is neither a missing job nor another state.
#[tokio::test]
async fn unreadable_job_response_keeps_the_status() {
    let replies =
        [Reply::garbage(), Reply::json(200, &json!({"state": "EXPIRED"})), Reply::empty(200), Reply::internal_error()];
    futures::future::join_all(replies.map(|reply| async move {
        let (fixture, _operator) = Fixture::ready_with(poll_often).await;
        fixture.create_request().await;
        let sent = fixture.wait_for_request("LinkSent").await;
        assert_unchanged_while_job_is_read_as(&fixture, &sent, reply).await;
    }))
    .await;
}

#[tokio::test]
async fn bare_job_is_accepted_without_envelope() {
    let (fixture, _operator) = Fixture::ready().await;
    let bare = Reply::json(200, &json!({"id": "57d73b5909ede35a", "state": "LINK_SENT"}));
    fixture.realm.fault(Rule::new(Effect::Answer(bare)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.unwrap().job_id.as_deref(), Some("57d73b5909ede35a"));
    assert_eq!(
        message(&request_of(&fixture).await),
        "The enrolment email was sent; the service reports no valid time at which the link expires"
    );
}

#[tokio::test]
async fn token_and_email_address_are_redacted() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.show_service_messages = true).await;
    let verbose = format!("{} may not write to jane@example.com, see https://example.com/link?code=1", fixture.token);
    for (operation, status) in [(Operation::GetIdentity, 403), (Operation::ListJobs, 500), (Operation::CreateJob, 400)]
    {
        let reply = Reply::error(status, "no", &verbose);
        fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(operation).once());
    }
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request_of(REQUEST, JANE).await;
    for reason in ["PermissionDenied", "ServiceUnavailable", "Refused"] {
        let request = history.first_with_reason(reason).await;
        assert!(
            message(&request).contains("may not write to"),
            "the rest of the message is kept: {}",
            message(&request)
        );
    }
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    let all = format!("{} {events:?}", serde_json::to_string(&history.versions()).unwrap());
    for secret in [fixture.token.as_str(), "jane@example.com", "?code=1"] {
        assert!(!all.contains(secret), "{secret} is not redacted in {all}");
    }
}

async fn request_of(fixture: &Fixture) -> EnrollmentRequest {
    fixture.requests().get(REQUEST).await.unwrap()
}
