//! The deletion of an AuthenticatorConfig waits for its referrers. For any other problem it waits for the grace period
//! only.

use std::time::Duration;

use beyond_identity_operator::api::AuthenticatorConfig;
use harness::simulator::{Effect, Operation, Reply, Rule};
use kube::api::DeleteParams;
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, HIDDEN, History, JANE, REQUEST, conditions, eventually, log_about, message, patch,
    wait_until_deleted,
};

/// The grace period of these operators.
const GRACE: Duration = Duration::from_secs(3);

async fn wait_until_config_deleted(fixture: &Fixture) {
    wait_until_deleted(fixture.configs(), CONFIG).await;
}

/// The id of the only remote configuration.
fn remote(fixture: &Fixture) -> String {
    let configs = fixture.realm.configs();
    let [config] = &configs[..] else { panic!("not one configuration: {configs:?}") };
    config.id.clone()
}

/// Waits until the deletion is blocked, and then until the finalizer is removed. Checks the condition, the event and
/// the log, and returns the cause in them.
async fn blocked_then_retained(fixture: &Fixture, history: &History<AuthenticatorConfig>) -> String {
    let id = remote(fixture);
    let config = history.first_with_reason("DeletionBlocked").await;
    assert_eq!(conditions(&config), "Ready=True", "conditions are kept during deletion");
    assert!(config.status.as_ref().unwrap().failing_since.is_some());
    let what = format!("authenticator configuration {id} is not deleted in Beyond Identity yet: ");
    let cause = message(&config).strip_prefix("Deletion is waiting because ").unwrap().strip_prefix(&what).unwrap();
    wait_until_config_deleted(fixture).await;
    let event = fixture.wait_for_config_event("Warning RemoteResourceRetained").await;
    assert_eq!(
        event.note,
        format!("Finalizer removed after the grace period, but {}. {cause}", what.trim_end_matches(": "))
    );
    assert_eq!(remote(fixture), id);
    assert!(log_about(&event.note).iter().any(|line| line.contains(&format!("namespace=\"{}\"", fixture.namespace))));
    cause.to_owned()
}

#[tokio::test]
async fn deletion_waits_for_the_last_referrer() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.create_request_of("another", "nobody").await;
    fixture.wait_for_request("LinkSent").await;
    fixture.wait_for_request_named("another", "IdentityNotFound").await;
    fixture.delete_config().await;
    let config = fixture.wait_for_config("InUse").await;
    assert_eq!(conditions(&config), "Ready=True", "conditions are kept during deletion");
    assert_eq!(
        message(&config),
        "Deletion is waiting because this AuthenticatorConfig is referenced by EnrollmentRequest another, request; \
         delete what refers to it first, or set spec.deletionPolicy to Orphan to leave the configuration in Beyond \
         Identity"
    );
    assert_eq!(config.status.unwrap().failing_since, None, "the grace period does not limit this wait");
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let only_one = |config: &AuthenticatorConfig| message(config).contains("by EnrollmentRequest another;");
    crate::fixture::wait_for(fixture.configs(), CONFIG, "names only the other referrer", only_one).await;
    assert_eq!(fixture.realm.configs().len(), 1);
    // A request that refers to another configuration does not count. No interval is due here, so only the trigger
    // enqueues.
    patch(&fixture.requests(), "another", json!({"spec": {"authenticatorConfigRef": {"name": "elsewhere"}}}))
        .await
        .unwrap();
    wait_until_config_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
}

#[tokio::test]
async fn request_being_deleted_is_not_a_referrer() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    patch(&fixture.requests(), REQUEST, json!({"metadata": {"finalizers": ["example.com/kept"]}})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    fixture.delete_config().await;
    wait_until_config_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    patch(&fixture.requests(), REQUEST, json!({"metadata": {"finalizers": null}})).await.unwrap();
}

#[tokio::test]
async fn orphan_unblocks_deletion_and_next_object_takes_config_over() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.delete_config().await;
    fixture.wait_for_config("InUse").await;
    let id = remote(&fixture);
    fixture.change_config(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    wait_until_config_deleted(&fixture).await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!((config.status.unwrap().id, remote(&fixture)), (Some(id.clone()), id));
    assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
    assert_eq!(fixture.mailed().len(), 1);
}

