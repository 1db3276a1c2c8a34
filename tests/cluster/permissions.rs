//! The permissions that the chart grants to the operator: each is used, none is missing, and a removed one is named.

use std::collections::BTreeSet;
use std::time::Duration;

use beyond_identity_operator::api::ProviderConfig;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::Role;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::fixture::{
    CONFIG, Fixture, OTHER_SECRET, REQUEST, Right, audit_log, conditions, eventually, log_about, message, object,
    patch, right, rights, wait_until_deleted,
};

/// Every ServiceAccount may read this, by the built-in ClusterRole `system:discovery`.
const SCHEMA: &str = "get /openapi/v3/apis/beyondidentity.dev/v1alpha1";

/// The Role for the Secret of a tenant grants this, as the one that tenants write by hand does.
const NOT_USED: (&str, &str) = ("get", "secrets");

/// A Secret that the ClusterProviderConfig of one test names. All operators of the cluster look for it in their namespaces.
const OF_ANOTHER_TEAM: &str = "of-another-team";

/// The permissions that the operator of `fixture` has used so far, and whether they were allowed.
fn used_rights(fixture: &Fixture) -> Vec<(Right, bool)> {
    let user = format!("system:serviceaccount:{}:", fixture.operator_namespace);
    let ours = |call: &Value| {
        let by_us = call["user"]["username"].as_str().is_some_and(|name| name.starts_with(&user));
        by_us && call["objectRef"]["name"] != OF_ANOTHER_TEAM
    };
    let call = |call: Value| {
        let text = |field: &str| call["objectRef"][field].as_str().unwrap_or_default().to_owned();
        let resource = match text("subresource") {
            none if none.is_empty() => text("resource"),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        let verb = call["verb"].as_str().unwrap_or_default();
        let allowed = call["annotations"]["authorization.k8s.io/decision"] == "allow";
        // Calls of non-resource URLs are identified by their path.
        let path = call["requestURI"].as_str().unwrap_or_default().trim_end_matches('?');
        let used =
            if resource.is_empty() { format!("{verb} {path}") } else { right(verb, &resource, &text("apiGroup")) };
        (used, allowed)
    };
    audit_log().into_iter().filter(ours).map(call).collect()
}

/// Creates and deletes a ProviderConfig with its Secret, and an AuthenticatorConfig that refers to it.
async fn use_own_provider(fixture: &Fixture) {
    let (client, namespace) = (fixture.client.clone(), &fixture.namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = json!({"metadata": {"name": "beyond-identity"}, "stringData": {"token": fixture.token}});
    secrets.create(&PostParams::default(), &object(secret)).await.unwrap();
    let providers: Api<ProviderConfig> = Api::namespaced(client, namespace);
    let provider = json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "ProviderConfig",
        "metadata": {"name": "own"},
        "spec": {
            "tenantID": fixture.realm.tenant(),
            "realmID": fixture.realm.realm(),
            "region": "US",
            "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
        },
    });
    providers.create(&PostParams::default(), &object(provider)).await.unwrap();
    let config = fixture.config_with("own", json!({"providerConfigRef": {"kind": "ProviderConfig", "name": "own"}}));
    fixture.configs().create(&PostParams::default(), &config).await.unwrap();
    fixture.wait_for_config_named("own", "Available").await;
    fixture.configs().delete("own", &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), "own").await;
    providers.delete("own", &DeleteParams::default()).await.unwrap();
    wait_until_deleted(providers, "own").await;
}

#[tokio::test]
async fn each_granted_permission_is_used_and_none_is_missing() {
    let fixture = Fixture::new().await;
    let mut granted = rights(&fixture.settings());
    granted.insert(SCHEMA.to_owned());
    assert!(granted.remove(&right(NOT_USED.0, NOT_USED.1, "")));
    let operator = fixture.start_with(|settings| settings.lease_holder = Some("the only one".to_owned())).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    // A repeated event is patched with its count.
    for _ in 0..2 {
        fixture.delete_secret().await;
        patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
        fixture.wait_for_config("SecretNotFound").await;
        fixture.create_secret(&fixture.token).await;
        patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Hosted web"}})).await.unwrap();
        fixture.wait_for_config("Available").await;
    }
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), CONFIG).await;
    use_own_provider(&fixture).await;

    let used = || -> BTreeSet<Right> { used_rights(&fixture).into_iter().map(|(right, _)| right).collect() };
    eventually("all events are emitted, and the lease is renewed", || granted.is_subset(&used())).await;
    operator.stop().await;
    assert_eq!(used(), granted);
    let refused: Vec<_> = used_rights(&fixture).into_iter().filter(|(_, allowed)| !allowed).collect();
    assert_eq!(refused, []);
}

