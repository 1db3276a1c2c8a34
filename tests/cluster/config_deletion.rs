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

async fn gone(fixture: &Fixture) {
    wait_until_gone(fixture.configs(), CONFIG).await;
}

/// The id of the one configuration that there is.
fn remote(fixture: &Fixture) -> String {
    let configs = fixture.realm.configs();
    let [config] = &configs[..] else { panic!("not one configuration: {configs:?}") };
    config.id.clone()
}

/// What stands in the sentence of what blocks a deletion, and what is said in the end. Answers the sentence.
async fn blocked_then_left(fixture: &Fixture, history: &History<AuthenticatorConfig>) -> String {
    let id = remote(fixture);
    let config = history.says("DeletionBlocked").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert!(config.status.as_ref().unwrap().failing_since.is_some());
    let what = format!("authenticator configuration {id} is not deleted in Beyond Identity yet: ");
    let said = message(&config).strip_prefix("Deletion is waiting because ").unwrap().strip_prefix(&what).unwrap();
    gone(fixture).await;
    let told = fixture.tells_config("Warning RemoteResourceRetained").await;
    assert_eq!(told.note, format!("Finalizer removed after the grace period, but {what}{said}"));
    assert_eq!(remote(fixture), id);
    assert!(log_about(&told.note).iter().any(|line| line.contains(&format!("namespace=\"{}\"", fixture.namespace))));
    said.to_owned()
}

#[tokio::test]
async fn a_configuration_that_is_in_use_stays_until_the_last_of_its_users_goes() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.create_request_of("another", "nobody").await;
    fixture.request_says("LinkSent").await;
    fixture.named_request_says("another", "IdentityNotFound").await;
    fixture.delete_config().await;
    let config = fixture.config_says("InUse").await;
    assert_eq!(conditions(&config), "Ready=True", "being deleted, it keeps its row");
    assert_eq!(
        message(&config),
        "Deletion is waiting because this AuthenticatorConfig is referenced by EnrollmentRequest another, request; \
         delete what refers to it first, or set spec.deletionPolicy to Orphan to leave the configuration in Beyond \
         Identity"
    );
    assert_eq!(config.status.unwrap().failing_since, None, "it may take as long as it takes");
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let only_one = |config: &AuthenticatorConfig| message(config).contains("by EnrollmentRequest another;");
    crate::fixture::wait_for(fixture.configs(), CONFIG, "names the other one", only_one).await;
    assert_eq!(fixture.realm.configs().len(), 1);
    // One that leads elsewhere by now does not count; by the clock nobody would look again here.
    patch(&fixture.requests(), "another", json!({"spec": {"authenticatorConfigRef": {"name": "elsewhere"}}}))
        .await
        .unwrap();
    gone(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn a_request_that_is_being_deleted_is_no_user() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.request_says("LinkSent").await;
    patch(&fixture.requests(), REQUEST, json!({"metadata": {"finalizers": ["example.com/kept"]}})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    fixture.delete_config().await;
    gone(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    patch(&fixture.requests(), REQUEST, json!({"metadata": {"finalizers": null}})).await.unwrap();
}

#[tokio::test]
async fn orphan_lets_go_at_once_and_the_next_of_that_name_takes_it_over() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.request_says("LinkSent").await;
    fixture.delete_config().await;
    fixture.config_says("InUse").await;
    let id = remote(&fixture);
    // The way out of a deletion that waits.
    fixture.change_config(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    gone(&fixture).await;
    fixture.create_config().await;
    let config = fixture.config_says("Available").await;
    assert_eq!((config.status.unwrap().id, remote(&fixture)), (Some(id.clone()), id));
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
    assert_eq!(fixture.mailed().len(), 1);
}

/// Lists lag: gone too early, the object would be made again without a trace of its configuration.
#[tokio::test]
async fn an_orphan_is_in_every_list_before_its_object_goes() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(|settings| settings.settle_time = Duration::from_secs(20)).await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.create_config_with(json!({"deletionPolicy": "Orphan"})).await;
    fixture.config_says("Available").await;
    fixture.delete_config().await;
    let config = history.says("Deleting").await;
    assert_eq!(
        message(&config),
        "Waiting until the configuration that stays in Beyond Identity is visible in configuration lists"
    );
    gone(&fixture).await;
    assert_eq!(fixture.realm.configs().len(), 1);
}

#[tokio::test]
async fn a_deletion_that_the_service_refuses_is_let_go_after_the_grace_period() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
    for (status, text) in [(409, "conflict"), (400, "bad_request")] {
        let refused = Reply::error(status, text, "an application still uses it");
        fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig));
        let history = History::of(&fixture.configs(), CONFIG).await;
        fixture.delete_config().await;
        let said = blocked_then_left(&fixture, &history).await;
        assert!(said.ends_with("an application still uses it"), "{said}");
        fixture.realm.clear_faults();
        if status == 409 {
            clear_events(&fixture).await;
            fixture.create_config().await;
            fixture.config_says("Available").await;
        }
    }
}

