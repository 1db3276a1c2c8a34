//! An AuthenticatorConfig that is deleted waits for those who refer to it, and for nobody else for good.

use std::time::Duration;

use beyond_identity_operator::api::AuthenticatorConfig;
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::DeleteParams;
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, conditions, eventually, log_about, message, patch, wait_until_gone,
};

/// How long these operators wait for what somebody would have to mend.
const GRACE: Duration = Duration::from_secs(3);

async fn gone(place: &Fixture) {
    wait_until_gone(place.configs(), CONFIG).await;
}

/// The id of the one configuration that there is.
fn remote(place: &Fixture) -> String {
    let configs = place.realm.configs();
    let [config] = &configs[..] else { panic!("not one configuration: {configs:?}") };
    config.id.clone()
}

/// What stands in the sentence of what blocks a deletion, and what is said in the end. Answers the sentence.
async fn blocked_then_left(place: &Fixture, history: &History<AuthenticatorConfig>) -> String {
    let id = remote(place);
    let config = history.says("DeletionBlocked").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert!(config.status.as_ref().unwrap().failing_since.is_some());
    let what = format!("authenticator configuration {id} is not deleted in Beyond Identity yet: ");
    let said = message(&config).strip_prefix("Deletion is waiting because ").unwrap().strip_prefix(&what).unwrap();
    gone(place).await;
    let told = place.tells_config("Warning RemoteResourceRetained").await;
    assert_eq!(told.note, format!("Finalizer removed after the grace period, but {what}{said}"));
    assert_eq!(remote(place), id);
    assert!(log_about(&told.note).iter().any(|line| line.contains(&format!("namespace=\"{}\"", place.namespace))));
    said.to_owned()
}

#[tokio::test]
async fn a_configuration_that_is_in_use_stays_until_the_last_of_its_users_goes() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    place.create_request_of("another", "nobody").await;
    place.request_says("LinkSent").await;
    place.named_request_says("another", "IdentityNotFound").await;
    place.delete_config().await;
    let config = place.config_says("InUse").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert_eq!(
        message(&config),
        "Deletion is waiting because this AuthenticatorConfig is referenced by EnrollmentRequest another, request; \
         delete what refers to it first, or set spec.deletionPolicy to Orphan to leave the configuration in Beyond \
         Identity"
    );
    assert_eq!(config.status.unwrap().failing_since, None, "it may take as long as it takes");
    place.delete_request(REQUEST).await;
    wait_until_gone(place.requests(), REQUEST).await;
    let only_one = |config: &AuthenticatorConfig| message(config).contains("by EnrollmentRequest another;");
    crate::fixture::wait_for(place.configs(), CONFIG, "names the other one", only_one).await;
    assert_eq!(place.realm.configs().len(), 1);
    // One that leads elsewhere by now does not count; by the clock nobody would look again here.
    patch(&place.requests(), "another", json!({"spec": {"authenticatorConfigRef": {"name": "elsewhere"}}}))
        .await
        .unwrap();
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
}

#[tokio::test]
async fn a_request_that_is_being_deleted_is_no_user() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    place.request_says("LinkSent").await;
    patch(&place.requests(), REQUEST, json!({"metadata": {"finalizers": ["example.com/kept"]}})).await.unwrap();
    place.delete_request(REQUEST).await;
    place.delete_config().await;
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
    patch(&place.requests(), REQUEST, json!({"metadata": {"finalizers": null}})).await.unwrap();
}

