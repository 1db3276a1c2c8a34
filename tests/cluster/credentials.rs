//! The way to the realm is blocked: what a person reads, and that one email goes out once it is mended.

use harness::simulator::{Operation, Simulator};
use kube::api::DeleteParams;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::fixture::{CONFIG, Fixture, JANE, conditions, message, patch};

/// What is wrong with the credentials, as the fixture's Secret shows it.
#[derive(Clone, Copy, Debug)]
enum Broken {
    NoSecret,
    NoKey,
    Newline,
}

impl Broken {
    const ALL: [Self; 3] = [Self::NoSecret, Self::NoKey, Self::Newline];

    async fn apply(self, place: &Fixture) {
        place.delete_secret().await;
        match self {
            Self::NoSecret => {}
            Self::NoKey => place.create_secret_with("tokne", &place.token).await,
            Self::Newline => place.create_secret("hunter\n2").await,
        }
    }

    async fn mend(self, place: &Fixture) {
        match self {
            Self::NoSecret => place.create_secret(&place.token).await,
            // As `echo` writes it.
            Self::NoKey | Self::Newline => place.set_token(&format!("{}\n", place.token)).await,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::NoSecret => "SecretNotFound",
            Self::NoKey => "SecretKeyNotFound",
            Self::Newline => "InvalidToken",
        }
    }

    fn sentence(self, place: &Fixture) -> String {
        let Fixture { provider, operator_namespace, .. } = place;
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
                 ClusterProviderConfig {provider}: the API token contains a newline; store only the token, on one line"
            ),
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_no_good_from_the_start_heals_when_it_is_mended() {
    futures::future::join_all(Broken::ALL.map(|broken| async move {
        let place = Fixture::new().await;
        broken.apply(&place).await;
        let _operator = place.start().await;
        place.create_config().await;
        place.create_request().await;
        let config = place.config_says(broken.reason()).await;
        assert_eq!(message(&config), broken.sentence(&place));
        assert_eq!(conditions(&config), "Reconciling=True Ready=False");
        place.request_says("AuthenticatorConfigNotReady").await;
        assert_eq!(place.realm.requests(), [], "{broken:?}");
        broken.mend(&place).await;
        place.request_says("LinkSent").await;
        assert_eq!(place.realm.outbox().len(), 1, "{broken:?}");
        assert_eq!(place.realm.configs().len(), 1, "{broken:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_secret_that_goes_bad_later_holds_new_requests_up_and_no_old_ones() {
    futures::future::join_all(Broken::ALL.map(|broken| async move {
        let (place, _operator) = Fixture::ready().await;
        place.create_request_of("earlier", JANE).await;
        let earlier = place.named_request_says("earlier", "LinkSent").await;
        broken.apply(&place).await;
        place.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
        place.create_request_of("later", "joe").await;
        let later = place.named_request_says("later", broken.reason()).await;
        assert_eq!(message(&later), broken.sentence(&place));
        assert_eq!(conditions(&later), "Reconciling=True Ready=False");
        assert_eq!(place.realm.outbox().len(), 1, "{broken:?}");
        broken.mend(&place).await;
        place.named_request_says("later", "LinkSent").await;
        assert_eq!(place.realm.outbox().len(), 2, "{broken:?}");
        let now = place.named_request_says("earlier", "LinkSent").await;
        assert_eq!(now.metadata.resource_version, earlier.metadata.resource_version, "nothing of it moved");
    }))
    .await;
}

#[tokio::test]
async fn a_token_that_the_service_does_not_take_says_where_it_is() {
    let (place, _operator) = Fixture::ready().await;
    place.realm.set_token("renewed");
    place.create_request().await;
    let request = place.request_says("Unauthorized").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "GET identities/{{id}} was refused (401): unauthorized; check that the token has not expired and belongs to this \
             tenant and region; the token is in the Secret that spec.credentials of ClusterProviderConfig {} refers to",
            place.provider
        )
    );
    assert_eq!(place.realm.outbox(), []);
    place.set_token("renewed").await;
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_token_of_another_realm_is_said_to_be_one() {
    let (place, other) = (Fixture::new().await, Fixture::new().await);
    place.set_token(&other.token).await;
    let _operator = place.start().await;
    place.create_config().await;
    let config = place.config_says("PermissionDenied").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "GET authenticator-configs was refused (403): forbidden; check that the token belongs to this tenant and realm \
             and has the scope authenticator-configs:read; the token is in the Secret that spec.credentials of \
             ClusterProviderConfig {} refers to",
            place.provider
        )
    );
    place.set_token(&place.token).await;
    place.config_says("Available").await;
}

#[tokio::test]
async fn a_provider_config_that_is_missing_is_named_and_waited_for() {
    let place = Fixture::new().await;
    place.providers().delete(&place.provider, &DeleteParams::default()).await.unwrap();
    let _operator = place.start().await;
    place.create_config().await;
    place.create_request().await;
    let config = place.config_says("ProviderConfigNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not exist; create it, or correct spec.providerConfigRef of the \
             AuthenticatorConfig",
            place.provider
        )
    );
    assert_eq!(place.realm.requests(), []);
    place.create_provider(|_| {}).await;
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_reference_to_a_provider_config_is_corrected_while_nothing_was_made() {
    let place = Fixture::new().await;
    let _operator = place.start().await;
    let mut config = place.config(CONFIG);
    config.spec.provider_config_ref.name = "mistyped".to_owned();
    place.configs().create(&kube::api::PostParams::default(), &config).await.unwrap();
    place.config_says("ProviderConfigNotFound").await;
    patch(&place.configs(), CONFIG, json!({"spec": {"providerConfigRef": {"name": place.provider}}})).await.unwrap();
    place.config_says("Available").await;
    assert_eq!(place.realm.configs().len(), 1);
}

#[tokio::test]
async fn a_namespace_that_is_not_allowed_reads_what_to_add() {
    let place = Fixture::new().await;
    let names = |names: &[&str]| json!({"spec": {"allowedNamespaces": {"names": names}}});
    patch(&place.providers(), &place.provider, names(&["elsewhere"])).await.unwrap();
    let _operator = place.start().await;
    place.create_config().await;
    place.create_request().await;
    let config = place.config_says("NamespaceNotAllowed").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} does not allow namespace {namespace}; add it there to \
             spec.allowedNamespaces.names",
            place.provider,
            namespace = place.namespace
        )
    );
    assert_eq!(place.realm.requests(), []);
    patch(&place.providers(), &place.provider, names(&["elsewhere", &place.namespace])).await.unwrap();
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_namespace_that_is_no_longer_allowed_sends_nothing_new() {
    let (place, _operator) = Fixture::ready().await;
    patch(&place.providers(), &place.provider, json!({"spec": {"allowedNamespaces": null}})).await.unwrap();
    // Nobody has this id, in case the operator's watch is a little behind.
    place.create_request_of("later", "nobody").await;
    place.named_request_says("later", "NamespaceNotAllowed").await;
    assert_eq!(place.realm.requests_of(Operation::CreateJob), []);
    let config = place.config_says("Available").await;
    assert_eq!(conditions(&config), "Ready=True", "what is settled keeps its row");
}