/// Takes away what was told so far.
async fn clear_events(fixture: &Fixture) {
    let events: kube::Api<k8s_openapi::api::events::v1::Event> =
        kube::Api::namespaced(fixture.client.clone(), &fixture.namespace);
    events.delete_collection(&DeleteParams::default(), &Default::default()).await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_ends_in_time_lets_the_configuration_be_deleted() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.grace_period = Duration::from_secs(600);
        settings.resync_interval = Duration::from_secs(1);
    })
    .await;
    let refused = Reply::error(400, "bad_request", "an application still uses it");
    fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig).times(2));
    fixture.delete_config().await;
    gone(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    assert_eq!(fixture.calls(Operation::DeleteConfig), 3);
}

#[tokio::test]
async fn a_deletion_does_not_hang_when_the_secret_or_the_provider_config_went_first() {
    for provider_too in [false, true] {
        let (fixture, operator) = Fixture::ready().await;
        // The next process has never seen the credentials.
        operator.stop().await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        if provider_too {
            fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
            wait_until_gone(fixture.providers(), &fixture.provider).await;
        } else {
            fixture.delete_secret().await;
        }
        let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
        fixture.delete_config().await;
        let said = blocked_then_left(&fixture, &history).await;
        let sentence = if provider_too {
            format!("ClusterProviderConfig {} does not exist", fixture.provider)
        } else {
            "Secret beyond-identity does not exist".to_owned()
        };
        assert!(said.contains(&sentence), "{said}");
        assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
    }
}

#[tokio::test]
async fn a_namespace_that_is_no_longer_allowed_may_still_delete() {
    let (fixture, _operator) = Fixture::ready().await;
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowedNamespaces": {"names": []}}}))
        .await
        .unwrap();
    fixture.create_request_of(REQUEST, JANE).await;
    fixture.request_says("NamespaceNotAllowed").await;
    fixture.delete_request(REQUEST).await;
    fixture.delete_config().await;
    gone(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    assert_eq!(fixture.mailed().len(), 0);
}

#[tokio::test]
async fn nor_does_a_create_in_doubt_that_nobody_can_settle_any_more() {
    let fixture = Fixture::new().await;
    let operator = fixture.start().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateConfig));
    fixture.create_config().await;
    eventually("it was made", || fixture.realm.configs().len() == 1).await;
    operator.kill().await;
    fixture.delete_secret().await;
    fixture.delete_config().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    gone(&fixture).await;
    let told = fixture.tells_config("Warning RemoteResourceRetained").await;
    let sentence = "Finalizer removed after the grace period, but it is not known whether the authenticator \
                    configuration was created: ";
    assert!(told.note.starts_with(sentence), "{told:?}");
    assert_eq!(fixture.realm.configs().len(), 1);
}
