//! So many links that cannot be revoked that no further one is made: what came of it could not be written down.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::api::conditions::REVOKE_REFUSED;
use harness::simulator::Operation;
use serde_json::json;

use crate::fixture::{Fixture, History, REQUEST, conditions, job_of, message, said_by, wait_for, wait_until_gone};

/// The jobs of earlier attempts that a status holds.
const EARLIER: i64 = 16;

#[tokio::test]
async fn nothing_is_sent_while_as_many_as_a_status_holds_cannot_be_revoked_and_a_deletion_comes_to_its_end() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(3)).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    let mut jobs = Vec::new();
    for attempt in 1..=EARLIER + 1 {
        fixture.change_request(json!({"attempt": attempt})).await.unwrap();
        let concluded = move |request: &EnrollmentRequest| {
            request.status.as_ref().is_some_and(|status| status.attempt == Some(attempt) && status.send.is_none())
        };
        let request = wait_for(fixture.requests(), REQUEST, format!("has sent attempt {attempt}"), concluded).await;
        jobs.push(job_of(&request));
    }
    assert_eq!(fixture.mailed(), jobs);

    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.change_request(json!({"attempt": EARLIER + 2})).await.unwrap();
    let request = history.says("TooManyActiveLinks").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False RevokeRefused=True");
    let said = "17 links of earlier attempts are still valid and cannot be revoked, so no further email is sent";
    assert!(message(&request).starts_with(said), "{}", message(&request));
    let status = request.status.as_ref().unwrap();
    assert_eq!((status.attempt, status.previous_jobs.len()), (Some(EARLIER + 1), 16));
    let stalled = history.first("stalled", |request| conditions(request).starts_with("Stalled=True")).await;
    let refused = said_by(&stalled, REVOKE_REFUSED);
    assert!(jobs.iter().any(|job| refused.contains(job)), "{refused}");
    assert_eq!(fixture.calls(Operation::CreateJob), jobs.len());

    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(left.contains(&jobs[0]), "{left}");
    assert_eq!(fixture.mailed(), jobs);
}

#[tokio::test]
async fn one_that_has_come_to_its_end_makes_room() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    fixture.realm.refuse_revoke(403);
    fixture.create_request().await;
    for attempt in 1..=EARLIER + 1 {
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
    fixture.change_request(json!({"attempt": EARLIER + 2})).await.unwrap();
    let request = fixture.request_says("TooManyActiveLinks").await;
    fixture.realm.set_job_state(&request.status.unwrap().previous_jobs[3].id, "EXPIRED");
    let request = fixture.request_says("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().attempt, Some(EARLIER + 2));
    let mailed = fixture.mailed();
    assert_eq!((mailed.len(), mailed.last()), (18, Some(&job_of(&request))));
}