#[tokio::test]
async fn plain_http_needs_the_flag() {
    let place = Fixture::new().await;
    let operator = place.start_with(|settings| settings.allow_loopback_endpoints = false).await;
    place.create_config().await;
    place.create_request().await;
    let config = place.config_says("InvalidEndpoint").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} has an invalid spec.endpoint.api: the endpoint uses plain http to this \
             machine; use https or, for a local simulator, start the operator with --allow-loopback-endpoints",
            place.provider
        )
    );
    assert_eq!(place.realm.requests(), []);
    operator.stop().await;
    let _operator = place.start().await;
    place.request_says("LinkSent").await;
    assert_eq!(place.realm.outbox().len(), 1);
}

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_waited_for() {
    // Bound, it is nobody else's; but it does not listen.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let place = Fixture::new().await;
    let endpoint = json!({"spec": {"endpoint": {"api": format!("http://{address}")}}});
    patch(&place.providers(), &place.provider, endpoint).await.unwrap();
    let _operator = place.start().await;
    place.create_config().await;
    place.create_request().await;
    let config = place.config_says("ServiceUnavailable").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert!(
        message(&config).starts_with("GET authenticator-configs was not sent because no connection was made: "),
        "{}",
        message(&config)
    );
    drop(taken);
    let simulator = Simulator::start(address).unwrap();
    let realm = simulator.realm(place.realm.tenant(), place.realm.realm(), &place.token);
    realm.add_identity(place.realm.identity(JANE).unwrap());
    place.request_says("LinkSent").await;
    assert_eq!(realm.outbox().len(), 1);
    assert_eq!(place.realm.requests(), [], "only the other simulator was called");
}