#[tokio::test]
async fn cluster_provider_configs_are_not_read_without_cluster_scoped_permissions() {
    let fixture = Fixture::new().await;
    let operator = fixture.start_with(|settings| settings.cluster_provider_configs = false).await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("ProviderConfigNotFound").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=False");
    assert_eq!(
        message(&config),
        format!(
            "The operator does not read ClusterProviderConfig {}, because it runs with --cluster-provider-configs=false \
             (rbac.clusterScoped: false in the chart); set spec.providerConfigRef of the AuthenticatorConfig to a \
             ProviderConfig of its namespace",
            fixture.provider
        )
    );
    let used = used_rights(&fixture);
    assert!(used.iter().all(|(right, allowed)| *allowed && !right.contains("clusterproviderconfigs")), "{used:?}");
    operator.stop().await;
    // With the permissions of the other mode, the same object goes on.
    let _operator = fixture.start().await;
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn missing_secret_permission_is_reported_until_granted() {
    let (fixture, _operator) = Fixture::ready().await;
    let roles: Api<Role> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    let name = format!("{}-beyond-identity-operator", fixture.operator_namespace);
    let role = roles.get(&name).await.unwrap();
    roles.delete(&name, &DeleteParams::default()).await.unwrap();
    // Another Secret, which the operator does not watch yet.
    let secret = json!({"spec": {"credentials": {"apiToken": {"secretRef": {"name": OTHER_SECRET, "key": "token"}}}}});
    patch(&fixture.providers(), &fixture.provider, secret).await.unwrap();
    // No identity has this id, so nothing is sent if the operator's watch is behind.
    fixture.create_request_of(REQUEST, "nobody").await;
    let request = fixture.wait_for_request("Forbidden").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        format!(
            "The operator lacks permission to read Secret another, to which ClusterProviderConfig {} refers; add it \
             to rbac.secretNames of the chart, or grant list and watch on it by a Role in namespace {}",
            fixture.provider, fixture.operator_namespace
        )
    );
    apply_role(&roles, &role).await;
    fixture.wait_for_request("SecretNotFound").await;
    assert_eq!(fixture.realm.outbox(), []);
}

#[tokio::test]
async fn secret_that_the_role_does_not_name_is_not_read() {
    let (fixture, _operator) = Fixture::ready().await;
    let calls = fixture.realm.requests().len();
    fixture.create_secret_named(OF_ANOTHER_TEAM, "a-token-of-another-team").await;
    let secret = json!({"spec": {"credentials": {"apiToken": {"secretRef": {"name": OF_ANOTHER_TEAM}}}}});
    patch(&fixture.providers(), &fixture.provider, secret).await.unwrap();
    // No identity has this id, so nothing is sent if the operator's watch is behind.
    fixture.create_request_of(REQUEST, "nobody").await;
    let request = fixture.wait_for_request("Forbidden").await;
    assert!(message(&request).contains("permission to read Secret of-another-team"), "{}", message(&request));
    let sent = &fixture.realm.requests()[calls..];
    assert!(!format!("{sent:?}").contains("a-token-of-another-team"), "{sent:?}");
}

#[tokio::test]
async fn missing_status_permission_is_logged_and_nothing_is_sent() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let roles: Api<Role> = Api::namespaced(fixture.client.clone(), &fixture.namespace);
    let name = format!("{}-beyond-identity-operator-watched", fixture.operator_namespace);
    let complete = roles.get(&name).await.unwrap();
    let mut rules = complete.rules.clone().unwrap();
    rules.retain(|rule| rule.resources.iter().flatten().all(|resource| !resource.ends_with("/status")));
    let mut reduced = complete.clone();
    reduced.rules = Some(rules);
    apply_role(&roles, &reduced).await;
    fixture.create_request().await;
    let sentence = "grant it update on enrollmentrequests/status";
    eventually("the log names the permission", || {
        log_about(sentence).iter().any(|line| line.contains(&format!("namespace \"{}\"", fixture.namespace)))
    })
    .await;
    assert_eq!(fixture.realm.outbox(), []);
    apply_role(&roles, &complete).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

/// Applies the role, which may have been deleted.
async fn apply_role(roles: &Api<Role>, role: &Role) {
    let mut role = role.clone();
    let name = role.metadata.name.clone().unwrap();
    role.metadata.managed_fields = None;
    role.metadata.resource_version = None;
    role.metadata.uid = None;
    let parameters = kube::api::PatchParams::apply("helm").force();
    roles.patch(&name, &parameters, &kube::api::Patch::Apply(&role)).await.unwrap();
}
