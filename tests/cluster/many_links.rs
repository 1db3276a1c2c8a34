//! Too many links that cannot be revoked: no further email is sent, since its outcome could not be recorded.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use harness::simulator::Operation;
use serde_json::json;

use crate::fixture::{
    Fixture, History, REQUEST, conditions, job_of, message, message_of, wait_for, wait_until_deleted,
};

/// The most active links of earlier attempts with which another email is sent.
const MAX_ACTIVE_LINKS: i64 = 16;

#[tokio::test]
async fn too_many_active_links_block_sends_but_not_deletion() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(3)).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let mut jobs = Vec::new();
    for attempt in 1..=MAX_ACTIVE_LINKS + 1 {
        fixture.change_request(json!({"attempt": attempt})).await.unwrap();
        let concluded = move |request: &EnrollmentRequest| {
            request.status.as_ref().is_some_and(|status| status.attempt == Some(attempt) && status.send.is_none())
        };
        let request = wait_for(fixture.requests(), REQUEST, format!("has sent attempt {attempt}"), concluded).await;
        jobs.push(job_of(&request));
    }
    assert_eq!(fixture.mailed(), jobs);

    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"attempt": MAX_ACTIVE_LINKS + 2})).await.unwrap();
    let request = history.first_with_reason("TooManyActiveLinks").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False RevokeRefused=True");
    let expected = "17 links of earlier attempts are still active and cannot be revoked, so no further email is sent";
    assert!(message(&request).starts_with(expected), "{}", message(&request));
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, status.previous_jobs.len()), (Some(MAX_ACTIVE_LINKS + 1), 16));
    let stalled = history.first("stalled", |request| conditions(request).starts_with("Stalled=True")).await;
    let refused = message_of(&stalled, REVOKE_REFUSED);
    assert!(jobs.iter().any(|job| refused.contains(job)), "{refused}");
    assert_eq!(fixture.calls(Operation::CreateJob), jobs.len());

    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&jobs[0]), "{note}");
    assert_eq!(fixture.mailed(), jobs);
}

#[tokio::test]
async fn expired_link_allows_the_next_send() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    for attempt in 1..=MAX_ACTIVE_LINKS + 1 {
        fixture.change_request(json!({"attempt": attempt})).await.unwrap();
        wait_for(
            fixture.requests(),
            REQUEST,
            format!("has sent attempt {attempt}"),
            move |request: &EnrollmentRequest| {
                request.status.as_ref().is_some_and(|status| status.attempt == Some(attempt) && status.send.is_none())
            },
        )
        .await;
    }
    fixture.change_request(json!({"attempt": MAX_ACTIVE_LINKS + 2})).await.unwrap();
    let request = fixture.wait_for_request("TooManyActiveLinks").await;
    fixture.realm.set_job_state(&request.status.unwrap().previous_jobs[3].id, "EXPIRED");
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(MAX_ACTIVE_LINKS + 2));
    let mailed = fixture.mailed();
    assert_eq!((mailed.len(), mailed.last()), (18, Some(&job_of(&request))));
}
