//! From a request to an email: API calls, status writes and conditions.

use harness::simulator::Operation;
use kube::ResourceExt;
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, History, JANE, REQUEST, conditions, eventually, is_ready, job_of, message};

#[tokio::test]
async fn request_sends_one_email_and_records_its_job() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;

    let [email] = &fixture.realm.outbox()[..] else { panic!("not one email: {:?}", fixture.realm.outbox()) };
    let job = fixture.realm.job(&email.job_id).unwrap();
    let status = request.status.clone().unwrap();
    assert_eq!(status.job_id.as_ref(), Some(&job.id));
    assert_eq!(status.state.as_deref(), Some("LINK_SENT"));
    assert_eq!(status.expire_time, job.expire_time);
    assert_eq!(status.create_time, job.create_time);
    assert_eq!(status.update_time, job.update_time);
    assert_eq!(status.attempt, Some(1));
    assert_eq!(status.identity_id.as_deref(), Some(JANE));
    assert_eq!(status.authenticator_config_id.as_deref(), Some(fixture.realm.configs()[0].id.as_str()));
    assert_eq!(status.tenant_id.as_deref(), Some(fixture.realm.tenant()));
    assert_eq!(status.realm_id.as_deref(), Some(fixture.realm.realm()));
    assert_eq!(status.provider_config_ref.unwrap().name, fixture.provider);
    assert_eq!(status.observed_generation, request.metadata.generation);
    assert_eq!(status.credential_id, None);
    assert_eq!(status.send, None);
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    assert_eq!(
        message(&request),
        format!("The enrolment email was sent; the link expires at {}", job.expire_time.unwrap())
    );
    assert_eq!(request.finalizers(), ["beyondidentity.dev/finalizer"]);
}

#[tokio::test]
async fn post_binding_redirect_uri_is_sent() {
    const URI: &str = "https://app.example.com/done?from=beyond%20identity&x=%20#y";
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"postBindingRedirectURI": URI})).await;
    let request = fixture.wait_for_request("LinkSent").await;
    let [call] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("not one call") };
    let config = &fixture.realm.configs()[0].id;
    let job = json!({"delivery_method": "EMAIL", "authenticator_config_id": config, "post_binding_redirect_uri": URI});
    assert_eq!(call.json(), json!({"job": job}));
    assert_eq!(fixture.realm.job(&job_of(&request)).unwrap().post_binding_redirect_uri.as_deref(), Some(URI));
}

#[tokio::test]
async fn enrolment_costs_three_calls_and_three_writes() {
    let (fixture, _operator) = Fixture::ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    // When another request has sent, all calls and writes of this one are made.
    fixture.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.wait_for_request_named("later", "LinkSent").await;

    let about_jane: Vec<_> = fixture.realm.requests().into_iter().filter(|call| call.path.contains(JANE)).collect();
    let calls: Vec<_> = about_jane.iter().map(|call| call.operation).collect();
    assert_eq!(calls, [Operation::GetIdentity, Operation::ListJobs, Operation::CreateJob]);

    eventually("the watch has delivered all versions", || history.versions().last().is_some_and(is_ready)).await;
    let versions = history.versions();
    let written: Vec<_> = versions
        .iter()
        .map(|version| {
            let status = version.status.clone().unwrap_or_default();
            (version.finalizers().len(), status.send.is_some(), status.job_id.is_some())
        })
        .collect();
    assert_eq!(written, [(0, false, false), (1, false, false), (1, true, false), (1, false, true)]);
    assert_eq!(conditions(&versions[2]), "Reconciling=True Ready=Unknown");
    assert_eq!(message(&versions[2]), "Sending the enrolment email");
}

#[tokio::test]
async fn request_is_enqueued_when_its_config_becomes_ready() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("AuthenticatorConfigNotFound").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "AuthenticatorConfig {CONFIG} does not exist in namespace {}; create it, or correct \
             spec.authenticatorConfigRef",
            fixture.namespace
        )
    );

    // The configuration exists, but cannot become Ready.
    fixture.delete_secret().await;
    fixture.create_config().await;
    let request = fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), format!("Waiting for AuthenticatorConfig {CONFIG} to become Ready"));
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);

    // No interval is due in this test, so only the trigger leads to the email.
    fixture.create_secret(&fixture.token).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn new_object_has_observed_generation_minus_one() {
    let fixture = Fixture::new().await;
    let request = fixture.create_request().await;
    assert_eq!(request.status.unwrap().observed_generation, Some(-1));
    let config = fixture.create_config().await;
    assert_eq!(config.status.unwrap().observed_generation, Some(-1));
}
