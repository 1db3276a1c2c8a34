//! What the token endpoint can answer for client credentials, and the sentence for each failure.

use harness::simulator::{Application, Effect, Operation, Reply, Rule};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::client_credentials::{MANY, assert_nothing_leaked};
use crate::fixture::{Fixture, HIDDEN, conditions, message, patch, shared_simulator};

#[tokio::test]
async fn configured_scopes_are_requested() {
    let fixture = Fixture::with_client_credentials().await;
    let scopes = |scopes: &[&str]| json!({"spec": {"credentials": {"clientCredentials": {"scopes": scopes}}}});
    patch(&fixture.providers(), &fixture.provider, scopes(&["identities:read", "unheard-of"])).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("TokenRequestRefused").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "POST token was refused (400): code invalid_scope; {HIDDEN}; request only scopes that the application has, or none to get all of them; the application and its Secret are those of \
             spec.credentials.clientCredentials of ClusterProviderConfig {}",
            fixture.provider
        )
    );
    let all = scopes(&["identities:read", "credential-binding-jobs:create"]);
    patch(&fixture.providers(), &fixture.provider, all).await.unwrap();
    fixture.wait_for_config("Available").await;
    assert_eq!(
        fixture.token_requests().last().unwrap().body,
        "grant_type=client_credentials&scope=identities%3Aread%20credential-binding-jobs%3Acreate"
    );
}

#[tokio::test]
async fn outage_of_the_token_endpoint_is_met_with_few_requests() {
    let fixture = Fixture::with_client_credentials().await;
    let outage = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::RequestToken));
    let names: Vec<String> = (0..MANY).map(|number| format!("config-{number}")).collect();
    for name in &names {
        fixture.create_config_named(name).await;
    }
    let _operator = fixture.start().await;
    for name in &names {
        let config = fixture.wait_for_config_named(name, "ServiceUnavailable").await;
        assert_eq!(
            message(&config),
            format!(
                "POST token failed with a server error (503): code service_unavailable; {HIDDEN}; the token \
                 endpoint is that of spec.endpoint.auth of ClusterProviderConfig {}",
                fixture.provider
            )
        );
    }
    assert!(fixture.token_requests().len() < MANY / 4, "{} requests", fixture.token_requests().len());
    fixture.realm.remove_fault(outage);
    for name in &names {
        fixture.wait_for_config_named(name, "Available").await;
    }
}

#[tokio::test]
async fn unusable_answers_are_reported() {
    let token = |fields: serde_json::Value| {
        let mut answer = json!({"access_token": "access-token-1", "token_type": "Bearer", "expires_in": 3600});
        fields.as_object().unwrap().iter().for_each(|(name, value)| answer[name] = value.clone());
        Reply::json(200, &answer)
    };
    let check = "check the token endpoint, and any proxy or load balancer in between";
    let unusable = "returned 200 with an unusable response: its";
    let cases = [
        (
            Reply::garbage(),
            format!("returned 200 with an unusable response: the body is not a JSON object; {check}"),
        ),
        (
            Reply::proxy_page(404),
            format!("returned 404, but not in the form of a token endpoint; {check}"),
        ),
        (
            Reply::json(200, &json!({"token_type": "Bearer"})),
            "returned 200 with an unusable response: it has no access_token; check the token endpoint and the application"
                .to_owned(),
        ),
        (
            token(json!({"expires_in": "3600"})),
            format!("{unusable} expires_in is not a number of seconds; check the token endpoint"),
        ),
        (
            token(json!({"expires_in": 0})),
            format!(
                "{unusable} expires_in is 0, so the token has already expired; set the token lifetime of the application \
                 to an hour or more"
            ),
        ),
        (
            token(json!({"expires_in": 31_536_000})),
            format!(
                "{unusable} expires_in is 31536000 seconds, more than 100 days; set a shorter token lifetime in the \
                 application"
            ),
        ),
        (
            Reply::empty(302).header("location", "http://127.0.0.1:1/"),
            "returned a redirect (302), which is not followed; check the endpoint".to_owned(),
        ),
    ];
    futures::future::join_all(cases.map(|(reply, sentence)| async move {
        let fixture = Fixture::with_client_credentials().await;
        let fault = fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(Operation::RequestToken));
        let _operator = fixture.start().await;
        fixture.create_config().await;
        let config = fixture.wait_for_config("InvalidTokenResponse").await;
        assert_eq!(
            message(&config),
            format!(
                "POST token {sentence}; the token endpoint is that of spec.endpoint.auth, and the application that of \
                 spec.credentials.clientCredentials of ClusterProviderConfig {}",
                fixture.provider
            )
        );
        assert_eq!(conditions(&config), "Reconciling=True Ready=False");
        assert_eq!(fixture.calls(Operation::ListConfigs), 0, "no call is made without a token");
        fixture.realm.remove_fault(fault);
        fixture.wait_for_config("Available").await;
        assert_nothing_leaked(&fixture);
    }))
    .await;
}

