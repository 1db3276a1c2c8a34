//! Missing or invalid access to the realm: the reported conditions, and one email once it is fixed.

use harness::simulator::{Operation, Simulator};
use kube::api::DeleteParams;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::fixture::{CONFIG, Fixture, HIDDEN, JANE, conditions, message, patch};

/// A problem with the fixture's Secret.
#[derive(Clone, Copy, Debug)]
enum Broken {
    NoSecret,
    NoKey,
    Newline,
}

impl Broken {
    const ALL: [Self; 3] = [Self::NoSecret, Self::NoKey, Self::Newline];

    async fn apply(self, fixture: &Fixture) {
        fixture.delete_secret().await;
        match self {
            Self::NoSecret => {}
            Self::NoKey => fixture.create_secret_with("tokne", &fixture.token).await,
            Self::Newline => fixture.create_secret("hunter\n2").await,
        }
    }

    async fn fix(self, fixture: &Fixture) {
        match self {
            Self::NoSecret => fixture.create_secret(&fixture.token).await,
            // With a newline at the end, as `echo` writes it.
            Self::NoKey | Self::Newline => fixture.set_token(&format!("{}\n", fixture.token)).await,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::NoSecret => "SecretNotFound",
            Self::NoKey => "SecretKeyNotFound",
            Self::Newline => "InvalidToken",
        }
    }

    fn sentence(self, fixture: &Fixture) -> String {
        let Fixture { provider, operator_namespace, .. } = fixture;
        let named = format!("spec.credentials.apiToken.secretRef of ClusterProviderConfig {provider}");
        match self {
            Self::NoSecret => format!(
                "Secret beyond-identity does not exist in namespace {operator_namespace}; create it with the token \
                 under the key token, or correct {named}"
            ),
            Self::NoKey => format!(
                "Secret beyond-identity in namespace {operator_namespace} has no key token; store the token under that \
                 key, or correct {named}"
            ),
            Self::Newline => format!(
                "The key token of Secret beyond-identity in namespace {operator_namespace} is not a valid token for \
                 ClusterProviderConfig {provider}: it contains a newline; store only the value itself, on one line"
            ),
        }
    }
}

#[tokio::test]
async fn enrolment_continues_when_an_invalid_secret_is_fixed() {
    futures::future::join_all(Broken::ALL.map(|broken| async move {
        let fixture = Fixture::new().await;
        broken.apply(&fixture).await;
        let _operator = fixture.start().await;
        fixture.create_config().await;
        fixture.create_request().await;
        let config = fixture.wait_for_config(broken.reason()).await;
        assert_eq!(message(&config), broken.sentence(&fixture));
        assert_eq!(conditions(&config), "Reconciling=True Ready=False");
        fixture.wait_for_request("AuthenticatorConfigNotReady").await;
        assert_eq!(fixture.realm.requests(), [], "{broken:?}");
        broken.fix(&fixture).await;
        fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.realm.outbox().len(), 1, "{broken:?}");
        assert_eq!(fixture.realm.configs().len(), 1, "{broken:?}");
    }))
    .await;
}

#[tokio::test]
async fn invalid_secret_blocks_new_requests_only() {
    futures::future::join_all(Broken::ALL.map(|broken| async move {
        let (fixture, _operator) = Fixture::ready().await;
        fixture.create_request_of("earlier", JANE).await;
        let earlier = fixture.wait_for_request_named("earlier", "LinkSent").await;
        broken.apply(&fixture).await;
        fixture.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
        fixture.create_request_of("later", "joe").await;
        let later = fixture.wait_for_request_named("later", broken.reason()).await;
        assert_eq!(message(&later), broken.sentence(&fixture));
        assert_eq!(conditions(&later), "Reconciling=True Ready=False");
        assert_eq!(fixture.realm.outbox().len(), 1, "{broken:?}");
        broken.fix(&fixture).await;
        fixture.wait_for_request_named("later", "LinkSent").await;
        assert_eq!(fixture.realm.outbox().len(), 2, "{broken:?}");
        let now = fixture.wait_for_request_named("earlier", "LinkSent").await;
        assert_eq!(
            now.metadata.resource_version, earlier.metadata.resource_version,
            "the earlier request is not written"
        );
    }))
    .await;
}

