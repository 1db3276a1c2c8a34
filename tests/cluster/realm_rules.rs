//! The realm of a provider config: another cluster that uses it, a move to a cluster of another name, and another realm
//! under the same name.

use std::fmt::Debug;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfig, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Config, Identity, Operation};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fixture::{
    CLUSTER, CONFIG, Fixture, OWN, REQUEST, annotate, conditions, job_of, message, object, patch, poll_often, reason,
    shared_simulator, wait_for, wait_until_deleted,
};

/// Another cluster.
const OTHER: &str = "elsewhere";

/// A configuration of the other cluster, which is now in the realm.
fn add_theirs(fixture: &Fixture) -> String {
    let name = OwnershipMark::of(OTHER, "identity", "theirs").behind(Some("Theirs"));
    let config = Config { display_name: Some(name), ..Config::of_type("hosted_web") };
    fixture.realm.add_config(config.clone());
    config.id
}

/// Changes the spec of the ProviderConfig.
async fn change_own_provider(fixture: &Fixture, spec: Value) {
    patch(&fixture.own_providers(), OWN, json!({"spec": spec})).await.unwrap();
}

/// Requests a check of the ProviderConfig.
async fn check_now(fixture: &Fixture, value: &str) {
    annotate(&fixture.own_providers(), OWN, RECONCILE_REQUESTED_AT, value).await;
}

/// The names that the configurations of the realm have, and the number of emails.
fn remote(fixture: &Fixture) -> (Vec<Option<String>>, usize) {
    (fixture.realm.configs().into_iter().map(|config| config.display_name).collect(), fixture.mailed().len())
}

#[tokio::test]
async fn realm_of_another_cluster_gets_nothing_unless_it_is_shared() {
    let fixture = Fixture::bare(shared_simulator()).await;
    fixture.create_own_provider().await;
    fixture.set_own_token(&fixture.token).await;
    add_theirs(&fixture);
    let before = remote(&fixture);
    let _operator = fixture.start().await;
    fixture.create_own_config(CONFIG).await;
    fixture.create_request().await;

    let provider = fixture.wait_for_own_provider("RealmInUse").await;
    assert_eq!(conditions(&provider), "Reconciling=True Ready=False");
    let own = format!("ProviderConfig {}/own", fixture.namespace);
    let sentence = format!(
        "Configurations in the realm of {own} have ownership marks of the cluster elsewhere, so nothing is created or sent \
         there; use another realm, or, in {own}, set spec.sharedRealm to true to share the realm, or add to \
         spec.formerClusterNames a cluster that this one replaces"
    );
    assert_eq!(message(&provider), sentence);
    let config = fixture.wait_for_config("RealmInUse").await;
    assert_eq!((message(&config), conditions(&config).as_str()), (sentence.as_str(), "Reconciling=True Ready=False"));
    fixture.wait_for_request("AuthenticatorConfigNotReady").await;
    assert_eq!(remote(&fixture), before);

    change_own_provider(&fixture, json!({"sharedRealm": true})).await;
    fixture.wait_for_own_provider("CredentialsAccepted").await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    assert_eq!(fixture.realm.configs().len(), 2);
}

#[tokio::test]
async fn rule_applies_to_a_cluster_scoped_provider_config() {
    let fixture = Fixture::new().await;
    add_theirs(&fixture);
    let before = remote(&fixture);
    let _operator = fixture.start().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("RealmInUse").await;
    let sentence = format!("in ClusterProviderConfig {}, set spec.sharedRealm to true", fixture.provider);
    assert!(message(&config).contains(&sentence), "{}", message(&config));
    assert_eq!(remote(&fixture), before);
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"sharedRealm": true}})).await.unwrap();
    fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn cluster_that_joins_later_stops_only_what_is_new_until_it_leaves() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    let theirs = add_theirs(&fixture);
    check_now(&fixture, "one").await;
    fixture.wait_for_own_provider("RealmInUse").await;
    fixture.create_request_of("joe", "joe").await;
    let request = fixture.wait_for_request_named("joe", "RealmInUse").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    fixture.change_request(json!({"revoked": true})).await.unwrap();
    fixture.wait_for_request("Revoked").await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.revocations().len(), fixture.mailed().len()), (1, 1));
    assert_eq!(reason(&fixture.configs().get(CONFIG).await.unwrap()), "Available", "it is settled");

    fixture.realm.remove_config(&theirs);
    check_now(&fixture, "two").await;
    fixture.wait_for_own_provider("CredentialsAccepted").await;
    fixture.wait_for_request_named("joe", "LinkSent").await;
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn create_sees_another_cluster_before_the_next_check() {
    let (fixture, _operator) = Fixture::with_own_provider(|_| {}).await;
    add_theirs(&fixture);
    let checks = fixture.calls(Operation::Check);
    fixture.create_own_config("second").await;
    fixture.wait_for_config_named("second", "RealmInUse").await;
    assert_eq!((fixture.calls(Operation::CreateConfig), fixture.calls(Operation::Check)), (1, checks));
}

