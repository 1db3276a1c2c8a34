//! The service is down, or overloaded: nothing is stalled, and all goes on when it is back.

use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::DeleteParams;

use crate::fixture::{
    CONFIG, Fixture, History, REQUEST, conditions, eventually, following, job_of, message, wait_until_gone,
};

#[tokio::test]
async fn a_service_that_is_down_from_the_start_is_waited_for() {
    let place = Fixture::new().await;
    place.realm.pause();
    let _operator = place.start().await;
    place.create_config().await;
    place.create_request().await;
    let config = place.config_says("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert!(message(&config).starts_with("GET authenticator-configs lost the connection ("), "{}", message(&config));
    place.request_says("AuthenticatorConfigNotReady").await;
    place.realm.resume();
    place.request_says("LinkSent").await;
    assert_eq!((place.realm.outbox().len(), place.realm.configs().len()), (1, 1));
}

#[tokio::test]
async fn a_request_waits_for_a_service_that_is_down() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.pause();
    place.create_request().await;
    let request = place.request_says("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert!(message(&request).starts_with("GET identities/{id} lost the connection ("), "{}", message(&request));
    assert_eq!(place.realm.requests_of(Operation::CreateJob), []);
    place.realm.resume();
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn calls_that_fail_inside_the_service_are_made_again() {
    let (place, _operator) = Fixture::ready().await;
    for operation in [Operation::GetIdentity, Operation::ListJobs] {
        place.realm.fault(Rule::new(Effect::unavailable()).on(operation).once());
    }
    let history = History::of(&place.requests(), REQUEST).await;
    place.create_request().await;
    let request = history.says("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
    assert_eq!(place.calls(Operation::CreateJob), 1);
}

#[tokio::test]
async fn too_many_calls_leave_no_doubt_and_the_pause_that_is_asked_for_is_kept() {
    let (place, _operator) = Fixture::ready().await;
    let busy = Reply::too_many_requests(Some(2));
    place.realm.fault(Rule::new(Effect::Answer(busy)).on(Operation::CreateJob).times(2));
    let history = History::of(&place.requests(), REQUEST).await;
    place.create_request().await;
    let request = history.says("RateLimited").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(request.status.as_ref().unwrap().send, None);
    assert_eq!(
        message(&request),
        "POST credential-binding-jobs was rate limited (429) and can be retried later: too many requests"
    );
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
    let sends: Vec<_> = place.realm.requests_of(Operation::CreateJob).into_iter().map(|call| call.time).collect();
    assert_eq!(sends.len(), 3);
    for pair in sends.windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_secs() >= 2, "whatever woke it: {sends:?}");
    }
}

#[tokio::test]
async fn what_is_settled_keeps_its_row_through_an_outage() {
    let (place, _operator) = Fixture::ready_with(following).await;
    place.create_request().await;
    let sent = place.request_says("LinkSent").await;
    place.realm.pause();
    let reads = || place.calls(Operation::GetJob);
    let before = reads();
    eventually("two looks have failed", || reads() >= before + 2).await;
    let now = place.request_says("LinkSent").await;
    assert_eq!(now.metadata.resource_version, sent.metadata.resource_version);
    place.realm.resume();
    place.realm.set_job_state(&job_of(&sent), "LINK_OPENED");
    place.request_says("LinkOpened").await;
}

#[tokio::test]
async fn a_configuration_waits_for_the_service_before_it_goes() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.pause();
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let config = place.config_says("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert!(message(&config).contains("is not deleted in Beyond Identity yet: GET authenticator-configs/{id} lost"));
    place.realm.resume();
    wait_until_gone(place.configs(), CONFIG).await;
    assert_eq!(place.realm.configs(), []);
}

#[tokio::test]
async fn a_request_waits_for_the_service_to_revoke_its_link_before_it_goes() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    place.realm.pause();
    place.delete_request(REQUEST).await;
    let request = place.request_says("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Succeeded=Unknown Ready=True", "being deleted, it keeps its row");
    assert_eq!(request.status.as_ref().unwrap().failing_since, None, "an outage is waited for, however long it takes");
    let sentence = "is not revoked yet: POST credential-binding-jobs/{id}:revoke lost the connection (";
    assert!(message(&request).contains(sentence), "{}", message(&request));
    place.realm.resume();
    wait_until_gone(place.requests(), REQUEST).await;
    assert_eq!(place.remote_state(&job), "REVOKED");
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_request_with_no_link_out_goes_without_the_service() {
    let (place, _operator) = Fixture::ready_with(following).await;
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    place.realm.set_job_state(&job, "COMPLETE");
    place.request_says("Complete").await;
    place.realm.pause();
    place.delete_request(REQUEST).await;
    wait_until_gone(place.requests(), REQUEST).await;
    assert_eq!(place.realm.requests_of(Operation::RevokeJob), []);
    assert_eq!(place.realm.outbox().len(), 1);
}
