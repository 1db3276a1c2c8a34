//! Two processes, one leader: who acts, when the other one takes over, and that there is one email whatever happens.

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

/// A leader that has made the AuthenticatorConfig, and a standby.
async fn two() -> (Fixture, Process, Process) {
    two_with(&Access::shared()).await
}

/// The same, with another way for the leader.
async fn two_with(access: &Access<'_>) -> (Fixture, Process, Process) {
    let fixture = Fixture::new().await;
    let leader = fixture.spawn(access, &LEADER_ELECT).await;
    fixture.create_config().await;
    fixture.config_says("Available").await;
    let standby = fixture.spawn(&Access::shared(), &LEADER_ELECT).await;
    eventually("the other one stands by", || standby.said("Standing by: another process is the leader").len() == 1)
        .await;
    (fixture, leader, standby)
}

fn leases(fixture: &Fixture) -> Api<Lease> {
    Api::namespaced(fixture.client.clone(), &fixture.operator_namespace)
}

async fn lease(fixture: &Fixture) -> LeaseSpec {
    leases(fixture).get(LEASE).await.unwrap().spec.unwrap()
}

fn leads(process: &Process) -> bool {
    !process.said("Became the leader").is_empty()
}

/// The record of the next leader, and how long it took from the last time that the one before had renewed its own.
async fn taken_over(fixture: &Fixture, before: &LeaseSpec) -> (LeaseSpec, Duration) {
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

/// The one request is settled by the one email.
async fn assert_one_email(fixture: &Fixture) {
    let request = fixture.request_says("LinkSent").await;
    let [email] = &fixture.realm.outbox()[..] else { panic!("not one email: {:?}", fixture.realm.outbox()) };
    assert_eq!(job_of(&request), email.job_id);
}

#[tokio::test]
async fn a_standby_is_ready_and_acts_when_the_lease_of_a_leader_that_was_killed_has_run_out() {
    let (fixture, leader, standby) = two().await;
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
    let (after, took) = taken_over(&fixture, &before).await;
    assert!(took >= Duration::from_secs(15), "after {took:?}, while the other one could have been alive");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(after.lease_transitions, Some(2));
    assert_one_email(&fixture).await;
    assert!(leads(&standby));
}

#[tokio::test]
async fn a_leader_that_is_asked_to_end_gives_the_lease_up_and_the_standby_acts_at_once() {
    let (fixture, leader, standby) = two().await;
    let before = lease(&fixture).await;
    let (code, printed) = leader.stop();
    assert_eq!(code, Some(0), "{printed}");
    fixture.create_request().await;
    let (_, took) = taken_over(&fixture, &before).await;
    assert!(took < Duration::from_secs(15), "after {took:?}: it waited for the lease to run out");
    assert_one_email(&fixture).await;
    assert!(leads(&standby));
}

#[tokio::test]
async fn a_send_under_way_comes_to_its_end_and_is_written_down_before_the_lease_is_given_up() {
    let (fixture, leader, standby) = two().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(4))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email went out", || fixture.realm.outbox().len() == 1).await;
    let (code, printed) = leader.stop();
    assert_eq!(code, Some(0), "{printed}");
    let written = fixture.requests().get(REQUEST).await.unwrap().status.unwrap();
    assert_eq!((written.send, written.job_id.as_ref()), (None, Some(&fixture.realm.outbox()[0].job_id)));
    eventually("the standby leads", || leads(&standby)).await;
    assert_one_email(&fixture).await;
    let [send] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("it was sent again") };
    let taken = lease(&fixture).await.acquire_time.unwrap().0;
    assert!(taken.duration_since(send.time).unsigned_abs() > Duration::from_secs(4), "it had not been answered yet");
}

#[tokio::test]
async fn a_leader_killed_with_a_send_under_way_leaves_one_email() {
    let (fixture, leader, _standby) = two().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(AGES)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email went out", || fixture.realm.outbox().len() == 1).await;
    leader.kill();
    assert_one_email(&fixture).await;
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn a_leader_whose_api_server_falls_silent_finishes_its_send_begins_no_other_and_ends_with_1() {
    let (access, proxy) = Access::shared().through(Way::Open);
    let (fixture, leader, standby) = two_with(&access).await;
    // It is answered when the lease is lost, and the standby does not lead yet, or has just begun to.
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(14))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("it sends", || fixture.calls(Operation::CreateJob) == 1).await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    let slow = Rule::new(Effect::Delay(Duration::from_secs(11))).on(Operation::ListJobs).about("joe").once();
    let slow = fixture.realm.fault(slow);
    fixture.create_request_of("later", "joe").await;
    eventually("it is about to send again", || fixture.realm.fired(slow) == 1).await;
    proxy.set(Way::Silent);
    let (code, printed) = leader.end();
    assert_eq!(code, Some(1), "{printed}");
    let sends = fixture.realm.requests_of(Operation::CreateJob);
    assert!(matches!(sends[0].outcome, Outcome::Answered(_)), "it did not wait for the answer: {sends:?}");
    let said = format!(
        "error: leader election lost: the Lease {}/{LEASE} was not renewed within 10 s (no response from the Kubernetes \
         API within 3 s); another process may be the leader now\n",
        fixture.operator_namespace
    );
    assert!(printed.ends_with(&said), "{printed}");
    fixture.request_says("LinkSent").await;
    fixture.named_request_says("later", "LinkSent").await;
    assert!(leads(&standby));
    assert_eq!(fixture.realm.outbox().len(), 2);
    let [_, later] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("there are not two sends") };
    assert!(later.time > lease(&fixture).await.acquire_time.unwrap().0, "it is the next leader that sent it");
}

#[tokio::test]
async fn a_leader_whose_lease_is_somebody_elses_begins_no_send_and_ends_with_1() {
    let (fixture, leader, standby) = two().await;
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(10))).on(Operation::ListJobs).once());
    fixture.create_request().await;
    eventually("it is about to send", || fixture.calls(Operation::ListJobs) == 1).await;
    let theirs = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 20}});
    patch(&leases(&fixture), LEASE, theirs).await.unwrap();
    let (code, printed) = leader.end();
    assert_eq!(code, Some(1), "{printed}");
    let said = format!(
        "error: leader election lost: the Lease {}/{LEASE} is now held by somebody-else\n",
        fixture.operator_namespace
    );
    assert!(printed.ends_with(&said), "{printed}");
    let request = fixture.requests().get(REQUEST).await.unwrap();
    assert_eq!(message(&request), "The operator is shutting down; the next process continues");
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    // That somebody never renews it.
    assert_one_email(&fixture).await;
    assert!(leads(&standby));
}
