//! A tenant that may write any object in its own namespace reaches nothing of another one: no token, no configuration, no
//! identity that it does not name.

use beyond_identity_operator::api::{AuthenticatorConfig, ProviderConfig};
use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use futures::future::join_all;
use harness::simulator::{Config, Operation, Outcome, Recorded};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, OWN, Operator, REQUEST, conditions, message, object, patch, refusal, wait_until_deleted,
};

/// A namespace with a ProviderConfig and its Secret, and a hostile one beside it. The operator may read Secrets of this
/// name in both.
async fn with_own_providers() -> (Fixture, Fixture, Operator) {
    let victim = Fixture::new().await;
    victim.create_own_provider().await;
    victim.set_own_token(&victim.token).await;
    let hostile = victim.other_namespace().await;
    let both = vec![victim.namespace.clone(), hostile.namespace.clone()];
    let operator = victim.start_with(|settings| settings.watch_namespaces = both).await;
    victim.create_own_config(CONFIG).await;
    victim.wait_for_own_provider("CredentialsAccepted").await;
    victim.wait_for_config("Available").await;
    (victim, hostile, operator)
}

/// A namespace with a configuration, and a hostile one beside it that uses the same ClusterProviderConfig.
async fn with_shared_provider() -> (Fixture, Fixture, Operator) {
    let victim = Fixture::new().await;
    let hostile = victim.other_namespace().await;
    let both = vec![victim.namespace.clone(), hostile.namespace.clone()];
    let operator = victim.start_with(|settings| settings.watch_namespaces = both).await;
    victim.create_config().await;
    victim.wait_for_config("Available").await;
    (victim, hostile, operator)
}

/// Creates an object with fields that the typed one does not have.
async fn create_untyped<K: Resource<DynamicType = ()>>(fixture: &Fixture, object_: Value) {
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(fixture.client.clone(), &fixture.namespace, &kind);
    api.create(&PostParams::default(), &object(object_)).await.unwrap();
}

/// The realm's configurations, without those of the victim.
fn configs_beside(victim: &Config, fixture: &Fixture) -> Vec<Config> {
    fixture.realm.configs().into_iter().filter(|config| config.id != victim.id).collect()
}

#[tokio::test]
async fn provider_config_for_the_realm_of_another_tenant_gets_none_of_its_tokens() {
    let (victim, hostile, _operator) = with_own_providers().await;
    let before = victim.realm.all_requests().len();
    // The same name, tenant and realm. Its Secret is to be the one of the other namespace.
    hostile.create_own_provider().await;
    patch(
        &hostile.own_providers(),
        OWN,
        json!({"spec": {"credentials": {"apiToken": {"secretRef": {
            "namespace": victim.namespace,
        }}}}}),
    )
    .await
    .unwrap();
    hostile.create_own_config(CONFIG).await;
    hostile.create_request().await;
    let provider = hostile.wait_for_own_provider("SecretNotFound").await;
    let sentence = format!("Secret beyond-identity does not exist in namespace {}", hostile.namespace);
    assert!(message(&provider).starts_with(&sentence), "{}", message(&provider));
    hostile.wait_for_config("SecretNotFound").await;
    hostile.wait_for_request("AuthenticatorConfigNotReady").await;
    assert_eq!(victim.realm.all_requests().len(), before, "no call without a Secret of the namespace");

    // A token of its own that the realm does not accept costs the other tenant nothing.
    hostile.set_own_token("guessed-token").await;
    hostile.wait_for_own_provider("Unauthorized").await;
    victim.create_request().await;
    victim.wait_for_request("LinkSent").await;
    hostile.delete_request(REQUEST).await;
    wait_until_deleted(hostile.requests(), REQUEST).await;
    hostile.delete_config().await;
    wait_until_deleted(hostile.configs(), CONFIG).await;
    let accepted = |call: &&Recorded| call.outcome != Outcome::Answered(401);
    let writes: Vec<_> = victim.realm.all_requests()[before..]
        .iter()
        .filter(accepted)
        .filter(|call| call.method != "GET")
        .map(|call| call.operation)
        .collect();
    assert_eq!(writes, [Operation::CreateJob], "only the send of the victim");
    assert_eq!(victim.realm.configs().len(), 1);
}

#[tokio::test]
async fn reference_cannot_name_another_namespace() {
    let (victim, hostile, _operator) = with_own_providers().await;
    // The field does not exist, so the API server drops it.
    let reference = json!({"kind": "ProviderConfig", "name": OWN, "namespace": victim.namespace});
    let config = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": {"name": CONFIG},
        "spec": {"providerConfigRef": reference, "config": {"type": "hosted_web"}},
    });
    create_untyped::<AuthenticatorConfig>(&hostile, config).await;
    let config = hostile.wait_for_config("ProviderConfigNotFound").await;
    assert!(message(&config).starts_with(&format!("ProviderConfig {}/own does not exist", hostile.namespace)));
    for name in [format!("{}/own", victim.namespace), "../own".to_owned(), "own%2f".to_owned()] {
        let spec = json!({"providerConfigRef": {"kind": "ProviderConfig", "name": name}});
        let refused = refusal(hostile.try_create_config_with(spec).await);
        assert!(refused.contains("spec.providerConfigRef.name: "), "{refused}");
        let spec = json!({"authenticatorConfigRef": {"name": name}});
        let refused = refusal(hostile.try_create_request_with(REQUEST, spec).await);
        assert!(refused.contains("spec.authenticatorConfigRef.name: "), "{refused}");
        let mut provider = hostile.own_provider();
        provider["spec"]["credentials"]["apiToken"]["secretRef"]["name"] = json!(name);
        let provider: ProviderConfig = object(provider);
        let refused = refusal(hostile.own_providers().create(&PostParams::default(), &provider).await);
        assert!(refused.contains("spec.credentials.apiToken.secretRef.name: "), "{refused}");
    }
    let request = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest", "metadata": {"name": REQUEST},
        "spec": {
            "authenticatorConfigRef": {"name": "theirs", "namespace": victim.namespace},
            "identity": {"id": "jane"},
        },
    });
    victim.create_own_config("theirs").await;
    create_untyped::<beyond_identity_operator::api::EnrollmentRequest>(&hostile, request).await;
    hostile.wait_for_request("AuthenticatorConfigNotFound").await;
    assert_eq!(victim.mailed(), [""; 0]);
}

