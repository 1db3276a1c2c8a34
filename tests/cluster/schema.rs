//! What the API server refuses by the schema, and its messages.

use beyond_identity_operator::api::{AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, object, patch, refusal};

/// The API server's message for a provider config with this edit.
async fn refusal_of_provider(edit: impl FnOnce(&mut Value)) -> String {
    let fixture = Fixture::new().await;
    let mut provider = fixture.provider();
    provider["metadata"]["name"] = json!(format!("{}-other", fixture.provider));
    edit(&mut provider["spec"]);
    let provider: ClusterProviderConfig = object(provider);
    refusal(fixture.providers().create(&PostParams::default(), &provider).await)
}

#[tokio::test]
async fn identity_id_must_match_its_pattern() {
    let fixture = Fixture::new().await;
    for identity in ["a/b", "..", "", "jane doe", &"x".repeat(65), "ä", "jane\n"] {
        let refused = fixture.requests().create(&PostParams::default(), &fixture.request(REQUEST, identity)).await;
        let message = refusal(refused);
        assert!(message.contains("spec.identity.id: "), "{identity:?}: {message}");
    }
    let longest = "x".repeat(64);
    fixture.requests().create(&PostParams::default(), &fixture.request(REQUEST, &longest)).await.unwrap();
}

#[tokio::test]
async fn message_names_the_field_and_its_constraint() {
    let fixture = Fixture::new().await;
    let refused = fixture.requests().create(&PostParams::default(), &fixture.request(REQUEST, "a/b")).await;
    assert_eq!(
        refusal(refused),
        "EnrollmentRequest.beyondidentity.dev \"request\" is invalid: spec.identity.id: Invalid value: \"a/b\": \
         spec.identity.id in body should match '^[A-Za-z0-9_-]{1,64}$'"
    );
    let refused = fixture.requests().create(&PostParams::default(), &fixture.request(REQUEST, &"x".repeat(65))).await;
    let message = refusal(refused);
    assert!(message.contains("spec.identity.id: Too long: may not be more than 64 bytes"), "{message}");
}

#[tokio::test]
async fn identity_requires_exactly_one_of_id_and_username() {
    const SENTENCE: &str = "exactly one of id and username must be set";
    let fixture = Fixture::new().await;
    for identity in [json!({"id": "jane", "username": "jane"}), json!({"id": null})] {
        let message = refusal(fixture.try_create_request_with(REQUEST, json!({"identity": identity})).await);
        assert!(message.contains(&format!("spec.identity: Invalid value: {SENTENCE}")), "{message}");
    }
    for username in ["", "jane\"", "jane\\", "jane\n", &"x".repeat(257)] {
        let identity = json!({"id": null, "username": username});
        let message = refusal(fixture.try_create_request_with(REQUEST, json!({"identity": identity})).await);
        assert!(message.contains("spec.identity.username: "), "{username:?}: {message}");
    }
    for username in [" jane", "jane ", " ", "jane\u{a0}doe", "jane\u{3000}", "\u{2009}jane"] {
        let identity = json!({"id": null, "username": username});
        let message = refusal(fixture.try_create_request_with(REQUEST, json!({"identity": identity})).await);
        assert!(message.contains("spec.identity.username: "), "{username:?}: {message}");
        assert!(message.contains("must not begin or end with a blank, or contain another blank"), "{message}");
    }
    let odd = json!({"id": null, "username": "Jané O'Neill+x%20@example.com"});
    fixture.create_request_with(REQUEST, json!({"identity": odd})).await;
}

#[tokio::test]
async fn redirect_uri_must_be_https() {
    let fixture = Fixture::new().await;
    for uri in ["http://app.example.com/", "HTTPS://app.example.com/", "javascript:alert(1)", "app.example.com/done"] {
        let message = refusal(fixture.try_create_request_with(REQUEST, json!({"postBindingRedirectURI": uri})).await);
        let sentence = format!("spec.postBindingRedirectURI: Invalid value: \"{uri}\": must be an https URI");
        assert!(message.contains(&sentence), "{message}");
    }
}

/// A browser opens the host after an `@`, and reads a backslash as a slash.
#[tokio::test]
async fn host_of_an_address_is_the_one_that_it_shows() {
    const SENTENCE: &str =
        "must not contain a user or a backslash before the path: a browser opens the host after the @";
    let fixture = Fixture::new().await;
    for rest in
        ["bank.example@evil.example/", "bank.example:443@evil.example", "evil.example\\.bank.example/", "@evil.example"]
    {
        let uri = format!("https://{rest}");
        let message = refusal(fixture.try_create_request_with(REQUEST, json!({"postBindingRedirectURI": uri})).await);
        assert!(message.contains(SENTENCE) && message.contains("spec.postBindingRedirectURI"), "{uri}: {message}");
        let config = json!({"config": {"type": "embedded", "invokeURL": uri, "trustedOrigins": ["https://a.example"]}});
        let message = refusal(fixture.try_create_config_with(config).await);
        assert!(message.contains(SENTENCE) && message.contains("spec.config.invokeURL"), "{uri}: {message}");
    }
    let elsewhere = json!({"postBindingRedirectURI": "https://app.example.com/?user=jane@example.com#a@b\\c"});
    fixture.create_request_with(REQUEST, elsewhere).await;
}