#[tokio::test]
async fn refused_token_message_locates_the_secret() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.set_token("renewed");
    fixture.create_request().await;
    let request = fixture.wait_for_request("Unauthorized").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "GET identities/{{id}} was refused (401): code unauthorized; {HIDDEN}; check that the token has not expired and belongs to this \
             tenant and region; the token is in the Secret that spec.credentials of ClusterProviderConfig {} refers to",
            fixture.provider
        )
    );
    assert_eq!(fixture.realm.outbox(), []);
    fixture.set_token("renewed").await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn token_of_another_realm_is_reported() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    fixture.set_token(&other.token).await;
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("PermissionDenied").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} is not Ready: The service refuses every read (403): the token lacks all scopes, \
             belongs to another tenant, or has expired; store a new token in its Secret",
            fixture.provider
        )
    );
    fixture.set_token(&fixture.token).await;
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn missing_provider_config_is_named_and_awaited() {
    let fixture = Fixture::new().await;
    fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("ProviderConfigNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not exist; create it, or correct spec.providerConfigRef of the \
             AuthenticatorConfig",
            fixture.provider
        )
    );
    assert_eq!(fixture.realm.requests(), []);
    fixture.create_provider(|_| {}).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn provider_config_ref_can_be_corrected_before_creation() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start().await;
    let mut config = fixture.config(CONFIG);
    config.spec.provider_config_ref.name = "mistyped".to_owned();
    fixture.configs().create(&kube::api::PostParams::default(), &config).await.unwrap();
    fixture.wait_for_config("ProviderConfigNotFound").await;
    patch(&fixture.configs(), CONFIG, json!({"spec": {"providerConfigRef": {"name": fixture.provider}}}))
        .await
        .unwrap();
    fixture.wait_for_config("Available").await;
    assert_eq!(fixture.realm.configs().len(), 1);
}

#[tokio::test]
async fn disallowed_namespace_message_names_the_field_to_change() {
    let fixture = Fixture::new().await;
    let names = |names: &[&str]| json!({"spec": {"allowedNamespaces": {"names": names}}});
    patch(&fixture.providers(), &fixture.provider, names(&["elsewhere"])).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("NamespaceNotAllowed").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not allow namespace {namespace}; add it there to \
             spec.allowedNamespaces.names",
            fixture.provider,
            namespace = fixture.namespace
        )
    );
    assert_eq!(fixture.realm.requests(), []);
    patch(&fixture.providers(), &fixture.provider, names(&["elsewhere", &fixture.namespace])).await.unwrap();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn namespace_no_longer_allowed_sends_nothing_new() {
    let (fixture, _operator) = Fixture::ready().await;
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowedNamespaces": null}})).await.unwrap();
    // No identity has this id, so nothing is sent even if the operator's watch lags.
    fixture.create_request_of("later", "nobody").await;
    fixture.wait_for_request_named("later", "NamespaceNotAllowed").await;
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(conditions(&config), "Ready=True", "a settled object keeps its conditions");
}

#[tokio::test]
async fn plain_http_needs_the_flag() {
    let fixture = Fixture::new().await;
    let operator = fixture.start_with(|settings| settings.endpoints.allow_loopback = false).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("InvalidEndpoint").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} has an invalid spec.endpoint.api: the endpoint uses plain http to this \
             machine; use https or, for a local simulator, start the operator with --allow-loopback-endpoints",
            fixture.provider
        )
    );
    assert_eq!(fixture.realm.requests(), []);
    operator.stop().await;
    let _operator = fixture.start().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn endpoint_without_listener_is_retried() {
    // A bound socket reserves the port, and does not listen.
    let reserved = TcpSocket::new_v4().unwrap();
    reserved.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = reserved.local_addr().unwrap();
    let fixture = Fixture::new().await;
    let endpoint = json!({"spec": {"endpoint": {"api": format!("http://{address}")}}});
    patch(&fixture.providers(), &fixture.provider, endpoint).await.unwrap();
    let _operator = fixture.start().await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    let prefix = format!(
        "ClusterProviderConfig {} is not Ready: GET authenticator-configs was not sent because no connection was made: ",
        fixture.provider
    );
    assert!(message(&config).starts_with(&prefix), "{}", message(&config));
    drop(reserved);
    let simulator = Simulator::start(address).unwrap();
    let realm = simulator.realm(fixture.realm.tenant(), fixture.realm.realm(), &fixture.token);
    realm.add_identity(fixture.realm.identity(JANE).unwrap());
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(realm.outbox().len(), 1);
    assert_eq!(fixture.realm.requests(), [], "only the other simulator was called");
}
