//! The service lists a job, and does not find it by its id. One of the two answers is wrong, so nothing irreversible is
//! done.

use std::time::Duration;

use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Reply, Rule, RuleId};
use serde_json::json;

use crate::fixture::{Fixture, Operator, REQUEST, conditions, eventually, job_of, message, wait_until_deleted};

fn quick(settings: &mut Settings) {
    settings.resync_interval = Duration::from_secs(1);
    settings.grace_period = Duration::from_secs(3);
}

/// Lets this operation find no job by its id.
fn hide(fixture: &Fixture, operation: Operation) -> RuleId {
    let not_found = Reply::resource_error(404, "not_found", "not found", "CredentialBindingJob", "x");
    fixture.realm.fault(Rule::new(Effect::Answer(not_found)).on(operation))
}

/// An orphaned link, and a new operator.
async fn with_orphaned_link() -> (Fixture, Operator, String) {
    let (fixture, operator) = Fixture::ready_with(quick).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    operator.stop().await;
    let operator = fixture.start_with(quick).await;
    (fixture, operator, job)
}

/// Creates a request while the job is hidden, and waits until the inconsistency is reported.
async fn assert_inconsistency_is_reported(fixture: &Fixture, job: &str) {
    fixture.create_request().await;
    let request = fixture.wait_for_request("InconsistentAnswers").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(message(&request).contains(job), "{}", message(&request));
}

async fn assert_adopted(fixture: &Fixture, job: &str) {
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!((job_of(&request).as_str(), fixture.mailed()), (job, vec![job.to_owned()]));
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn link_listed_but_not_found_by_id_is_adopted_once_answers_agree() {
    let (fixture, _operator, job) = with_orphaned_link().await;
    let hidden = hide(&fixture, Operation::GetJob);
    assert_inconsistency_is_reported(&fixture, &job).await;
    fixture.realm.remove_fault(hidden);
    assert_adopted(&fixture, &job).await;
}

#[tokio::test]
async fn not_found_result_is_not_kept_across_failed_reconciles() {
    let (fixture, _operator, job) = with_orphaned_link().await;
    let hidden = hide(&fixture, Operation::GetJob);
    assert_inconsistency_is_reported(&fixture, &job).await;
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs));
    eventually("a reconcile has failed", || fixture.realm.fired(down) >= 1).await;
    fixture.realm.remove_fault(hidden);
    fixture.realm.remove_fault(down);
    assert_adopted(&fixture, &job).await;
}

#[tokio::test]
async fn inconsistent_answers_block_deletion_for_the_grace_period_only() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    hide(&fixture, Operation::GetJob);
    hide(&fixture, Operation::RevokeJob);
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request("DeletionBlocked").await;
    assert!(message(&request).contains(&job), "{}", message(&request));
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&job), "{note}");
    assert_eq!(fixture.mailed(), [job]);
}