#[tokio::test]
async fn origin_is_a_scheme_a_host_and_a_port() {
    const SENTENCE: &str = "must contain only origins: scheme, host and optional port, as in https://app.example.com; no user, \
                            path, query or wildcard";
    const SLASH: &str = "must not contain an origin with a slash at its end: remove the slash";
    let fixture = Fixture::new().await;
    let refused = async |origin: &str| {
        let config = json!({"config": {"type": "hosted_web", "trustedOrigins": ["https://a.example", origin]}});
        let config = refusal(fixture.try_create_config_with(config).await);
        let provider = json!({"spec": {"allowedTrustedOrigins": [origin]}});
        let provider = patch(&fixture.providers(), &fixture.provider, provider).await;
        [(config, "spec.config.trustedOrigins"), (refusal(provider), "spec.allowedTrustedOrigins")]
    };
    for origin in [
        "https://app.example.com/path",
        "https://app.example.com//",
        "https://jane@app.example.com",
        "https://*.example.com",
        "app.example.com",
        "//app.example.com",
        "https://",
        "https://app.example.com?a",
        "https://app.example.com#a",
        "https://app.example.com:port",
        "https:/app.example.com",
        "https://app.example.com\\",
        "*",
        "null",
    ] {
        for (message, field) in refused(origin).await {
            assert!(message.contains(field) && message.contains(SENTENCE), "{origin}: {message}");
        }
    }
    for origin in ["https://app.example.com/", "http://localhost:8092/", "myapp://main/"] {
        for (message, field) in refused(origin).await {
            assert!(message.contains(field) && message.contains(SLASH), "{origin}: {message}");
            assert!(!message.contains(SENTENCE), "{origin}: {message}");
        }
    }
    let origins = ["https://App.example.com:8443", "http://localhost:8092", "http://[::1]:3000", "myapp://main"];
    let allowed = json!({"spec": {"allowedTrustedOrigins": origins}});
    patch(&fixture.providers(), &fixture.provider, allowed).await.unwrap();
    fixture.create_config_with(json!({"config": {"type": "hosted_web", "trustedOrigins": origins}})).await;
}

#[tokio::test]
async fn return_delivery_and_invalid_attempts_are_refused() {
    let fixture = Fixture::new().await;
    let message = refusal_of(&fixture, json!({"deliveryMethod": "RETURN"})).await;
    assert!(
        message.contains("spec.deliveryMethod: Unsupported value: \"RETURN\": supported values: \"EMAIL\""),
        "{message}"
    );
    for attempt in [0, -1, 1_000_001] {
        let message = refusal_of(&fixture, json!({"attempt": attempt})).await;
        assert!(message.contains("spec.attempt: Invalid value"), "{message}");
    }
}

/// The API server's message for a request with this spec. The object is dynamic, since the typed one cannot hold such
/// values.
async fn refusal_of(fixture: &Fixture, spec: Value) -> String {
    let mut request = serde_json::to_value(fixture.request(REQUEST, JANE)).unwrap();
    spec.as_object().unwrap().iter().for_each(|(name, value)| request["spec"][name] = value.clone());
    let kind = kube::core::ApiResource::erase::<EnrollmentRequest>(&());
    let api: kube::Api<kube::core::DynamicObject> =
        kube::Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &kind);
    refusal(api.create(&PostParams::default(), &object(request)).await)
}

#[tokio::test]
async fn provider_config_requires_exactly_one_of_region_and_endpoint() {
    const SENTENCE: &str = "exactly one of region and endpoint must be set";
    let message = refusal_of_provider(|spec| spec["region"] = json!("EU")).await;
    assert!(message.contains(SENTENCE), "{message}");
    let message = refusal_of_provider(|spec| _ = spec.as_object_mut().unwrap().remove("endpoint")).await;
    assert!(message.contains(SENTENCE), "{message}");
}

