//! The service lists a job, and does not find it by its id: one of the two answers is wrong, and nothing that cannot be
//! undone follows from either.

use std::time::Duration;

use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Reply, Rule, RuleId};
use serde_json::json;

use crate::fixture::{Fixture, Operator, REQUEST, conditions, eventually, job_of, message, wait_until_gone};

fn quick(settings: &mut Settings) {
    settings.resync_interval = Duration::from_secs(1);
    settings.grace_period = Duration::from_secs(3);
}

/// No job is found by its id, for this operation.
fn hide(fixture: &Fixture, operation: Operation) -> RuleId {
    let gone = Reply::resource_error(404, "not_found", "not found", "CredentialBindingJob", "x");
    fixture.realm.fault(Rule::new(Effect::Answer(gone)).on(operation))
}

/// A link that nobody looks after any more, and a new operator.
async fn with_a_link_out() -> (Fixture, Operator, String) {
    let (fixture, operator) = Fixture::ready_with(quick).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    operator.stop().await;
    let operator = fixture.start_with(quick).await;
    (fixture, operator, job)
}

/// Waits until a request that is made while the job is hidden says so.
async fn says_that_they_disagree(fixture: &Fixture, job: &str) {
    fixture.create_request().await;
    let request = fixture.request_says("InconsistentAnswers").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(message(&request).contains(job), "{}", message(&request));
}

async fn is_adopted(fixture: &Fixture, job: &str) {
    let request = fixture.request_says("Adopted").await;
    assert_eq!((job_of(&request).as_str(), fixture.mailed()), (job, vec![job.to_owned()]));
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn a_link_that_a_list_shows_and_its_id_does_not_is_no_reason_to_send_and_is_adopted_once_both_agree() {
    let (fixture, _operator, job) = with_a_link_out().await;
    let hidden = hide(&fixture, Operation::GetJob);
    says_that_they_disagree(&fixture, &job).await;
    fixture.realm.remove_fault(hidden);
    is_adopted(&fixture, &job).await;
}

#[tokio::test]
async fn that_it_was_not_found_by_its_id_is_not_remembered_over_looks_that_fail() {
    let (fixture, _operator, job) = with_a_link_out().await;
    let hidden = hide(&fixture, Operation::GetJob);
    says_that_they_disagree(&fixture, &job).await;
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs));
    eventually("a look has failed", || fixture.realm.fired(down) >= 1).await;
    fixture.realm.remove_fault(hidden);
    fixture.realm.remove_fault(down);
    is_adopted(&fixture, &job).await;
}

#[tokio::test]
async fn a_deletion_waits_no_longer_than_the_grace_period_for_answers_to_agree_and_tells_what_may_be_left() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    hide(&fixture, Operation::GetJob);
    hide(&fixture, Operation::RevokeJob);
    fixture.delete_request(REQUEST).await;
    let request = fixture.request_says("DeletionBlocked").await;
    assert!(message(&request).contains(&job), "{}", message(&request));
    wait_until_gone(fixture.requests(), REQUEST).await;
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(left.contains(&job), "{left}");
    assert_eq!(fixture.mailed(), [job]);
}
