//! A raised attempt sends one more email. The earlier link stays active until the new email is sent.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixture::{Fixture, History, REQUEST, conditions, job_of, message, reason, wait_for};

/// The jobs of earlier attempts with their states, the newest first.
fn earlier(request: &EnrollmentRequest) -> Vec<(String, String)> {
    let previous = request.status.as_ref().unwrap().previous_jobs.iter();
    previous.map(|job| (job.id.clone(), job.state.clone().unwrap_or_default())).collect()
}

/// Waits until this attempt is concluded, and the link of the previous attempt is revoked.
async fn concluded(fixture: &Fixture, attempt: i64) -> EnrollmentRequest {
    wait_for(fixture.requests(), REQUEST, format!("has sent attempt {attempt}"), move |request: &EnrollmentRequest| {
        request.status.as_ref().unwrap().attempt == Some(attempt)
            && earlier(request).first().is_some_and(|(_, state)| state == "REVOKED")
    })
    .await
}

/// Applies the whole request server-side, as a GitOps tool does.
async fn apply(fixture: &Fixture, spec: Value) -> EnrollmentRequest {
    let mut request = serde_json::to_value(fixture.request(REQUEST, crate::fixture::JANE)).unwrap();
    let Value::Object(fields) = spec else { panic!("a spec is an object") };
    fields.into_iter().for_each(|(name, value)| request["spec"][name] = value);
    request.as_object_mut().unwrap().remove("status");
    let parameters = PatchParams::apply("gitops").force();
    fixture.requests().patch(REQUEST, &parameters, &Patch::Apply(request)).await.unwrap()
}

#[tokio::test]
async fn raised_attempt_sends_again_then_revokes_the_earlier_link() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = concluded(&fixture, 2).await;

    let second = job_of(&request);
    assert_eq!(fixture.mailed(), [first.clone(), second.clone()]);
    assert_eq!(
        (fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()),
        ("REVOKED", "LINK_SENT")
    );
    assert_eq!(fixture.revocations(), [first.as_str()]);
    assert_eq!(earlier(&request), [(first.clone(), "REVOKED".to_owned())]);
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=Unknown", "LinkSent"));
    assert_eq!(request.status.as_ref().unwrap().observed_generation, request.metadata.generation);

    // The status has the new link before the earlier one is revoked.
    let recorded = history.first("the new link, with the earlier one still active", |version| {
        version.status.as_ref().unwrap().job_id.as_ref() == Some(&second)
            && earlier(version) == [(first.clone(), "LINK_SENT".to_owned())]
    });
    recorded.await;
    let writes = fixture.realm.requests().into_iter().map(|call| call.operation);
    let writes: Vec<_> = writes.filter(|call| matches!(call, Operation::CreateJob | Operation::RevokeJob)).collect();
    assert_eq!(writes, [Operation::CreateJob, Operation::CreateJob, Operation::RevokeJob]);
}

#[tokio::test]
async fn earlier_link_stays_active_while_next_send_is_refused() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let refusal = Reply::error(400, "bad_request", "not today");
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = fixture.wait_for_request("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!((job_of(&request), request.status.unwrap().attempt), (first.clone(), Some(1)));
    crate::fixture::eventually("the send is retried", || fixture.realm.fired(rule) >= 2).await;
    assert_eq!((fixture.remote_state(&first).as_str(), fixture.revocations().len()), ("LINK_SENT", 0));

    fixture.realm.remove_fault(rule);
    let request = concluded(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn earlier_link_is_revoked_only_after_send_in_doubt_is_settled() {
    // The hidden send stays in doubt for longer than this test takes.
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(600)).await;
    let (first, rule) = fixture.second_attempt_in_doubt().await;
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (2, 0));
    fixture.realm.remove_fault(rule);
    let request = concluded(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn lowered_attempt_and_withdrawn_revoke_have_no_effect() {
    let (fixture, _operator) = Fixture::ready().await;
    apply(&fixture, json!({"attempt": 3})).await;
    let sent = fixture.wait_for_request("LinkSent").await;
    assert_eq!(sent.status.as_ref().unwrap().attempt, Some(3));

    apply(&fixture, json!({"attempt": 1})).await;
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!((conditions(&request).as_str(), message(&request)), ("Ready=True Succeeded=Unknown", message(&sent)));
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(3));
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (1, 0));

    apply(&fixture, json!({"attempt": 2, "revoked": true})).await;
    fixture.wait_for_request("Revoked").await;
    apply(&fixture, json!({"attempt": 1})).await;
    apply(&fixture, json!({"attempt": 3, "revoked": false})).await;
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=False", "Revoked"));
    assert_eq!(
        message(&request),
        "The job was revoked, but spec.revoked does not request it; raise spec.attempt to send another email"
    );
    assert_eq!((fixture.mailed(), fixture.revocations()), (vec![job_of(&sent)], vec![job_of(&sent)]));
    fixture.wait_for_events("EnrollmentRequest", REQUEST, &["Normal LinkSent", "Normal Revoked"]).await;

    apply(&fixture, json!({"attempt": 4})).await;
    let request = concluded(&fixture, 4).await;
    assert_eq!(fixture.mailed(), [job_of(&sent), job_of(&request)]);
}

#[tokio::test]
async fn attempt_raised_while_revoked_waits() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.change_request(json!({"attempt": 2, "revoked": true})).await.unwrap();
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(1));
    assert_eq!((fixture.mailed().len(), fixture.revocations()), (1, vec![first.clone()]));
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let request = concluded(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first], "the revoked link is not revoked again");
}

#[tokio::test]
async fn raised_attempt_is_enqueued_when_its_config_becomes_ready() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.orphan_config().await;
    fixture.delete_secret().await;
    fixture.create_config().await;
    fixture.wait_for_config("SecretNotFound").await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    // No interval is due in this test, so only the trigger enqueues the request.
    fixture.create_secret(&fixture.token).await;
    let request = concluded(&fixture, 2).await;
    assert_eq!(fixture.mailed(), [first, job_of(&request)]);
}
