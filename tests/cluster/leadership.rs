//! Leader election with two processes: the leader acts, the standby takes over, and one email is sent.

use std::time::Duration;

use harness::proxy::Way;
use harness::simulator::{Effect, Identity, Operation, Outcome, Rule};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use serde_json::json;

use crate::fixture::{Access, Fixture, Process, REQUEST, eventually, job_of, message, patch, wait_for};

const LEADER_ELECT: [&str; 1] = ["--leader-elect"];
const LEASE: &str = "beyond-identity-operator";
/// Longer than any test takes.
const AGES: Duration = Duration::from_secs(600);

/// A leader that has created the configuration, and a standby.
async fn leader_and_standby() -> (Fixture, Process, Process) {
    leader_and_standby_through(&Access::shared()).await
}

/// The same, with this access to the API server for the leader.
async fn leader_and_standby_through(access: &Access<'_>) -> (Fixture, Process, Process) {
    let fixture = Fixture::new().await;
    let leader = fixture.spawn(access, &LEADER_ELECT).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    let standby = fixture.spawn(&Access::shared(), &LEADER_ELECT).await;
    eventually("the other process is a standby", || {
        standby.logged("Standing by: another process is the leader").len() == 1
    })
    .await;
    (fixture, leader, standby)
}

fn leases(fixture: &Fixture) -> Api<Lease> {
    Api::namespaced(fixture.client.clone(), &fixture.operator_namespace)
}

async fn lease(fixture: &Fixture) -> LeaseSpec {
    leases(fixture).get(LEASE).await.unwrap().spec.unwrap()
}

fn became_leader(process: &Process) -> bool {
    !process.logged("Became the leader").is_empty()
}

/// The Lease of the next leader, and the time from the last renewal of the previous leader to the takeover.
async fn takeover(fixture: &Fixture, before: &LeaseSpec) -> (LeaseSpec, Duration) {
    let last = before.clone();
    let seen = parking_lot::Mutex::new(last);
    let after = wait_for(leases(fixture), LEASE, "has another holder", |lease: &Lease| {
        let spec = lease.spec.as_ref().unwrap();
        let ours = spec.holder_identity == before.holder_identity;
        if ours {
            *seen.lock() = spec.clone();
        }
        spec.holder_identity.is_some() && !ours
    })
    .await
    .spec
    .unwrap();
    let last = seen.into_inner();
    let took = after.acquire_time.as_ref().unwrap().0.duration_since(last.renew_time.unwrap().0);
    (after, took.unsigned_abs())
}

/// The only email belongs to the job of the request.
async fn assert_one_email(fixture: &Fixture) {
    let request = fixture.wait_for_request("LinkSent").await;
    let [email] = &fixture.realm.outbox()[..] else {
        panic!("there is not exactly one email: {:?}", fixture.realm.outbox())
    };
    assert_eq!(job_of(&request), email.job_id);
}

#[tokio::test]
async fn standby_takes_over_when_the_lease_of_a_killed_leader_expires() {
    let (fixture, leader, standby) = leader_and_standby().await;
    eventually("it is ready", || standby.get("/readyz") == (200, "ok".to_owned())).await;
    assert_eq!(leader.get("/readyz"), (200, "ok".to_owned()));
    let before = lease(&fixture).await;
    let log = standby.log();
    let named = log
        .iter()
        .filter(|line| line["holder"].is_string() && line["holder"].as_str() == before.holder_identity.as_deref());
    assert_eq!(named.count(), 1, "{log:?}");
    leader.kill();
    fixture.create_request().await;
    let (after, took) = takeover(&fixture, &before).await;
    assert!(took >= Duration::from_secs(15), "after {took:?}, before the lease expired");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(after.lease_transitions, Some(2));
    assert_one_email(&fixture).await;
    assert!(became_leader(&standby));
}

#[tokio::test]
async fn stopped_leader_releases_the_lease_and_standby_takes_over() {
    let (fixture, leader, standby) = leader_and_standby().await;
    let before = lease(&fixture).await;
    let (code, printed) = leader.stop();
    assert_eq!(code, Some(0), "{printed}");
    fixture.create_request().await;
    let (_, took) = takeover(&fixture, &before).await;
    assert!(took < Duration::from_secs(15), "after {took:?}: the standby waited until the lease expired");
    assert_one_email(&fixture).await;
    assert!(became_leader(&standby));
}