#[tokio::test]
async fn provider_config_endpoint_is_scheme_host_and_port() {
    const SENTENCE: &str = "api must be https://HOST or https://HOST:PORT, without a user, path, query or fragment";
    for wrong in [
        "https://user@api.example.com",
        "https://api.example.com/v1",
        "https://api.example.com?a=b",
        "https://api.example.com#a",
        "https://api.example.com\\@other.example.com",
        "https://api.example.com%2f",
        "https:api.example.com",
        "ftp://api.example.com",
        "api.example.com",
    ] {
        let message = refusal_of_provider(|spec| spec["endpoint"]["api"] = json!(wrong)).await;
        assert!(message.contains(SENTENCE), "{wrong}: {message}");
    }
}

#[tokio::test]
async fn provider_config_requires_exactly_one_kind_of_credentials() {
    const SENTENCE: &str = "spec.credentials: Invalid value: exactly one of apiToken and clientCredentials must be set";
    let client = json!({"applicationID": "application", "secretRef": {"name": "beyond-identity"}});
    let both = refusal_of_provider(|spec| {
        spec["endpoint"]["auth"] = json!("https://auth.example.com");
        spec["credentials"]["clientCredentials"] = client.clone();
    });
    let none = refusal_of_provider(|spec| spec["credentials"] = json!({}));
    for message in [both.await, none.await] {
        assert!(message.contains(SENTENCE), "{message}");
    }
    let message = refusal_of_provider(|spec| spec["credentials"] = json!({"clientCredentials": client})).await;
    assert!(message.contains("endpoint.auth is required with credentials.clientCredentials"), "{message}");
    let message = refusal_of_provider(|spec| {
        spec["endpoint"]["auth"] = json!("https://auth.example.com/token");
    });
    assert!(message.await.contains("auth must be https://HOST or https://HOST:PORT"));
}

#[tokio::test]
async fn provider_config_realm_is_immutable() {
    let fixture = Fixture::new().await;
    for change in [json!({"spec": {"tenantID": "another"}}), json!({"spec": {"realmID": "another"}})] {
        let message = refusal(patch(&fixture.providers(), &fixture.provider, change).await);
        assert!(
            message
                .contains("tenantID and realmID are immutable: create another ClusterProviderConfig for another realm"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn display_name_allows_no_reserved_characters() {
    let fixture = Fixture::new().await;
    let create = async |name: &str| {
        let mut config = fixture.config(CONFIG);
        config.spec.display_name = Some(name.to_owned());
        fixture.configs().create(&PostParams { dry_run: true, ..PostParams::default() }, &config).await
    };
    for character in r"(){}[]<>;:?\/|*^%$#=~`!".chars() {
        let message = refusal(create(&format!("Hosted {character} web")).await);
        let sentence = r"must not contain any of (){}[]<>;:?\/|*^%$#=~`! (rejected by the API; parentheses are reserved for the ownership mark)";
        let expected = format!("spec.displayName: Invalid value: \"Hosted {character} web\": {sentence}");
        assert!(message.replace(r"\\", r"\").contains(&expected), "{character}: {message}");
    }
    let message = refusal(create(&"x".repeat(65)).await);
    assert!(message.contains("spec.displayName: Too long"), "{message}");
    create("Jane's & Joe's web, 100 per cent – größer").await.unwrap();
}

#[tokio::test]
async fn provider_config_of_a_configuration_is_immutable() {
    let (fixture, _operator) = Fixture::ready().await;
    let message =
        refusal(patch(&fixture.configs(), CONFIG, json!({"spec": {"providerConfigRef": {"name": "a"}}})).await);
    assert!(
        message.contains(
            "spec.config.type, spec.providerConfigRef and spec.resourceID are immutable once the configuration was created \
             or adopted: create another AuthenticatorConfig"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn enum_values_must_be_spelled_as_in_the_api() {
    let fixture = Fixture::new().await;
    for (config, expected) in [
        (
            json!({"type": "HostedWeb"}),
            "spec.config.type: Unsupported value: \"HostedWeb\": supported values: \"hosted_web\", \"embedded\", \"console\", \"platform\"",
        ),
        (
            json!({"type": "hosted_web", "authenticationMethods": [{"type": "passkey"}]}),
            "Unsupported value: \"passkey\"",
        ),
        (
            json!({"type": "hosted_web", "trustedOrigins": ["https://a.example.com", "https://a.example.com"]}),
            "spec.config.trustedOrigins[1]: Duplicate value",
        ),
    ] {
        let raw = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1",
            "kind": "AuthenticatorConfig",
            "metadata": {"name": CONFIG},
            "spec": {"config": config},
        });
        let api: kube::Api<kube::core::DynamicObject> = kube::Api::namespaced_with(
            fixture.client.clone(),
            &fixture.namespace,
            &kube::core::ApiResource::erase::<AuthenticatorConfig>(&()),
        );
        let message = refusal(api.create(&PostParams::default(), &object(raw)).await);
        assert!(message.contains(expected), "{message}");
    }
}
