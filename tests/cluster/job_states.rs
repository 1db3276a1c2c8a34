//! The states of a job, from the link to the passkey, and the conditions that show them.

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Identity, Operation};
use serde_json::json;

use crate::fixture::{
    Fixture, History, NEVER, REQUEST, SOON, conditions, eventually, job_of, message, poll_often, reason, wait_for,
};

/// Each state has its own request, and all run at the same time.
#[tokio::test]
async fn each_job_state_is_copied_and_has_its_conditions() {
    const AGAIN: &str = "raise spec.attempt to send another email";
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let table = [
        (
            "LINK_OPENED",
            "LinkOpened",
            "Ready=True Succeeded=Unknown",
            "The user has opened the link; the link expires at ",
        ),
        (
            "REQUEST_DELIVERED",
            "RequestDelivered",
            "Ready=True Succeeded=Unknown",
            "The link has reached the user's authenticator; the link expires at ",
        ),
        (
            "SOMETHING_NEW",
            "UnknownState",
            "Ready=True Succeeded=Unknown",
            "The job is in state SOMETHING_NEW, which this version does not know; the link expires at ",
        ),
        ("COMPLETE", "Complete", "Ready=True Succeeded=True", "The user has bound a passkey"),
        (
            "EXPIRED",
            "LinkExpired",
            "Ready=True Succeeded=False",
            &format!("The link expired before a passkey was bound; {AGAIN}"),
        ),
        (
            "REVOKED",
            "Revoked",
            "Ready=True Succeeded=False",
            &format!("The job was revoked, but spec.revoked does not request it; {AGAIN}"),
        ),
        (
            "FAILED_TO_SEND",
            "FailedToSend",
            "Stalled=True Ready=False Succeeded=False",
            &format!("The service could not send the email; check the identity's primary email address, then {AGAIN}"),
        ),
    ];
    let name = |state: &str| state.to_lowercase().replace('_', "-");
    for (state, ..) in &table {
        fixture.realm.add_identity(Identity::active(&name(state), "someone@example.com"));
        fixture.create_request_of(&name(state), &name(state)).await;
    }
    for (state, reason, expected, sentence) in table {
        let sent = fixture.wait_for_request_named(&name(state), "LinkSent").await;
        fixture.realm.set_job_state(&job_of(&sent), state);
        let request = fixture.wait_for_request_named(&name(state), reason).await;
        assert_eq!(request.status.as_ref().unwrap().state.as_deref(), Some(state));
        assert_eq!(conditions(&request), expected, "{state}");
        assert!(message(&request).starts_with(sentence), "{state}: {}", message(&request));
        let updated = fixture.realm.job(&job_of(&sent)).unwrap().update_time;
        assert_eq!(request.status.unwrap().update_time, updated, "{state}");
    }
    assert_eq!(fixture.realm.outbox().len(), 7, "polling sends nothing");
}

#[tokio::test]
async fn complete_job_records_credential_and_is_not_polled() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&job, "COMPLETE");
    let request = fixture.wait_for_request("Complete").await;
    assert_eq!(request.status.unwrap().credential_id, fixture.realm.job(&job).unwrap().credential_id);

    let reads = |id: &str| fixture.realm.requests_of(Operation::GetJob).iter().filter(|c| c.path.ends_with(id)).count();
    let before = reads(&job);
    // Ten reads of another job show that time has passed.
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    let other = job_of(&fixture.wait_for_request_named("later", "LinkSent").await);
    eventually("the other job is read ten times", || reads(&other) >= 10).await;
    assert_eq!(reads(&job), before);
}

#[tokio::test]
async fn final_state_can_change_again() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    for (state, reason) in [("EXPIRED", "LinkExpired"), ("LINK_OPENED", "LinkOpened"), ("REVOKED", "Revoked")] {
        fixture.realm.set_job_state(&job, state);
        fixture.wait_for_request(reason).await;
    }
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn missing_job_is_stalled_and_nothing_is_sent_again() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.resync_interval = SOON;
    })
    .await;
    fixture.create_request().await;
    let id = job_of(&fixture.wait_for_request("LinkSent").await);
    let job = fixture.realm.job(&id).unwrap();
    fixture.realm.remove_job(&id);
    let request = fixture.wait_for_request("JobNotFound").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False Succeeded=Unknown");
    assert_eq!(
        message(&request),
        format!(
            "Credential binding job {id} was not found in Beyond Identity, and nothing is sent again for it; raise \
             spec.attempt to send another email"
        )
    );
    assert_eq!(job_of(&request), id, "the recorded job id is retained");
    // The next resync finds the job again.
    fixture.realm.add_job(job);
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn next_attempt_replaces_a_missing_job() {
    let (fixture, operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        settings.resync_interval = SOON;
    })
    .await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.remove_job(&first);
    fixture.wait_for_request("JobNotFound").await;
    // The conditions stay while polls fail, also for a new generation and in the next process.
    fixture.realm.set_token("another");
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    let request = fixture.wait_until_request_is_reconciled().await;
    assert_eq!(
        (reason(&request), conditions(&request).as_str()),
        ("JobNotFound", "Stalled=True Ready=False Succeeded=Unknown")
    );
    operator.stop().await;
    fixture.realm.set_token(&fixture.token);
    let _next = fixture.start_with(poll_often).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let request = wait_for(fixture.requests(), REQUEST, "has no previous job", |request: &EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.attempt == Some(2) && status.previous_jobs.is_empty()
    })
    .await;
    assert_eq!((fixture.mailed(), reason(&request)), (vec![first, job_of(&request)], "LinkSent"));
}

#[tokio::test]
async fn polling_writes_nothing_without_a_change() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let history = History::of(&fixture.requests(), REQUEST).await;
    let reads = || fixture.calls(Operation::GetJob);
    let before = reads();
    eventually("the job is read ten times", || reads() >= before + 10).await;
    fixture.realm.set_job_state(&job, "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
    eventually("the watch has the new version", || !history.versions().is_empty()).await;
    assert_eq!(history.versions().len(), 1);
}

#[tokio::test]
async fn failed_poll_writes_nothing() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.realm.set_token("another");
    let checks = || fixture.calls(Operation::Check);
    let before = checks();
    // The first poll that is refused stops the others, and checks follow.
    eventually("two checks are refused", || checks() >= before + 2).await;
    fixture.realm.set_token(&fixture.token);
    fixture.realm.set_job_state(&job_of(&sent), "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
    eventually("the watch has the new version", || !history.versions().is_empty()).await;
    assert_eq!(history.versions().len(), 1);
}

#[tokio::test]
async fn job_is_polled_when_its_link_expires() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.job_poll_min = SOON;
        settings.job_poll_max = NEVER;
    })
    .await;
    fixture.create_request().await;
    let id = job_of(&fixture.wait_for_request("LinkSent").await);
    // The job seems to be old, so a poll at 10% of its age is never due.
    let created: jiff::Timestamp = fixture.realm.job(&id).unwrap().create_time.unwrap().parse().unwrap();
    let soon = created + jiff::SignedDuration::from_secs(4);
    fixture.realm.edit_job(&id, |job| {
        job.create_time = Some("2020-01-01T00:00:00Z".to_owned());
        job.expire_time = Some(soon.to_string());
    });
    wait_for(fixture.requests(), REQUEST, "has the new expire time", move |request: &EnrollmentRequest| {
        request.status.as_ref().is_some_and(|status| status.expire_time == Some(soon.to_string()))
    })
    .await;
    fixture.realm.set_job_state(&id, "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
}
