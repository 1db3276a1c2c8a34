//! `spec.revoked`: an active link is revoked, an expired or used one is not changed, and a refusal sets
//! `RevokeRefused`.

use std::time::Duration;

use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use harness::simulator::{Effect, Identity, Operation, Rule};
use serde_json::json;

use crate::fixture::{
    Fixture, History, REQUEST, conditions, eventually, job_of, message, message_of, patch, poll_often, reason, wait_for,
};

const AGAIN: &str = "to enrol again, set spec.revoked to false and raise spec.attempt";

#[tokio::test]
async fn active_link_is_revoked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(message(&request), format!("The job was revoked; {AGAIN}"));
    assert_eq!(request.status.unwrap().state.as_deref(), Some("REVOKED"));
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    assert_eq!((fixture.revocations(), fixture.mailed()), (vec![job.clone()], vec![job]));
    fixture.wait_for_events("EnrollmentRequest", REQUEST, &["Normal LinkSent", "Normal Revoked"]).await;
}

/// Jobs in a final state that the operator has already observed.
#[tokio::test]
async fn final_jobs_need_no_revocation_and_passkeys_stay() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let passkey = ("Complete", "Ready=True Succeeded=True", "The user has bound a passkey".to_owned());
    let revoked = |what: &str| ("Revoked", "Ready=True Succeeded=False", format!("{what}; {AGAIN}"));
    let table = [
        ("complete", "COMPLETE", "Complete", passkey),
        ("expired", "EXPIRED", "LinkExpired", revoked("The link expired before it was revoked")),
        ("failed", "FAILED_TO_SEND", "FailedToSend", revoked("The email was never sent")),
        ("revoked", "REVOKED", "Revoked", revoked("The job was revoked")),
    ];
    for (name, state, before, (reason, expected, sentence)) in table {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
        let job = job_of(&fixture.wait_for_request_named(name, "LinkSent").await);
        fixture.realm.set_job_state(&job, state);
        fixture.wait_for_request_named(name, before).await;
        patch(&fixture.requests(), name, json!({"spec": {"revoked": true}})).await.unwrap();
        let request =
            wait_for(fixture.requests(), name, "has its message", |request| message(request) == sentence).await;
        assert_eq!((conditions(&request).as_str(), crate::fixture::reason(&request)), (expected, reason), "{name}");
        assert_eq!(fixture.remote_state(&job), state);
    }
    assert_eq!((fixture.revocations().len(), fixture.mailed().len()), (0, 4));
}

#[tokio::test]
async fn job_is_read_after_a_conflict_on_revocation() {
    let (fixture, _operator) = Fixture::ready().await;
    for (name, state, reason) in [("complete", "COMPLETE", "Complete"), ("expired", "EXPIRED", "Revoked")] {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
        let job = job_of(&fixture.wait_for_request_named(name, "LinkSent").await);
        fixture.realm.set_job_state(&job, state);
        patch(&fixture.requests(), name, json!({"spec": {"revoked": true}})).await.unwrap();
        let request = fixture.wait_for_request_named(name, reason).await;
        assert_eq!(request.status.unwrap().state.as_deref(), Some(state));
        assert_eq!(fixture.remote_state(&job), state);
    }
    assert_eq!(fixture.revocations().len(), 2, "each revocation is tried once");
}

#[tokio::test]
async fn missing_job_counts_as_revoked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.realm.remove_job(&job_of(&fixture.wait_for_request("LinkSent").await));
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(message(&request), format!("The job was not found in Beyond Identity; {AGAIN}"));
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn lost_answer_of_a_revocation_is_resolved() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::RevokeJob).once());
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    let request = history.first_with_reason("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False", "the revocation is pending");
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(message(&request), format!("The job was revoked; {AGAIN}"));
    assert_eq!(fixture.remote_state(&job), "REVOKED");
}

#[tokio::test]
async fn request_revoked_before_the_send_sends_nothing() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"revoked": true})).await;
    let request = fixture.wait_for_request("Revoked").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=False");
    assert_eq!(message(&request), format!("Nothing was sent because spec.revoked was true; {AGAIN}"));
    let status = request.status.unwrap();
    assert_eq!((status.attempt, status.job_id), (Some(1), None));
    assert_eq!(json!(status.skipped), json!("Revoked"));

    // A later `revoked: false` sends nothing either, since the attempt is concluded.
    fixture.change_request(json!({"revoked": false})).await.unwrap();
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=False", "Revoked"));
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);

    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = fixture.wait_for_request("LinkSent").await;
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, status.skipped, status.previous_jobs.len()), (Some(2), None, 0));
    assert_eq!((fixture.mailed(), fixture.revocations().len()), (vec![job_of(&request)], 0));
}

#[tokio::test]
async fn refused_revocation_sets_its_condition_and_is_retried() {
    futures::future::join_all([401, 403].map(|status| async move {
        let (fixture, _operator) =
            Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(2)).await;
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        fixture.realm.refuse_revoke(status);
        fixture.change_request(json!({"revoked": true})).await.unwrap();
        let request = wait_for(fixture.requests(), REQUEST, "has RevokeRefused", |request| {
            !message_of(request, REVOKE_REFUSED).is_empty()
        })
        .await;
        assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown RevokeRefused=True");
        assert_eq!(reason(&request), "LinkSent", "the link is active");
        let sentence = format!(
            "The link of credential binding job {job} cannot be revoked: POST \
             credential-binding-jobs/{{id}}:revoke was refused ({status}): "
        );
        assert!(
            message_of(&request, REVOKE_REFUSED).starts_with(&sentence),
            "{}",
            message_of(&request, REVOKE_REFUSED)
        );
        let event = fixture.wait_for_event(REQUEST, "Warning RevokeRefused").await;
        assert!(event.note.starts_with(&sentence), "{event:?}");
        eventually("the revocation is retried at the resync interval", || fixture.revocations().len() >= 2).await;

        fixture.realm.refuse_revoke(None);
        let request = fixture.wait_for_request("Revoked").await;
        assert_eq!(conditions(&request), "Ready=True Succeeded=False");
        assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed().len()), ("REVOKED", 1));
    }))
    .await;
}

/// An earlier link that cannot be revoked stays active. The conditions of the later job do not depend on it.
#[tokio::test]
async fn refused_revocation_of_an_earlier_link_is_retried() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.resync_interval = Duration::from_secs(2);
    })
    .await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.refuse_revoke(403);
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let refused = |request: &_| !message_of(request, REVOKE_REFUSED).is_empty();
    let request = wait_for(fixture.requests(), REQUEST, "has RevokeRefused", refused).await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown RevokeRefused=True");
    let second = job_of(&request);
    assert_eq!(fixture.mailed(), [first.clone(), second.clone()]);

    fixture.realm.set_job_state(&second, "COMPLETE");
    let request = fixture.wait_for_request("Complete").await;
    assert_eq!(conditions(&request), "Ready=True Succeeded=True RevokeRefused=True");
    fixture.realm.refuse_revoke(None);
    let request = wait_for(fixture.requests(), REQUEST, "has no RevokeRefused", |request| !refused(request)).await;
    assert_eq!((conditions(&request).as_str(), reason(&request)), ("Ready=True Succeeded=True", "Complete"));
    assert_eq!(
        (fixture.remote_state(&first).as_str(), fixture.remote_state(&second).as_str()),
        ("REVOKED", "COMPLETE")
    );
}