/// Lists lag. If the object were deleted too early, the next one of its name would not find the configuration.
#[tokio::test]
async fn orphaned_config_is_in_lists_before_finalizer_removal() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(|settings| settings.settle_time = Duration::from_secs(20)).await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.create_config_with(json!({"deletionPolicy": "Orphan"})).await;
    fixture.wait_for_config("Available").await;
    fixture.delete_config().await;
    let config = history.first_with_reason("Deleting").await;
    assert_eq!(
        message(&config),
        "Waiting until the configuration that stays in Beyond Identity is visible in configuration lists"
    );
    wait_until_config_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs().len(), 1);
}

#[tokio::test]
async fn refused_deletion_ends_after_the_grace_period() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = GRACE).await;
    for (status, text) in [(409, "conflict"), (400, "bad_request")] {
        let refused = Reply::error(status, text, "an application still uses it");
        fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig));
        let history = History::of(&fixture.configs(), CONFIG).await;
        fixture.delete_config().await;
        let cause = blocked_then_retained(&fixture, &history).await;
        assert!(cause.ends_with(&format!("code {text}; {HIDDEN}")), "{cause}");
        fixture.realm.clear_faults();
        if status == 409 {
            clear_events(&fixture).await;
            fixture.create_config().await;
            fixture.wait_for_config("Available").await;
        }
    }
}

/// Deletes all events so far.
async fn clear_events(fixture: &Fixture) {
    let events: kube::Api<k8s_openapi::api::events::v1::Event> =
        kube::Api::namespaced(fixture.client.clone(), &fixture.namespace);
    events.delete_collection(&DeleteParams::default(), &Default::default()).await.unwrap();
}

#[tokio::test]
async fn refused_deletion_is_retried_within_the_grace_period() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.grace_period = Duration::from_secs(600);
        settings.resync_interval = Duration::from_secs(1);
    })
    .await;
    let refused = Reply::error(400, "bad_request", "an application still uses it");
    fixture.realm.fault(Rule::new(Effect::Answer(refused)).on(Operation::DeleteConfig).times(2));
    fixture.delete_config().await;
    wait_until_config_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    assert_eq!(fixture.calls(Operation::DeleteConfig), 3);
}

#[tokio::test]
async fn missing_credentials_block_deletion_for_the_grace_period_only() {
    for provider_too in [false, true] {
        let (fixture, operator) = Fixture::ready().await;
        // The next process has never seen the credentials.
        operator.stop().await;
        let history = History::of(&fixture.configs(), CONFIG).await;
        if provider_too {
            fixture.providers().delete(&fixture.provider, &DeleteParams::default()).await.unwrap();
            wait_until_deleted(fixture.providers(), &fixture.provider).await;
        } else {
            fixture.delete_secret().await;
        }
        let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
        fixture.delete_config().await;
        let cause = blocked_then_retained(&fixture, &history).await;
        let sentence = if provider_too {
            format!("ClusterProviderConfig {} does not exist", fixture.provider)
        } else {
            "Secret beyond-identity does not exist".to_owned()
        };
        assert!(cause.contains(&sentence), "{cause}");
        assert_eq!(fixture.realm.requests_of(Operation::DeleteConfig), []);
    }
}

#[tokio::test]
async fn disallowed_namespace_can_still_delete() {
    let (fixture, _operator) = Fixture::ready().await;
    patch(&fixture.providers(), &fixture.provider, json!({"spec": {"allowedNamespaces": {"names": []}}}))
        .await
        .unwrap();
    fixture.create_request_of(REQUEST, JANE).await;
    fixture.wait_for_request("NamespaceNotAllowed").await;
    fixture.delete_request(REQUEST).await;
    fixture.delete_config().await;
    wait_until_config_deleted(&fixture).await;
    assert_eq!(fixture.realm.configs(), []);
    assert_eq!(fixture.mailed().len(), 0);
}

#[tokio::test]
async fn create_in_doubt_blocks_deletion_for_the_grace_period_only() {
    let fixture = Fixture::new().await;
    let operator = fixture.start().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(600))).on(Operation::CreateConfig));
    fixture.create_config().await;
    eventually("the configuration is created", || fixture.realm.configs().len() == 1).await;
    operator.kill().await;
    fixture.delete_secret().await;
    fixture.delete_config().await;
    let _next = fixture.start_with(|settings| settings.grace_period = GRACE).await;
    wait_until_config_deleted(&fixture).await;
    let event = fixture.wait_for_config_event("Warning RemoteResourceRetained").await;
    let sentence = "Finalizer removed after the grace period, but it is not known whether the authenticator \
                    configuration was created. ";
    assert!(event.note.starts_with(sentence), "{event:?}");
    assert_eq!(fixture.realm.configs().len(), 1);
}