#[tokio::test]
async fn orphan_lets_go_at_once_and_the_next_of_that_name_takes_it_over() {
    let (place, _operator) = Fixture::ready().await;
    place.create_request().await;
    place.request_says("LinkSent").await;
    place.delete_config().await;
    place.config_says("InUse").await;
    let id = remote(&place);
    // The way out of a deletion that waits.
    place.change_config(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    gone(&place).await;
    place.create_config().await;
    let config = place.config_says("Available").await;
    assert_eq!((config.status.unwrap().id, remote(&place)), (Some(id.clone()), id));
    assert_eq!(place.realm.requests_of(Operation::DeleteConfig), []);
    assert_eq!(place.mailed().len(), 1);
}

/// Lists lag: gone too early, the object would be made again without a trace of its configuration.
#[tokio::test]
async fn an_orphan_is_in_every_list_before_its_object_goes() {
    let place = Fixture::new().await;
    let _operator = place.start_with(|settings| settings.settle_time = Duration::from_secs(20)).await;
    let history = History::of(&place.configs(), CONFIG).await;
    place.create_config_with(json!({"deletionPolicy": "Orphan"})).await;
    place.config_says("Available").await;
    place.delete_config().await;
    let config = history.says("Deleting").await;
    assert_eq!(
        message(&config),
        "Waiting until the configuration that stays in Beyond Identity is visible in configuration lists"
    );
    gone(&place).await;
    assert_eq!(place.realm.configs().len(), 1);
}

#[tokio::test]
async fn a_deletion_that_the_service_refuses_is_let_go_after_the_grace_period() {
    let (place, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
    for (status, text) in [(409, "conflict"), (400, "bad_request")] {
        let refused = Reply::error(status, text, "an application still uses it");
        place.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig));
        let history = History::of(&place.configs(), CONFIG).await;
        place.delete_config().await;
        let said = blocked_then_left(&place, &history).await;
        assert!(said.ends_with("an application still uses it"), "{said}");
        place.realm.clear_faults();
        if status == 409 {
            clear_events(&place).await;
            place.create_config().await;
            place.config_says("Available").await;
        }
    }
}

/// Takes away what was told so far.
async fn clear_events(place: &Fixture) {
    let events: kube::Api<k8s_openapi::api::events::v1::Event> =
        kube::Api::namespaced(place.client.clone(), &place.namespace);
    events.delete_collection(&DeleteParams::default(), &Default::default()).await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_ends_in_time_lets_the_configuration_be_deleted() {
    let (place, _operator) = Fixture::ready_with(|settings| {
        settings.grace_period = Duration::from_secs(600);
        settings.resync_interval = Duration::from_secs(1);
    })
    .await;
    let refused = Reply::error(400, "bad_request", "an application still uses it");
    place.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig).times(2));
    place.delete_config().await;
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
    assert_eq!(place.calls(Operation::DeleteConfig), 3);
}

#[tokio::test]
async fn a_deletion_does_not_hang_when_the_secret_or_the_provider_config_went_first() {
    for provider_too in [false, true] {
        let (place, operator) = Fixture::ready().await;
        // The next process has never seen the credentials.
        operator.stop().await;
        let history = History::of(&place.configs(), CONFIG).await;
        if provider_too {
            place.providers().delete(&place.provider, &DeleteParams::default()).await.unwrap();
            wait_until_gone(place.providers(), &place.provider).await;
        } else {
            place.delete_secret().await;
        }
        let _next = place.start_with(|settings| settings.grace_period = GRACE).await;
        place.delete_config().await;
        let said = blocked_then_left(&place, &history).await;
        let sentence = if provider_too {
            format!("ClusterProviderConfig {} does not exist", place.provider)
        } else {
            "Secret beyond-identity does not exist".to_owned()
        };
        assert!(said.contains(&sentence), "{said}");
        assert_eq!(place.realm.requests_of(Operation::DeleteConfig), []);
    }
}

#[tokio::test]
async fn a_namespace_that_is_no_longer_allowed_may_still_delete() {
    let (place, _operator) = Fixture::ready().await;
    patch(&place.providers(), &place.provider, json!({"spec": {"allowedNamespaces": {"names": []}}})).await.unwrap();
    place.create_request_of(REQUEST, JANE).await;
    place.request_says("NamespaceNotAllowed").await;
    place.delete_request(REQUEST).await;
    place.delete_config().await;
    gone(&place).await;
    assert_eq!(place.realm.configs(), []);
    assert_eq!(place.mailed().len(), 0);
}

#[tokio::test]
async fn nor_does_a_create_in_doubt_that_nobody_can_settle_any_more() {
    let place = Fixture::new().await;
    let operator = place.start().await;
    place.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateConfig));
    place.create_config().await;
    eventually("it was made", || place.realm.configs().len() == 1).await;
    operator.kill().await;
    place.delete_secret().await;
    place.delete_config().await;
    let _next = place.start_with(|settings| settings.grace_period = GRACE).await;
    gone(&place).await;
    let told = place.tells_config("Warning RemoteResourceRetained").await;
    let sentence = "Finalizer removed after the grace period, but it is not known whether the authenticator \
                    configuration was created: ";
    assert!(told.note.starts_with(sentence), "{told:?}");
    assert_eq!(place.realm.configs().len(), 1);
}
