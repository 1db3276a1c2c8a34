//! Another attempt: it sends once more, and its earlier link lives until the new one is out.

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

/// Waits until this attempt is concluded, and the link of the one before it is dead.
async fn through(place: &Fixture, attempt: i64) -> EnrollmentRequest {
    wait_for(place.requests(), REQUEST, format!("has sent attempt {attempt}"), move |request: &EnrollmentRequest| {
        request.status.as_ref().unwrap().attempt == Some(attempt)
            && earlier(request).first().is_some_and(|(_, state)| state == "REVOKED")
    })
    .await
}

/// Applies the request as a GitOps tool does: the whole of it, server-side, again and again.
async fn apply(place: &Fixture, spec: Value) -> EnrollmentRequest {
    let mut request = serde_json::to_value(place.request(REQUEST, crate::fixture::JANE)).unwrap();
    let Value::Object(fields) = spec else { panic!("a spec is an object") };
    fields.into_iter().for_each(|(name, value)| request["spec"][name] = value);
    request.as_object_mut().unwrap().remove("status");
    let parameters = PatchParams::apply("gitops").force();
    place.requests().patch(REQUEST, &parameters, &Patch::Apply(request)).await.unwrap()
}

#[tokio::test]
async fn a_raised_attempt_sends_again_and_then_revokes_the_earlier_link() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let first = job_of(&place.request_says("LinkSent").await);
    let history = History::of(&place.requests(), REQUEST).await;
    place.change_request(json!({"attempt": 2})).await.unwrap();
    let request = through(&place, 2).await;

    let second = job_of(&request);
    assert_eq!(place.mailed(), [first.clone(), second.clone()]);
    assert_eq!((place.remote_state(&first).as_str(), place.remote_state(&second).as_str()), ("REVOKED", "LINK_SENT"));
    assert_eq!(place.revocations(), [first.as_str()]);
    assert_eq!(earlier(&request), [(first.clone(), "REVOKED".to_owned())]);
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=Unknown", "LinkSent"));
    assert_eq!(request.status.as_ref().unwrap().observed_generation, request.metadata.generation);

    // The new link stood in the status before the earlier one was touched.
    let stood = history.first("the new link, with the earlier one alive", |version| {
        version.status.as_ref().unwrap().job_id.as_ref() == Some(&second)
            && earlier(version) == [(first.clone(), "LINK_SENT".to_owned())]
    });
    stood.await;
    let writes = place.realm.requests().into_iter().map(|call| call.operation);
    let writes: Vec<_> = writes.filter(|call| matches!(call, Operation::CreateJob | Operation::RevokeJob)).collect();
    assert_eq!(writes, [Operation::CreateJob, Operation::CreateJob, Operation::RevokeJob]);
}

#[tokio::test]
async fn a_link_lives_while_the_next_one_cannot_be_sent() {
    let (place, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    place.create_request().await;
    let first = job_of(&place.request_says("LinkSent").await);
    let refusal = Reply::error(400, "bad_request", "not today");
    let rule = place.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob));
    place.change_request(json!({"attempt": 2})).await.unwrap();
    let request = place.request_says("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!((job_of(&request), request.status.unwrap().attempt), (first.clone(), Some(1)));
    crate::fixture::eventually("it was tried again", || place.realm.fired(rule) >= 2).await;
    assert_eq!((place.remote_state(&first).as_str(), place.revocations().len()), ("LINK_SENT", 0));

    place.realm.remove_fault(rule);
    let request = through(&place, 2).await;
    assert_eq!(place.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(place.revocations(), [first]);
}

#[tokio::test]
async fn an_earlier_link_is_revoked_after_an_answer_that_was_lost_too_and_not_before_it_is_settled() {
    // What is hidden stays in doubt, however long the steps of this test take.
    let (place, _operator) = Fixture::ready_with(|settings| settings.settle_time = Duration::from_secs(600)).await;
    let (first, rule) = place.second_attempt_in_doubt().await;
    assert_eq!((place.mailed().len(), place.revocations().len()), (2, 0));
    place.realm.remove_fault(rule);
    let request = through(&place, 2).await;
    assert_eq!(place.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(place.revocations(), [first]);
}

#[tokio::test]
async fn what_is_taken_back_is_accepted_and_nothing_happens() {
    let (place, _operator) = Fixture::ready().await;
    apply(&place, json!({"attempt": 3})).await;
    let sent = place.request_says("LinkSent").await;
    assert_eq!(sent.status.as_ref().unwrap().attempt, Some(3));

    apply(&place, json!({"attempt": 1})).await;
    let request = place.request_is_looked_at().await;
    assert_eq!((conditions(&request).as_str(), message(&request)), ("Ready=True Succeeded=Unknown", message(&sent)));
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(3));
    assert_eq!((place.mailed().len(), place.revocations().len()), (1, 0));

    apply(&place, json!({"attempt": 2, "revoked": true})).await;
    place.request_says("Revoked").await;
    apply(&place, json!({"attempt": 1})).await;
    apply(&place, json!({"attempt": 3, "revoked": false})).await;
    let request = place.request_is_looked_at().await;
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=False", "Revoked"));
    assert_eq!(
        message(&request),
        "The job was revoked, but spec.revoked does not request it; raise spec.attempt to send another email"
    );
    assert_eq!((place.mailed(), place.revocations()), (vec![job_of(&sent)], vec![job_of(&sent)]));
    place.tells("EnrollmentRequest", REQUEST, &["Normal LinkSent", "Normal Revoked"]).await;

    apply(&place, json!({"attempt": 4})).await;
    let request = through(&place, 4).await;
    assert_eq!(place.mailed(), [job_of(&sent), job_of(&request)]);
}

#[tokio::test]
async fn an_attempt_raised_while_revoked_waits_until_it_is_not() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let first = job_of(&place.request_says("LinkSent").await);
    place.change_request(json!({"attempt": 2, "revoked": true})).await.unwrap();
    let request = place.request_says("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(1));
    assert_eq!((place.mailed().len(), place.revocations()), (1, vec![first.clone()]));
    place.change_request(json!({"revoked": false})).await.unwrap();
    let request = through(&place, 2).await;
    assert_eq!(place.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(place.revocations(), [first], "what is dead is not revoked again");
}

#[tokio::test]
async fn a_raised_attempt_is_woken_when_its_configuration_becomes_ready() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let first = job_of(&place.request_says("LinkSent").await);
    place.let_config_go().await;
    place.delete_secret().await;
    place.create_config().await;
    place.config_says("SecretNotFound").await;
    place.change_request(json!({"attempt": 2})).await.unwrap();
    let request = place.request_says("AuthenticatorConfigNotReady").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    // By the clock it would not be looked at again here.
    place.create_secret(&place.token).await;
    let request = through(&place, 2).await;
    assert_eq!(place.mailed(), [first, job_of(&request)]);
}