#[tokio::test]
async fn unknown_application_is_reported() {
    let fixture = Fixture::with_client_credentials().await;
    // By default, the application is in the realm of the provider config.
    let own = json!({"spec": {"credentials": {"clientCredentials": {"realmID": null}}}});
    patch(&fixture.providers(), &fixture.provider, own).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("TokenRequestRefused").await;
    assert_eq!(
        message(&config),
        format!(
            "POST token found no such application (404): code not_found; {HIDDEN}; check the ids of the \
             application and of its realm; the application and its Secret are those of \
             spec.credentials.clientCredentials of ClusterProviderConfig {}",
            fixture.provider
        )
    );
    let application = Application { realm: fixture.realm.realm().to_owned(), ..fixture.application() };
    fixture.realm.add_application(application);
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn incomplete_and_invalid_secrets_are_reported() {
    let (no_secret, no_word) = (json!({"data": {"clientSecret": null}}), json!({"stringData": {"clientID": "a b"}}));
    let cases = [
        (
            no_secret,
            "SecretKeyNotFound",
            "has no key clientSecret; store the client secret under that key, or correct \
             spec.credentials.clientCredentials.secretRef of ClusterProviderConfig",
        ),
        (no_word, "InvalidToken", "it contains whitespace; store only the value itself"),
    ];
    futures::future::join_all(cases.map(|(change, reason, sentence)| async move {
        let fixture = Fixture::with_client_credentials().await;
        patch(&fixture.secrets(), "beyond-identity", change).await.unwrap();
        let _operator = fixture.start().await;
        fixture.create_config().await;
        let config = fixture.wait_for_config(reason).await;
        assert!(message(&config).contains(sentence), "{}", message(&config));
        assert_eq!(fixture.token_requests(), []);
        let Application { client_id, client_secret, .. } = fixture.application();
        let data = json!({"stringData": {"clientID": client_id, "clientSecret": client_secret}});
        patch(&fixture.secrets(), "beyond-identity", data).await.unwrap();
        fixture.wait_for_config("Available").await;
    }))
    .await;
}

#[tokio::test]
async fn token_endpoint_without_listener_is_an_outage() {
    // A bound socket reserves the port, and does not listen.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let auth = json!({"spec": {"endpoint": {"auth": format!("http://{}", reserved.local_addr().unwrap())}}});
    let fixture = Fixture::with_client_credentials().await;
    patch(&fixture.providers(), &fixture.provider, auth).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("ServiceUnavailable").await;
    assert!(message(&config).starts_with("POST token was not sent because no connection was made: "));
    assert_eq!(fixture.realm.requests(), []);
    let auth = json!({"spec": {"endpoint": {"auth": shared_simulator().url()}}});
    patch(&fixture.providers(), &fixture.provider, auth).await.unwrap();
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn rate_limit_of_the_token_endpoint_is_obeyed() {
    let fixture = Fixture::with_client_credentials().await;
    let slow = Effect::Answer(Reply::too_many_requests(Some(3)));
    fixture.realm.fault(Rule::new(slow).on(Operation::RequestToken).once());
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.wait_for_config("RateLimited").await;
    fixture.wait_for_config("Available").await;
    let times: Vec<_> = fixture.token_requests().iter().map(|request| request.time).collect();
    assert_eq!(times.len(), 2);
    assert!(times[1].duration_since(times[0]).as_millis() >= 2900, "{times:?}");
}
