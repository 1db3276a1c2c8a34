//! A provider config with client credentials: one token for all objects, renewed before it expires and after a refused
//! call. Neither the client secret nor a token is logged.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::simulator::{Application, Effect, Identity, Operation, Outcome, Reply, Rule};

use crate::fixture::{
    Access, Fixture, HIDDEN, History, JANE, Operator, REQUEST, eventually, job_of, log_about, message, poll_often,
    wait_until_deleted, without_timers,
};

/// More requests than an operator reconciles at a time.
pub const MANY: usize = 100;

/// A fixture with client credentials, a running operator and a Ready AuthenticatorConfig.
async fn ready() -> (Fixture, Operator) {
    let fixture = Fixture::with_client_credentials().await;
    let operator = fixture.start().await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    (fixture, operator)
}

/// The number of calls of this realm that were answered with this status.
fn answered(fixture: &Fixture, status: u16) -> usize {
    fixture.realm.requests().iter().filter(|call| call.outcome == Outcome::Answered(status)).count()
}

/// Asserts that no line of any operator contains a secret of this fixture.
pub fn assert_nothing_leaked(fixture: &Fixture) {
    for secret in [&*fixture.application().client_secret, "access-token-"] {
        assert_eq!(log_about(secret), Vec::<String>::new());
    }
}

#[tokio::test]
async fn enrolment_uses_an_issued_token() {
    let (fixture, _operator) = ready().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    let [requested] = &fixture.token_requests()[..] else { panic!("there is not exactly one request for a token") };
    let tenant = fixture.realm.tenant();
    assert_eq!(requested.path, format!("/v1/tenants/{tenant}/realms/admin/applications/application/token"));
    assert_eq!(requested.body, "grant_type=client_credentials", "no scope is requested");
    assert_nothing_leaked(&fixture);
}

#[tokio::test]
async fn many_objects_share_one_token() {
    let fixture = Fixture::with_client_credentials().await;
    // All reconciles begin while the first one waits for the token.
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(1))).on(Operation::RequestToken));
    fixture.create_config().await;
    let names: Vec<String> = (0..MANY).map(|number| format!("identity-{number}")).collect();
    for name in &names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
    }
    let _operator = fixture.start().await;
    for name in &names {
        fixture.wait_for_request_named(name, "LinkSent").await;
    }
    assert_eq!(fixture.realm.outbox().len(), MANY);
    assert_eq!(fixture.token_requests().len(), 1);
}

#[tokio::test]
async fn rotated_secret_takes_effect_at_once() {
    let fixture = Fixture::with_client_credentials().await;
    let operator = fixture.start_with(without_timers).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    // The old secret and its tokens are no longer accepted.
    let rotated = Application { client_secret: "rotated-client-secret".to_owned(), ..fixture.application() };
    fixture.realm.add_application(rotated.clone());
    fixture.realm.revoke_tokens();
    fixture.create_request().await;
    let request = fixture.wait_for_request("TokenRequestRefused").await;
    assert_eq!(
        message(&request),
        format!(
            "POST token was refused (401): code invalid_client; {HIDDEN}; check that the client id and the \
             client secret are those of the application, that it allows client credentials with HTTP Basic, and the \
             realm of the application; the application and its Secret are those of spec.credentials.clientCredentials \
             of ClusterProviderConfig {}",
            fixture.provider
        )
    );
    assert_eq!(fixture.realm.outbox(), []);
    fixture.set_client_secret(&format!("{}\n", rotated.client_secret)).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    assert_eq!(log_about(&rotated.client_secret), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test]
async fn token_is_renewed_before_it_expires() {
    let fixture = Fixture::with_client_credentials().await;
    fixture.realm.add_application(Application { lifetime: 5, ..fixture.application() });
    let _operator = fixture.start_with(poll_often).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    eventually("the third token is issued", || fixture.realm.issued_tokens().len() == 3).await;
    assert_eq!((answered(&fixture, 401), answered(&fixture, 403)), (0, 0), "no call had an expired token");
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn revoked_token_is_renewed_once() {
    let (fixture, _operator) = ready().await;
    fixture.realm.revoke_tokens();
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    assert_eq!(fixture.token_requests().len(), 2);
    assert_eq!(answered(&fixture, 401), 1, "no call is repeated with the refused token");
    assert_nothing_leaked(&fixture);
}

#[tokio::test]
async fn refused_send_gets_a_new_token_and_a_new_record() {
    for status in [401, 403] {
        let (fixture, _operator) = ready().await;
        let refused = Effect::Answer(Reply::error(status, "refused", "refused"));
        fixture.realm.fault(Rule::new(refused).on(Operation::CreateJob).once());
        let history = History::of(&fixture.requests(), REQUEST).await;
        fixture.create_request().await;
        fixture.wait_for_request("LinkSent").await;
        let calls: Vec<Operation> = fixture.realm.requests().iter().map(|call| call.operation).collect();
        let position = |operation| calls.iter().rposition(|call| *call == operation).unwrap();
        assert_eq!(fixture.calls(Operation::CreateJob), 2, "{calls:?}");
        assert!(position(Operation::RequestToken) < position(Operation::CreateJob), "{calls:?}");
        assert_eq!(fixture.token_requests().len(), 2, "{status}");
        assert_eq!(fixture.realm.outbox().len(), 1, "{status}");
        let sends = history.versions().into_iter().filter_map(|version| version.status?.send);
        let records: BTreeSet<String> = sends.map(|send| send.id).collect();
        assert_eq!(records.len(), 2, "each call has its own record");
    }
}

#[tokio::test]
async fn missing_scope_is_reported_and_renews_no_more_than_once_a_minute() {
    let (fixture, _operator) = ready().await;
    let refused = Effect::Answer(Reply::error(403, "forbidden", "forbidden"));
    fixture.realm.fault(Rule::new(refused).on(Operation::CreateJob));
    fixture.create_request().await;
    fixture.wait_for_request("MissingScopes").await;
    eventually("the call is retried", || fixture.calls(Operation::CreateJob) > 1).await;
    assert_eq!(fixture.token_requests().len(), 2);
}

#[tokio::test]
async fn last_known_credentials_still_revoke() {
    let (fixture, _operator) = ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.delete_secret().await;
    // They even get a new token.
    fixture.realm.revoke_tokens();
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.realm.job(&job).unwrap().state.as_deref(), Some("REVOKED"));
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn metrics_show_the_expiry_of_an_issued_token_and_no_secret() {
    let fixture = Fixture::with_client_credentials().await;
    let process = fixture.spawn(&Access::shared(), &[]).await;
    fixture.create_config().await;
    fixture.create_request_of(REQUEST, JANE).await;
    fixture.wait_for_request("LinkSent").await;
    let metric = format!(
        "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",object_namespace=\"\",name=\"{}\",credentials=\"clientCredentials\"}} ",
        fixture.provider
    );
    let (_, metrics) = process.get("/metrics");
    let expires = metrics.lines().find_map(|line| line.strip_prefix(&metric)).expect("the token has an expiry");
    let lifetime = expires.parse::<i64>().unwrap() - fixture.token_requests()[0].time.as_second();
    assert!((3590..=3600).contains(&lifetime), "{lifetime} s instead of an hour");
    let log = process.log().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for secret in [&*fixture.application().client_secret, &fixture.application().client_id, "access-token-"] {
        assert!(!metrics.contains(secret) && !log.contains(secret), "{secret} is shown");
    }
}
