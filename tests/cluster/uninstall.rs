//! Rights that are removed while the operator runs: `helm uninstall` removes them before the pods end.

use std::time::Duration;

use harness::simulator::{Effect, Identity, Operation, Rule};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::Value;

use crate::fixture::{Access, Fixture, eventually, job_of};

/// Arguments with which each request is polled about once in a second.
const POLLED: [&str; 7] = ["--leader-elect", "--job-poll-min", "1s", "--job-poll-max", "1s", "--poll-budget", "6000"];

/// Requests whose links were sent, and their jobs.
async fn with_links(fixture: &Fixture, count: usize) -> Vec<String> {
    fixture.create_config().await;
    let mut jobs = Vec::new();
    for number in 0..count {
        let name = format!("request-{number}");
        fixture.realm.add_identity(Identity::active(&name, "someone@example.com"));
        fixture.create_request_of(&name, &name).await;
        jobs.push(job_of(&fixture.wait_for_request_named(&name, "LinkSent").await));
    }
    jobs
}

/// The lines of the log since its first `before` lines that are warnings or errors.
fn warnings(log: &[Value], before: usize) -> Vec<String> {
    let is_warning = |line: &&Value| matches!(line["level"].as_str(), Some("WARN" | "ERROR"));
    log[before..].iter().filter(is_warning).map(ToString::to_string).collect()
}

#[tokio::test]
async fn operator_without_rights_ends_quietly() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &POLLED).await;
    let jobs = with_links(&fixture, 5).await;
    // Reconciles are in flight when the rights are removed, and their results cannot be written.
    let slow = fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(5))).on(Operation::GetJob));
    jobs.iter().for_each(|job| fixture.realm.set_job_state(job, "LINK_OPENED"));
    eventually("the polls are in flight", || fixture.realm.fired(slow) as usize >= jobs.len()).await;
    fixture.revoke_all().await;
    let before = process.log().len();
    let (code, printed) = process.stop();
    assert_eq!(code, Some(0), "{printed}");
    let log: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(warnings(&log, before), [""; 0]);
    let leases: Api<Lease> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    let lease = leases.get("beyond-identity-operator").await.unwrap();
    assert!(lease.spec.unwrap().holder_identity.is_some(), "the Lease could not be released");
}

#[tokio::test]
async fn running_operator_without_rights_warns_a_few_times() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &POLLED[1..]).await;
    let jobs = with_links(&fixture, 20).await;
    fixture.revoke_all().await;
    let before = process.log().len();
    jobs.iter().for_each(|job| fixture.realm.set_job_state(job, "LINK_OPENED"));
    let polls = fixture.calls(Operation::GetJob);
    eventually("each request is polled", || fixture.calls(Operation::GetJob) >= polls + jobs.len()).await;
    let log = process.log();
    let warned = warnings(&log, before);
    assert!((1..=10).contains(&warned.len()), "{} warnings: {warned:#?}", warned.len());
    assert_eq!(process.stop().0, Some(0));
}