#[tokio::test]
async fn in_flight_send_is_recorded_before_the_lease_is_released() {
    let (fixture, leader, standby) = leader_and_standby().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(4))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email is sent", || fixture.realm.outbox().len() == 1).await;
    let (code, printed) = leader.stop();
    assert_eq!(code, Some(0), "{printed}");
    let written = fixture.requests().get(REQUEST).await.unwrap().status.unwrap();
    assert_eq!((written.send, written.job_id.as_ref()), (None, Some(&fixture.realm.outbox()[0].job_id)));
    eventually("the standby is the leader", || became_leader(&standby)).await;
    assert_one_email(&fixture).await;
    let [send] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("there is not exactly one send") };
    let acquired = lease(&fixture).await.acquire_time.unwrap().0;
    assert!(
        acquired.duration_since(send.time).unsigned_abs() > Duration::from_secs(4),
        "the lease was acquired before the send was answered"
    );
}

#[tokio::test]
async fn leader_killed_during_a_send_leaves_one_email() {
    let (fixture, leader, _standby) = leader_and_standby().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(AGES)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email is sent", || fixture.realm.outbox().len() == 1).await;
    leader.kill();
    assert_one_email(&fixture).await;
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn leader_without_api_server_finishes_its_send_and_exits_with_1() {
    let (access, proxy) = Access::shared().through(Way::Open);
    let (fixture, leader, standby) = leader_and_standby_through(&access).await;
    // The answer comes after the lease is lost, about when the standby becomes the leader.
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(14))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the send is called", || fixture.calls(Operation::CreateJob) == 1).await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    let slow = Rule::new(Effect::Delay(Duration::from_secs(11))).on(Operation::ListJobs).about("joe").once();
    let slow = fixture.realm.fault(slow);
    fixture.create_request_of("later", "joe").await;
    eventually("the second send is about to start", || fixture.realm.fired(slow) == 1).await;
    proxy.set(Way::Silent);
    let (code, printed) = leader.end();
    assert_eq!(code, Some(1), "{printed}");
    let sends = fixture.realm.requests_of(Operation::CreateJob);
    assert!(matches!(sends[0].outcome, Outcome::Answered(_)), "the process did not wait for the answer: {sends:?}");
    let expected = format!(
        "error: leader election lost: the Lease {}/{LEASE} was not renewed within 10 s (no response from the Kubernetes \
         API within 3 s); another process may be the leader now\n",
        fixture.operator_namespace
    );
    assert!(printed.ends_with(&expected), "{printed}");
    fixture.wait_for_request("LinkSent").await;
    fixture.wait_for_request_named("later", "LinkSent").await;
    assert!(became_leader(&standby));
    assert_eq!(fixture.realm.outbox().len(), 2);
    let [_, later] = &fixture.realm.requests_of(Operation::CreateJob)[..] else {
        panic!("there are not exactly two sends")
    };
    assert!(later.time > lease(&fixture).await.acquire_time.unwrap().0, "the next leader sends it");
}

#[tokio::test]
async fn leader_that_loses_the_lease_starts_no_send_and_exits_with_1() {
    let (fixture, leader, standby) = leader_and_standby().await;
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(10))).on(Operation::ListJobs).once());
    fixture.create_request().await;
    eventually("the send is about to start", || fixture.calls(Operation::ListJobs) == 1).await;
    let other_holder = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 20}});
    patch(&leases(&fixture), LEASE, other_holder).await.unwrap();
    let (code, printed) = leader.end();
    assert_eq!(code, Some(1), "{printed}");
    let expected = format!(
        "error: leader election lost: the Lease {}/{LEASE} is now held by somebody-else\n",
        fixture.operator_namespace
    );
    assert!(printed.ends_with(&expected), "{printed}");
    let request = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!(message(&request), "The operator is shutting down; the next process continues");
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    // The other holder never renews the lease.
    assert_one_email(&fixture).await;
    assert!(became_leader(&standby));
}