#[tokio::test]
async fn cluster_of_another_name_takes_over_from_the_one_that_it_replaces() {
    let (fixture, operator) = Fixture::with_own_provider(|settings| {
        settings.cluster_name = OTHER.to_owned();
        settings.orphan_on_delete = true;
    })
    .await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let before = fixture.realm.configs();
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.delete_config().await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    operator.stop().await;

    let _operator = fixture.start().await;
    fixture.create_own_config(CONFIG).await;
    fixture.create_request().await;
    fixture.wait_for_config("RealmInUse").await;
    assert_eq!(fixture.realm.configs(), before);
    change_own_provider(&fixture, json!({"formerClusterNames": [OTHER]})).await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(job_of(&fixture.wait_for_request("Adopted").await), job);
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&before[0].id));
    let mark = OwnershipMark::of(CLUSTER, &fixture.namespace, CONFIG).behind(Some("Hosted web"));
    assert_eq!(remote(&fixture), (vec![Some(mark)], 1), "no second configuration and no second email");

    // The new marks make the former name superfluous.
    change_own_provider(&fixture, json!({"formerClusterNames": null})).await;
    check_now(&fixture, "one").await;
    let provider = wait_for(fixture.own_providers(), OWN, "is checked", |provider: &ProviderConfig| {
        provider.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some("one")
    });
    assert_eq!(reason(&provider.await), "CredentialsAccepted");
}

/// Polls and compares often, so that settled objects notice the other realm soon.
fn notice_soon(settings: &mut Settings) {
    poll_often(settings);
    settings.resync_interval = Duration::from_secs(1);
}

/// Deletes a provider config without waiting for what refers to it, and creates it again for another realm.
async fn recreate_for<K>(api: Api<K>, name: &str, mut provider: Value, other: &Fixture)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    api.delete(name, &DeleteParams::default()).await.unwrap();
    // There is none to remove where the kind is not written.
    _ = patch(&api, name, json!({"metadata": {"finalizers": null}})).await;
    wait_until_deleted(api.clone(), name).await;
    provider["spec"]["realmID"] = json!(other.realm.realm());
    api.create(&PostParams::default(), &object(provider)).await.unwrap();
}

/// Asserts that nothing is sent, created or deleted after the realm has changed.
async fn assert_realm_changed(fixture: &Fixture, other: &Fixture) {
    let request = fixture.wait_for_request("RealmChanged").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    let config = fixture.wait_for_config("RealmChanged").await;
    assert_eq!(conditions(&config), "Stalled=True Ready=False");
    fixture.change_request(json!({"attempt": 2, "revoked": true})).await.unwrap();
    wait_for(fixture.requests(), REQUEST, "is refused", |request: &EnrollmentRequest| {
        reason(request) == "RealmChanged"
            && request.status.as_ref().unwrap().observed_generation == request.metadata.generation
    })
    .await;
    patch::<AuthenticatorConfig>(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}}))
        .await
        .unwrap();
    wait_for(fixture.configs(), CONFIG, "is refused", |config: &AuthenticatorConfig| {
        reason(config) == "RealmChanged"
            && config.status.as_ref().unwrap().observed_generation == config.metadata.generation
    })
    .await;
    assert_eq!((fixture.mailed().len(), fixture.revocations().len(), fixture.realm.configs().len()), (1, 0, 1));
    assert_eq!(fixture.calls(Operation::UpdateConfig), 0);
    assert_eq!(other.realm.requests(), [], "the other realm is only checked");
}

#[tokio::test]
async fn recreated_provider_config_with_another_realm_is_refused() {
    let (fixture, _operator) = Fixture::with_own_provider(notice_soon).await;
    let other = fixture.with_another_realm().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    recreate_for(fixture.own_providers(), OWN, fixture.own_provider(), &other).await;
    assert_realm_changed(&fixture, &other).await;
}

#[tokio::test]
async fn recreated_cluster_provider_config_with_another_realm_is_refused() {
    let (fixture, _operator) = Fixture::ready_with(notice_soon).await;
    let other = fixture.with_another_realm().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    recreate_for(fixture.providers(), &fixture.provider, fixture.provider(), &other).await;
    assert_realm_changed(&fixture, &other).await;
}
