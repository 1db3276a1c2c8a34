//! The client against the simulator: both agree on paths, filters and bodies.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::simulator::{Config, Effect, Identity, Job, Operation, RealmHandle, Reply, Rule, Simulator};

use super::{TIMEOUT, TOKEN, new_job};
use crate::beyond_identity::types::JobState;
use crate::beyond_identity::{Doubt, Error, RealmClient, Refusal};

fn start() -> (Simulator, RealmHandle, RealmClient) {
    let simulator = Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let realm = simulator.realm("tenant", "realm", TOKEN);
    realm.add_identity(Identity::active("jane", "jane@example.com").username("Jane + Doe@Example.com"));
    realm.add_config(Config { id: "config".to_owned(), ..Config::of_type("hosted_web") });
    let client = client_with(&realm, TIMEOUT);
    (simulator, realm, client)
}

fn client_with(realm: &RealmHandle, timeout: Duration) -> RealmClient {
    super::client(realm.url().trim_start_matches("http://").parse().unwrap(), timeout)
}

#[tokio::test]
async fn job_is_created_read_and_revoked() {
    let (_simulator, realm, client) = start();
    let found = client.identities_by_username("jane + doe@example.COM").await.unwrap();
    assert_eq!(found.iter().map(|identity| identity.id.as_str()).collect::<Vec<_>>(), ["jane"]);
    assert!(client.identities_by_username("jane").await.unwrap().is_empty());

    let response = client.create_job("jane", &new_job(), TIMEOUT).await.unwrap();
    let created: jiff::Timestamp = response.item.create_time.as_ref().unwrap().parse().unwrap();
    // `Date` has a resolution of one second.
    assert!(response.server_time.unwrap().duration_since(created).abs() < jiff::SignedDuration::from_secs(60));
    client.revoke_job("jane", &response.item.id).await.unwrap();
    assert_eq!(client.job("jane", &response.item.id).await.unwrap().item.state, Some(JobState::Revoked));
    let again = client.revoke_job("jane", &response.item.id).await.unwrap_err();
    assert!(matches!(again, Error::InDoubt { cause: Doubt::Status, status: Some(409), .. }), "{again:?}");
    assert!(matches!(client.revoke_job("jane", "missing").await, Err(Error::NotFound { .. })));
    realm.refuse_revoke(403);
    assert_eq!(client.revoke_job("jane", &response.item.id).await.unwrap_err().status(), Some(403));
    assert_eq!(realm.requests_of(Operation::RevokeJob).len(), 4);
}

#[tokio::test]
async fn filtered_identities_are_read_from_short_pages() {
    let (_simulator, realm, client) = start();
    for number in 0..5 {
        realm.add_identity(Identity::active(&number.to_string(), "twin@example.com").username("twin"));
    }
    realm.fault(Rule::new(Effect::ShortPages(2)).on(Operation::ListIdentities));
    let found = client.identities_by_username("TWIN").await.unwrap();
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|identity| identity.has_username("twin")));
    assert_eq!(realm.requests_of(Operation::ListIdentities).len(), 6, "three pages, read twice");
}

#[tokio::test]
async fn proxy_and_gateway_responses_are_not_from_the_api() {
    let (_simulator, realm, client) = start();
    let job = Job::email("jane", "config");
    realm.add_job(job.clone());
    for status in [400, 401, 403, 404, 407, 409, 422] {
        for reply in [Reply::proxy_page(status), Reply::gateway_error(status, "no Route matched")] {
            realm.fault(Rule::new(Effect::Answer(reply)).times(3));
            for error in [
                client.job("jane", &job.id).await.unwrap_err(),
                client.revoke_job("jane", &job.id).await.unwrap_err(),
                client.identities_by_username("jane").await.unwrap_err(),
            ] {
                let foreign = matches!(error, Error::InDoubt { cause: Doubt::NotFromTheApi, status: Some(answered), .. } if answered == status);
                assert!(foreign, "{error:?}");
            }
        }
    }
    client.job("jane", &job.id).await.unwrap();
}

#[tokio::test]
async fn missing_realm_differs_from_missing_identity() {
    let (_simulator, realm, client) = start();
    assert!(matches!(client.identity("unknown").await, Err(Error::NotFound { .. })));
    let elsewhere = super::client_of(realm.url().trim_start_matches("http://").parse().unwrap(), "mistyped", TIMEOUT);
    for error in [
        elsewhere.identity("jane").await.unwrap_err(),
        elsewhere.identities_by_username("jane").await.unwrap_err(),
        elsewhere.list_jobs("jane").await.unwrap_err(),
        elsewhere.job("jane", "1").await.unwrap_err(),
        elsewhere.revoke_job("jane", "1").await.unwrap_err(),
        elsewhere.create_job("jane", &new_job(), TIMEOUT).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Refused { cause: Refusal::UnknownRealm, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn truncated_response_is_in_doubt_if_its_body_is_needed() {
    let (_simulator, realm, client) = start();
    realm.fault(Rule::new(Effect::CutAnswer).times(3));
    let doubt = |error: &Error| matches!(error, Error::InDoubt { cause: Doubt::Connection, status: Some(200), .. });
    let error = client.create_job("jane", &new_job(), TIMEOUT).await.unwrap_err();
    assert!(doubt(&error), "{error:?}");
    assert_eq!(realm.outbox().len(), 1);
    let error = client.identities_by_username("jane").await.unwrap_err();
    assert!(doubt(&error), "{error:?}");
    let job = realm.jobs().remove(0);
    client.revoke_job("jane", &job.id).await.unwrap();
    assert_eq!(realm.job(&job.id).unwrap().state.as_deref(), Some("REVOKED"));
}

#[tokio::test]
async fn late_revoke_response_is_in_doubt() {
    let (_simulator, realm, _) = start();
    let client = client_with(&realm, Duration::from_millis(300));
    let job = Job::email("jane", "config");
    realm.add_job(job.clone());
    realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::RevokeJob));
    let error = client.revoke_job("jane", &job.id).await.unwrap_err();
    assert!(matches!(error, Error::InDoubt { cause: Doubt::Timeout, .. }), "{error:?}");
    assert_eq!(realm.job(&job.id).unwrap().state.as_deref(), Some("REVOKED"));
}
