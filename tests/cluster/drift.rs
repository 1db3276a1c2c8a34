//! Drift: remote changes and removals are corrected, at most once for each poll, and reported by events.

use beyond_identity_operator::api::RESEND;
use std::time::Duration;

use beyond_identity_operator::authenticator_config::mark::OwnershipMark;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Outcome, Rule};
use serde_json::json;

use crate::fixture::{CLUSTER, CONFIG, Fixture, History, REQUEST, SOON, conditions, eventually, job_of, patch};

fn short_resync(settings: &mut Settings) {
    settings.resync_interval = SOON;
}

/// How often a test enqueues the configuration.
const UPDATES: usize = 10;

/// Enqueues the configuration repeatedly, by an annotation that the operator does not use.
async fn update_repeatedly(fixture: &Fixture) {
    for number in 0..UPDATES {
        let annotation = json!({"metadata": {"annotations": {RESEND: number.to_string()}}});
        patch(&fixture.configs(), CONFIG, annotation).await.unwrap();
    }
}

fn remote(fixture: &Fixture) -> harness::simulator::Config {
    fixture.realm.configs().remove(0)
}

#[tokio::test]
async fn drift_is_corrected_and_the_event_names_the_fields() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let original = remote(&fixture);
    // A field that the contract does not know.
    fixture.realm.allow_any_answer();
    fixture.realm.edit_config(&original.id, |config| {
        config.display_name = Some("Somebody's idea".to_owned());
        config.config.insert("trusted_origins".to_owned(), json!([]));
        config.config.insert("something_new".to_owned(), json!("kept"));
    });
    eventually("the drift is corrected", || remote(&fixture).display_name == original.display_name).await;
    let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
    let config = json!({"type": "hosted_web", "trusted_origins": ["https://app.example.com"]});
    assert_eq!(call.json(), json!({"authenticator_config": {"display_name": original.display_name, "config": config}}));
    let event = fixture.wait_for_config_event("Normal DriftCorrected").await;
    assert_eq!(
        event.note,
        format!(
            "Updated authenticator configuration {} to match the spec: displayName, config.trustedOrigins",
            original.id
        )
    );
}

#[tokio::test]
async fn removed_ownership_mark_is_restored() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let original = remote(&fixture);
    fixture.realm.edit_config(&original.id, |config| config.display_name = Some("Hosted web".to_owned()));
    eventually("the mark is restored", || remote(&fixture).display_name == original.display_name).await;
}

#[tokio::test]
async fn reordered_list_is_not_drift() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let origins = json!({"config": {"trustedOrigins": ["https://a.example.com", "https://b.example.com"]}});
    fixture.change_config(origins).await.unwrap();
    eventually("the spec change is patched", || fixture.calls(Operation::UpdateConfig) == 1).await;
    let id = remote(&fixture).id;
    fixture.realm.edit_config(&id, |config| {
        config.config["trusted_origins"].as_array_mut().unwrap().reverse();
    });
    let polls = || fixture.calls(Operation::GetConfig);
    let before = polls();
    eventually("it is polled three times", || polls() >= before + 3).await;
    assert_eq!(fixture.calls(Operation::UpdateConfig), 1);
}

/// The service confirms a PATCH, and does not apply it.
#[tokio::test]
async fn ignored_patch_is_repeated_once_per_resync_only() {
    const RESYNC: Duration = Duration::from_secs(1);
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = RESYNC).await;
    let id = remote(&fixture).id;
    let history = History::of(&fixture.configs(), CONFIG).await;
    let confirmed = harness::simulator::Reply::json(200, &json!(remote(&fixture)));
    fixture.realm.fault(Rule::new(Effect::Answer(confirmed)).on(Operation::UpdateConfig));
    fixture.realm.edit_config(&id, |config| _ = config.config.insert("trusted_origins".to_owned(), json!([])));
    let patches = || fixture.realm.requests_of(Operation::UpdateConfig);
    eventually("a PATCH is sent", || !patches().is_empty()).await;
    update_repeatedly(&fixture).await;
    eventually("three PATCHes are sent", || patches().len() >= 3).await;
    let patches = patches();
    for pair in patches.windows(2) {
        let interval = Duration::try_from(pair[1].time.duration_since(pair[0].time)).unwrap();
        assert!(interval >= RESYNC, "at most one PATCH for each resync: {interval:?}");
    }
    eventually("the watch has delivered all versions", || history.versions().len() >= UPDATES).await;
    assert_eq!(history.versions().len(), UPDATES, "only the writes of the test change the object");
}

