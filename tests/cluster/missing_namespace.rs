//! A watched namespace that cannot be read, because it does not exist or the operator has no Role there, does not stop
//! the others. It is picked up when it can be read again.

use beyond_identity_operator::api::{EnrollmentRequest, RECONCILE_REQUESTED_AT};
use harness::proxy::Way;
use harness::simulator::Identity;

use crate::fixture::{
    Access, Fixture, JANE, Process, REQUEST, annotate, conditions, eventually, job_of, message, wait_for,
    wait_until_deleted,
};

const LEADER_ELECT: [&str; 1] = ["--leader-elect"];
const UNAVAILABLE: &str = "Watched namespace is unavailable";
const AVAILABLE: &str = "Watched namespace is available";

/// Waits until the process is ready and leader, and `/metrics` shows whether this namespace is available.
async fn serves(process: &Process, namespace: &str, available: bool) {
    eventually("it is ready", || process.get("/readyz") == (200, "ok".to_owned())).await;
    let line = format!(
        "beyond_identity_operator_watched_namespace_available{{watched_namespace=\"{namespace}\"}} {}",
        u8::from(available)
    );
    eventually(&line, || process.get("/metrics").1.lines().any(|written| written == line)).await;
}

/// Asserts that the log has one warning about this namespace, and no further line about it as long as nothing changes.
fn assert_warned_once(process: &Process, namespace: &str) {
    let log = process.log();
    let warned: Vec<_> =
        log.iter().filter(|line| line["message"].as_str().is_some_and(|it| it.starts_with(UNAVAILABLE))).collect();
    let [line] = &warned[..] else { panic!("there is not exactly one warning: {warned:?}") };
    assert_eq!((line["level"].as_str(), line["namespace"].as_str()), (Some("WARN"), Some(namespace)));
    let error = line["error"].as_str().unwrap();
    assert!(error.contains(&format!("in namespace {namespace}")) && error.contains("--watch-namespace"), "{error}");
}

/// The access of the operator as the chart has installed it, without another installation.
fn as_installed(fixture: &Fixture, watched: &[&str]) -> Access<'static> {
    let account = format!("{}-beyond-identity-operator", fixture.operator_namespace);
    Access::shared().watching(watched).of_service_account(&account)
}

#[tokio::test]
async fn missing_namespace_stops_no_other_and_is_picked_up_when_created() {
    let fixture = Fixture::new().await;
    let missing = format!("{}-beside", fixture.namespace);
    let process = fixture.spawn(&Access::shared().watching(&[&missing]), &LEADER_ELECT).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    serves(&process, &missing, false).await;
    assert_warned_once(&process, &missing);

    let beside = fixture.other_namespace().await;
    assert_eq!(beside.namespace, missing);
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    beside.create_config().await;
    beside.create_request_of("late", "joe").await;
    fixture.grant_in(&missing).await;
    beside.wait_for_request_named("late", "LinkSent").await;
    serves(&process, &missing, true).await;
    assert_eq!(process.logged(AVAILABLE).len(), 1);
    assert_warned_once(&process, &missing);
    assert_eq!(fixture.realm.outbox().len(), 2);
}

#[tokio::test]
async fn requests_of_a_namespace_that_returns_are_known_before_one_of_them_sends() {
    let fixture = Fixture::new().await;
    let beside = fixture.other_namespace().await;
    let first = fixture.spawn(&Access::shared().watching(&[&beside.namespace]), &LEADER_ELECT).await;
    beside.create_config().await;
    beside.create_request().await;
    let job = job_of(&beside.wait_for_request("LinkSent").await);
    // Nothing can be adopted, so another request for the identity would send.
    fixture.realm.set_job_state(&job, "EXPIRED");
    beside.create_request_of("duplicate", JANE).await;
    beside.wait_for_request_named("duplicate", "DuplicateRequest").await;
    assert_eq!(first.stop().0, Some(0));

    beside.revoke_in(&beside.namespace).await;
    let next = fixture.spawn(&as_installed(&fixture, &[&beside.namespace]), &LEADER_ELECT).await;
    serves(&next, &beside.namespace, false).await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_config().await;
    fixture.create_request_of("other", "joe").await;
    fixture.wait_for_request_named("other", "LinkSent").await;

    annotate(&beside.requests(), "duplicate", RECONCILE_REQUESTED_AT, "now").await;
    fixture.grant_in(&beside.namespace).await;
    serves(&next, &beside.namespace, true).await;
    let request = wait_for(beside.requests(), "duplicate", "is reconciled", |request: &EnrollmentRequest| {
        request.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some("now")
    })
    .await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False", "{}", message(&request));
    assert_eq!(fixture.realm.outbox().len(), 2);
}

#[tokio::test]
async fn namespace_that_is_lost_stops_neither_the_leader_nor_a_takeover() {
    let fixture = Fixture::new().await;
    let beside = fixture.other_namespace().await;
    // Before the proxy, so that a process starts with what is granted.
    let (access, proxy) = Access::shared().watching(&[&beside.namespace]).through(Way::Open);
    let leader = fixture.spawn(&access, &LEADER_ELECT).await;
    fixture.create_config().await;
    beside.create_config().await;
    beside.create_request().await;
    let job = job_of(&beside.wait_for_request("LinkSent").await);
    let standby = fixture.spawn(&access, &LEADER_ELECT).await;
    eventually("the other process is a standby", || {
        standby.logged("Standing by: another process is the leader").len() == 1
    })
    .await;

    beside.revoke_in(&beside.namespace).await;
    // The watches do not notice it before they start again.
    proxy.set(Way::Cut);
    let failed = |process: &Process| !process.logged("requests to the Kubernetes API").is_empty();
    eventually("the watches fail", || failed(&leader) && failed(&standby)).await;
    proxy.set(Way::Open);
    serves(&leader, &beside.namespace, false).await;
    for process in [&leader, &standby] {
        eventually("it warns", || !process.logged(UNAVAILABLE).is_empty()).await;
        assert_warned_once(process, &beside.namespace);
        eventually("it is ready", || process.get("/readyz") == (200, "ok".to_owned())).await;
    }
    for (name, leader) in [("joe", Some(leader)), ("ann", None)] {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
        fixture.wait_for_request_named(name, "LinkSent").await;
        if let Some(leader) = leader {
            assert_eq!(leader.stop().0, Some(0));
        }
    }
    serves(&standby, &beside.namespace, false).await;

    // Its requests are deleted, and their links revoked, as soon as it can be read.
    beside.delete_request(REQUEST).await;
    fixture.grant_in(&beside.namespace).await;
    wait_until_deleted(beside.requests(), REQUEST).await;
    assert_eq!(fixture.revocations(), [job]);
    serves(&standby, &beside.namespace, true).await;
}
