//! Valid answers to other requests, as a proxy returns them that mixes up connections, or a cache with a wrong key.
//! Nobody else is emailed, and nothing of others is adopted.

use harness::simulator::{Config, Effect, Identity, Job, Operation, Reply, Rule};
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, JANE, REQUEST, conditions, eventually, job_of, message, poll_often, short_delays,
};

/// Another identity of the realm.
const JOE: &str = "joe";

fn answer(fixture: &Fixture, operation: Operation, body: &Value) -> harness::simulator::RuleId {
    fixture.realm.fault(Rule::new(Effect::Answer(Reply::json(200, body))).on(operation))
}

fn identity(id: &str) -> Value {
    json!({"id": id, "status": "active", "traits": {"primary_email_address": format!("{id}@example.com")}})
}

#[tokio::test]
async fn identity_of_another_request_is_not_emailed() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active(JOE, "joe@example.com"));
    let rule = answer(&fixture, Operation::GetIdentity, &json!({"identity": identity(JOE)}));
    fixture.create_request_of(REQUEST, JANE).await;
    let request = fixture.wait_for_request("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        "GET identities/{id} returned 200 with an unusable response: it is about an object with another id, so it may \
         be the answer to another request"
    );
    fixture.realm.remove_fault(rule);
    let request = fixture.wait_for_request("LinkSent").await;
    let recipients: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.identity_id).collect();
    assert_eq!((recipients, fixture.mailed()), (vec![JANE.to_owned()], vec![job_of(&request)]));
}

/// The email of a send in doubt was sent. A list of the jobs of somebody else does not show that it was not.
#[tokio::test]
async fn list_of_another_identity_or_realm_decides_no_doubt() {
    let theirs = |field: &str| json!({"credential_binding_jobs": [{"id": "a", field: "other"}], "total_size": 1});
    futures::future::join_all(["identity_id", "realm_id", "tenant_id"].map(|field| async move {
        let (fixture, _operator) = Fixture::ready_with(short_delays).await;
        fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
        let list = Effect::Answer(Reply::json(200, &theirs(field)));
        let rule = fixture.realm.fault(Rule::new(list).on(Operation::ListJobs).about(JANE).skip(1));
        fixture.create_request().await;
        // More lists than decide a doubt.
        eventually("the jobs are listed", || fixture.realm.fired(rule) >= 4).await;
        assert_eq!(fixture.calls(Operation::CreateJob), 1, "{field}");
        fixture.realm.remove_fault(rule);
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{field}");
    }))
    .await;
}

/// The answer to an earlier call, in place of the answer to the send.
#[tokio::test]
async fn send_answered_with_an_earlier_job_is_found_by_list() {
    let (fixture, _operator) = Fixture::ready_with(short_delays).await;
    let earlier = Job { state: Some("REVOKED".to_owned()), ..Job::email(JANE, &fixture.realm.configs()[0].id) };
    fixture.realm.add_job(earlier.clone());
    let replay = json!({"credential_binding_job": {"id": earlier.id, "identity_id": JANE, "state": "LINK_SENT"}});
    let rule = Rule::new(Effect::HappenThenAnswer(Reply::json(200, &replay))).on(Operation::CreateJob).once();
    fixture.realm.fault(rule);
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_ne!(job_of(&request), earlier.id);
    assert_eq!(fixture.mailed(), [job_of(&request)]);
}

#[tokio::test]
async fn create_answered_with_another_configuration_takes_nothing() {
    let fixture = Fixture::new().await;
    let theirs = Config { display_name: Some("By hand".to_owned()), ..Config::of_type("hosted_web") };
    fixture.realm.add_config(theirs.clone());
    let replay = Reply::json(200, &json!({"id": theirs.id, "config": {"type": "hosted_web"}}));
    fixture.realm.fault(Rule::new(Effect::HappenThenAnswer(replay)).on(Operation::CreateConfig).once());
    let _operator = fixture.start_with(short_delays).await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_ne!(config.status.unwrap().id, Some(theirs.id.clone()));
    fixture.delete_config().await;
    crate::fixture::wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), [theirs]);
}

/// A poll that is answered with the job of somebody else says nothing about the own job.
#[tokio::test]
async fn job_of_another_request_is_neither_adopted_nor_recorded() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    let config = fixture.realm.configs()[0].id.clone();
    let own = Job::email(JANE, &config);
    fixture.realm.add_job(own.clone());
    let other = json!({"id": "other", "state": "LINK_SENT"});
    let rule = answer(&fixture, Operation::GetJob, &other);
    fixture.create_request().await;
    fixture.wait_for_request("ServiceUnavailable").await;
    fixture.realm.remove_fault(rule);
    assert_eq!(job_of(&fixture.wait_for_request("Adopted").await), own.id);
    let rule = answer(&fixture, Operation::GetJob, &json!({"id": "other", "state": "REVOKED"}));
    eventually("the job is polled", || fixture.realm.fired(rule) >= 2).await;
    assert_eq!(job_of(&fixture.wait_for_request("Adopted").await), own.id);
    assert_eq!(fixture.mailed(), Vec::<String>::new());
}