#[tokio::test]
async fn settled_config_costs_one_read_per_resync_and_no_write() {
    const RESYNC: Duration = Duration::from_secs(1);
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = RESYNC).await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    let before = fixture.realm.requests().len();
    update_repeatedly(&fixture).await;
    eventually("it is polled three times", || fixture.realm.requests().len() >= before + 3).await;
    let calls = fixture.realm.requests().split_off(before);
    assert!(calls.iter().all(|call| call.operation == Operation::GetConfig), "{calls:?}");
    for pair in calls.windows(2) {
        let interval = Duration::try_from(pair[1].time.duration_since(pair[0].time)).unwrap();
        assert!(interval >= RESYNC, "{interval:?}");
    }
    eventually("the watch has delivered all versions", || history.versions().len() >= UPDATES).await;
    assert_eq!(history.versions().len(), UPDATES, "only the writes of the test change the object");
}

#[tokio::test]
async fn removed_config_is_recreated_and_used_by_requests() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let removed = remote(&fixture);
    fixture.realm.remove_config(&removed.id);
    eventually("the configuration is created again", || fixture.realm.configs().len() == 1).await;
    let recreated = remote(&fixture);
    assert_eq!((&recreated.display_name, &recreated.config), (&removed.display_name, &removed.config));
    let event = fixture.wait_for_config_event("Warning ConfigurationNotFound").await;
    assert_eq!(
        event.note,
        format!(
            "Authenticator configuration {} no longer exists in Beyond Identity; another one is created",
            removed.id
        )
    );
    let is_known = |config: &beyond_identity_operator::api::AuthenticatorConfig| {
        config.status.as_ref().unwrap().id.as_ref() == Some(&recreated.id) && conditions(config) == "Ready=True"
    };
    crate::fixture::wait_for(fixture.configs(), CONFIG, "names the new configuration", is_known).await;
    assert_eq!(fixture.mailed(), std::slice::from_ref(&first), "nothing is sent again");
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("attempt 2 is sent", || fixture.mailed().len() == 2).await;
    let job = fixture.realm.job(&fixture.mailed()[1]).unwrap();
    assert_eq!(job.authenticator_config_id, recreated.id);
    fixture.delete_request(REQUEST).await;
}

#[tokio::test]
async fn config_with_another_objects_mark_is_not_patched() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let id = remote(&fixture).id;
    let other_name = format!("Theirs {}", OwnershipMark::of(CLUSTER, &fixture.namespace, "another"));
    fixture.realm.edit_config(&id, |config| {
        config.display_name = Some(other_name.clone());
        config.config.insert("trusted_origins".to_owned(), json!([]));
    });
    fixture.wait_for_config("ConfigurationInUse").await;
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(remote(&fixture).display_name, Some(other_name));
}

#[tokio::test]
async fn settled_config_keeps_its_status_when_a_poll_fails() {
    let (fixture, _operator) = Fixture::ready_with(short_resync).await;
    let settled = fixture.wait_for_config("Available").await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.realm.pause();
    // After the first poll that fails, the checks of the credentials do.
    let dropped = || fixture.realm.all_requests().iter().filter(|call| call.outcome == Outcome::Dropped).count();
    eventually("a poll and a check have failed", || dropped() >= 2).await;
    fixture.realm.resume();
    fixture.realm.set_token("another");
    let refused = || fixture.realm.all_requests().iter().filter(|call| call.outcome == Outcome::Answered(401)).count();
    eventually("two calls are refused", || refused() >= 2).await;
    assert_eq!(history.versions().len(), 0, "nothing is written");
    let now = fixture.wait_for_config("Available").await;
    assert_eq!(now.metadata.resource_version, settled.metadata.resource_version);
}