#[tokio::test]
async fn display_name_or_mark_of_another_configuration_takes_nothing() {
    let (victim, hostile, _operator) = with_shared_provider().await;
    let [theirs] = &victim.realm.configs()[..] else { panic!("there is not exactly one configuration") };
    let remote_name = theirs.display_name.clone().unwrap();
    let mark = OwnershipMark::of(CLUSTER, &victim.namespace, CONFIG).to_string();
    // Parentheses are reserved, so a mark cannot be written.
    for forged in [remote_name.as_str(), &mark] {
        let refused = refusal(hostile.try_create_config_with(json!({"displayName": forged})).await);
        assert!(refused.contains("parentheses are reserved for the ownership mark"), "{refused}");
    }
    let lookalike = |open, close| json!({"displayName": mark.replace('(', open).replace(')', close)});
    for (open, close) in
        [("\u{ff08}", "\u{ff09}"), ("\u{207d}", "\u{207e}"), ("\u{2768}", "\u{276b}"), ("x", "\u{fe5a}")]
    {
        let refused = refusal(hostile.try_create_config_with(lookalike(open, close)).await);
        assert!(refused.contains("spec.displayName: ") && refused.contains("look like parentheses"), "{refused}");
    }
    for name in ["Hosted web", mark.trim_matches(['(', ')'])] {
        hostile.create_config_with(json!({"displayName": name})).await;
        let config = hostile.wait_for_config("Available").await;
        let [own] = &configs_beside(theirs, &hostile)[..] else { panic!("there is not exactly one other one") };
        assert_eq!(config.status.unwrap().id.as_ref(), Some(&own.id));
        let own_mark = OwnershipMark::of(CLUSTER, &hostile.namespace, CONFIG).to_string();
        assert!(own.display_name.as_ref().is_some_and(|name| name.ends_with(&format!(" {own_mark}"))), "{own:?}");
        hostile.delete_config().await;
        wait_until_deleted(hostile.configs(), CONFIG).await;
        assert_eq!(victim.realm.configs(), std::slice::from_ref(theirs), "the victim's is neither changed nor deleted");
    }
    // Nor does its id, not even together with the name.
    let named = json!({"resourceID": theirs.id, "displayName": "Hosted web"});
    hostile.create_config_with(named).await;
    let refused = hostile.wait_for_config("ResourceIDNotAllowed").await;
    assert_eq!(conditions(&refused), "Reconciling=True Ready=False");
    patch(&victim.providers(), &victim.provider, json!({"spec": {"allowResourceIDs": true}})).await.unwrap();
    let in_use = hostile.wait_for_config("ConfigurationInUse").await;
    assert!(message(&in_use).contains(&mark), "{}", message(&in_use));
    hostile.delete_config().await;
    wait_until_deleted(hostile.configs(), CONFIG).await;
    assert_eq!(victim.realm.configs(), std::slice::from_ref(theirs));
}

#[tokio::test]
async fn username_is_one_value_of_the_filter() {
    let (victim, hostile, _operator) = with_shared_provider().await;
    hostile.create_config().await;
    hostile.wait_for_config("Available").await;
    victim.realm.edit_identity("jane", |jane| jane.username = Some("jane".to_owned()));
    for username in ["x\" or traits.username eq \"jane", "jane\"", "\"", "x\\\" or traits.username pr", "jane\\"] {
        let identity = json!({"identity": {"id": null, "username": username}});
        let refused = refusal(hostile.try_create_request_with(REQUEST, identity).await);
        assert!(refused.contains("spec.identity.username: "), "{refused}");
    }
    let usernames = [
        "x or traits.username eq jane",
        "jane or traits.username pr",
        "') or ('1'='1",
        "jane&filter=traits.username pr",
        "jane#",
        "jane%22 or traits.username pr",
        "*",
    ];
    join_all(usernames.iter().enumerate().map(|(number, username)| {
        let (name, hostile) = (format!("request-{number}"), &hostile);
        async move {
            hostile.create_request_with(&name, json!({"identity": {"id": null, "username": username}})).await;
            hostile.wait_for_request_named(&name, "IdentityNotFound").await;
        }
    }))
    .await;
    let mut filters: Vec<_> = victim.realm.requests_of(Operation::ListIdentities).iter().map(filter_of).collect();
    filters.sort();
    filters.dedup();
    let mut expected = usernames.map(|username| format!("traits.username eq \"{username}\""));
    expected.sort();
    assert_eq!(filters, expected);
    assert_eq!((victim.calls(Operation::ListJobs), victim.mailed().len()), (0, 0));
}

/// The filter of a list of identities, decoded. There is no second one.
fn filter_of(call: &Recorded) -> String {
    let query = call.query.as_deref().unwrap_or_default();
    let filters: Vec<_> = query.split('&').filter_map(|part| part.strip_prefix("filter=")).collect();
    let [filter] = filters[..] else { panic!("not exactly one filter: {query}") };
    percent_encoding::percent_decode_str(&filter.replace('+', " ")).decode_utf8().unwrap().into_owned()
}
