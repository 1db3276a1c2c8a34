//! Outages and overload of the service: nothing becomes Stalled, and work continues afterwards.

use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::DeleteParams;

use crate::fixture::{
    CONFIG, Fixture, HIDDEN, History, REQUEST, conditions, eventually, job_of, message, poll_often, wait_until_deleted,
};

#[tokio::test]
async fn outage_at_startup_delays_both_kinds() {
    let fixture = Fixture::new().await;
    fixture.realm.pause();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    let prefix = format!(
        "ClusterProviderConfig {} is not Ready: GET authenticator-configs lost the connection (",
        fixture.provider
    );
    assert!(message(&config).starts_with(&prefix), "{}", message(&config));
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    fixture.realm.resume();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.realm.outbox().len(), fixture.realm.configs().len()), (1, 1));
}

#[tokio::test]
async fn request_waits_for_the_end_of_an_outage() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.pause();
    fixture.create_request().await;
    let request = fixture.wait_for_request("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(message(&request).starts_with("GET identities/{id} lost the connection ("), "{}", message(&request));
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    fixture.realm.resume();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn server_errors_are_retried() {
    let (fixture, _operator) = Fixture::ready().await;
    for operation in [Operation::GetIdentity, Operation::ListJobs] {
        fixture.realm.fault(Rule::new(Effect::unavailable()).on(operation).once());
    }
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = history.first_with_reason("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn rate_limited_send_honors_retry_after_without_doubt() {
    let (fixture, _operator) = Fixture::ready().await;
    let busy = Reply::too_many_requests(Some(2));
    fixture.realm.fault(Rule::new(Effect::Answer(busy)).on(Operation::CreateJob).times(2));
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = history.first_with_reason("RateLimited").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(request.status.as_ref().unwrap().send, None);
    assert_eq!(
        message(&request),
        format!(
            "POST credential-binding-jobs was rate limited (429) and can be retried later: code too_many_requests; {HIDDEN}"
        )
    );
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    let sends: Vec<_> = fixture.realm.requests_of(Operation::CreateJob).into_iter().map(|call| call.time).collect();
    assert_eq!(sends.len(), 3);
    for pair in sends.windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_secs() >= 2, "the Retry-After was ignored: {sends:?}");
    }
}

#[tokio::test]
async fn settled_request_keeps_its_conditions_through_an_outage() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    fixture.realm.pause();
    let checks = || fixture.calls(Operation::Check);
    let before = checks();
    eventually("a poll fails, and two checks", || checks() >= before + 2).await;
    let now = fixture.wait_for_request("LinkSent").await;
    assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);
    fixture.realm.resume();
    fixture.realm.set_job_state(&job_of(&sent), "LINK_OPENED");
    fixture.wait_for_request("LinkOpened").await;
}

#[tokio::test]
async fn configuration_deletion_waits_for_the_service() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.pause();
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let config = fixture.wait_for_config("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Ready=True", "an object that is being deleted keeps its conditions");
    assert!(message(&config).contains("is not deleted in Beyond Identity yet: GET authenticator-configs/{id} lost"));
    fixture.realm.resume();
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn request_deletion_waits_until_the_link_is_revoked() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.pause();
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request("ServiceUnavailable").await;
    assert_eq!(
        conditions(&request),
        "Succeeded=Unknown Ready=True",
        "an object that is being deleted keeps its conditions"
    );
    assert_eq!(request.status.as_ref().unwrap().failing_since, None, "an outage starts no grace period");
    let sentence = "is not revoked: POST credential-binding-jobs/{id}:revoke lost the connection (";
    assert!(message(&request).contains(sentence), "{}", message(&request));
    fixture.realm.resume();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn request_without_active_link_is_deleted_during_an_outage() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&job, "COMPLETE");
    fixture.wait_for_request("Complete").await;
    fixture.realm.pause();
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.realm.requests_of(Operation::RevokeJob), []);
    assert_eq!(fixture.realm.outbox().len(), 1);
}
