//! What somebody changes or removes on the remote side is put right, once for each look, and said.

use std::time::Duration;

use beyond_identity_operator::authenticator_config::mark::Mark;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Operation, Outcome, Rule};
use serde_json::json;

use crate::fixture::{CLUSTER, CONFIG, Fixture, History, REQUEST, SOON, conditions, eventually, job_of, patch};

fn comparing(settings: &mut Settings) {
    settings.resync_interval = SOON;
}

/// How often a test wakes the loop.
const WAKES: usize = 10;

/// Wakes the loop again and again, as people do who label and annotate.
async fn wake(fixture: &Fixture) {
    for number in 0..WAKES {
        let annotation = json!({"metadata": {"annotations": {"example.com/woken": number.to_string()}}});
        patch(&fixture.configs(), CONFIG, annotation).await.unwrap();
    }
}

fn remote(fixture: &Fixture) -> harness::simulator::Config {
    fixture.realm.configs().remove(0)
}

#[tokio::test]
async fn what_somebody_changed_is_put_right_and_the_event_names_the_fields() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    let made = remote(&fixture);
    // A field that the contract does not know.
    fixture.realm.allow_any_answer();
    fixture.realm.edit_config(&made.id, |config| {
        config.display_name = Some("Somebody's idea".to_owned());
        config.config.insert("trusted_origins".to_owned(), json!([]));
        config.config.insert("something_new".to_owned(), json!("kept"));
    });
    eventually("it is put right", || remote(&fixture).display_name == made.display_name).await;
    let [call] = &fixture.realm.requests_of(Operation::UpdateConfig)[..] else { panic!("not one PATCH") };
    let config = json!({"type": "hosted_web", "trusted_origins": ["https://app.example.com"]});
    assert_eq!(call.json(), json!({"authenticator_config": {"display_name": made.display_name, "config": config}}));
    let events = fixture.tells_config("Normal DriftCorrected").await;
    assert_eq!(
        events.note,
        format!(
            "Updated authenticator configuration {} to match the spec: displayName, config.trustedOrigins",
            made.id
        )
    );
}

#[tokio::test]
async fn a_mark_that_was_taken_out_comes_back() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    let made = remote(&fixture);
    fixture.realm.edit_config(&made.id, |config| config.display_name = Some("Hosted web".to_owned()));
    eventually("it is back", || remote(&fixture).display_name == made.display_name).await;
}

#[tokio::test]
async fn the_same_in_another_order_is_no_difference() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    let origins = json!({"config": {"trustedOrigins": ["https://a.example.com", "https://b.example.com"]}});
    fixture.change_config(origins).await.unwrap();
    eventually("it is changed", || fixture.calls(Operation::UpdateConfig) == 1).await;
    let id = remote(&fixture).id;
    fixture.realm.edit_config(&id, |config| {
        config.config["trusted_origins"].as_array_mut().unwrap().reverse();
    });
    let looks = || fixture.calls(Operation::GetConfig);
    let before = looks();
    eventually("it was compared", || looks() >= before + 3).await;
    assert_eq!(fixture.calls(Operation::UpdateConfig), 1);
}

/// A service that does not keep what it is told.
#[tokio::test]
async fn there_is_no_war_about_what_does_not_stay_as_it_was_told() {
    const RESYNC: Duration = Duration::from_secs(1);
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = RESYNC).await;
    let id = remote(&fixture).id;
    let history = History::of(&fixture.configs(), CONFIG).await;
    let told = harness::simulator::Reply::json(200, &json!(remote(&fixture)));
    fixture.realm.fault(Rule::new(Effect::Answer(told)).on(Operation::UpdateConfig));
    fixture.realm.edit_config(&id, |config| _ = config.config.insert("trusted_origins".to_owned(), json!([])));
    let patches = || fixture.realm.requests_of(Operation::UpdateConfig);
    eventually("it was told", || !patches().is_empty()).await;
    wake(&fixture).await;
    eventually("it was told three times", || patches().len() >= 3).await;
    let patches = patches();
    for pair in patches.windows(2) {
        let pause = Duration::try_from(pair[1].time.duration_since(pair[0].time)).unwrap();
        assert!(pause >= RESYNC, "one PATCH for each resync: {pause:?}");
    }
    eventually("the watch has told of all", || history.versions().len() >= WAKES).await;
    assert_eq!(history.versions().len(), WAKES, "and no write to the object but those that woke it");
}

#[tokio::test]
async fn at_rest_a_configuration_costs_one_read_for_each_resync_and_no_write() {
    const RESYNC: Duration = Duration::from_secs(1);
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = RESYNC).await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    let before = fixture.realm.requests().len();
    wake(&fixture).await;
    eventually("it was compared three times", || fixture.realm.requests().len() >= before + 3).await;
    let calls = fixture.realm.requests().split_off(before);
    assert!(calls.iter().all(|call| call.operation == Operation::GetConfig), "{calls:?}");
    for pair in calls.windows(2) {
        let pause = Duration::try_from(pair[1].time.duration_since(pair[0].time)).unwrap();
        assert!(pause >= RESYNC, "{pause:?}");
    }
    eventually("the watch has told of all", || history.versions().len() >= WAKES).await;
    assert_eq!(history.versions().len(), WAKES, "but for those writes that woke it");
}

#[tokio::test]
async fn what_was_removed_is_made_again_and_requests_go_by_the_new_one() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let gone = remote(&fixture);
    fixture.realm.remove_config(&gone.id);
    eventually("it is made again", || fixture.realm.configs().len() == 1).await;
    let made = remote(&fixture);
    assert_eq!((&made.display_name, &made.config), (&gone.display_name, &gone.config));
    let told = fixture.tells_config("Warning ConfigurationNotFound").await;
    assert_eq!(
        told.note,
        format!("Authenticator configuration {} no longer exists in Beyond Identity; another one is created", gone.id)
    );
    let is_known = |config: &beyond_identity_operator::api::AuthenticatorConfig| {
        config.status.as_ref().unwrap().id.as_ref() == Some(&made.id) && conditions(config) == "Ready=True"
    };
    crate::fixture::wait_for(fixture.configs(), CONFIG, "names the new one", is_known).await;
    assert_eq!(fixture.mailed(), std::slice::from_ref(&first), "nobody is mailed again");
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("it is sent again", || fixture.mailed().len() == 2).await;
    let job = fixture.realm.job(&fixture.mailed()[1]).unwrap();
    assert_eq!(job.authenticator_config_id, made.id);
    fixture.delete_request(REQUEST).await;
}

#[tokio::test]
async fn what_bears_anothers_mark_by_now_is_not_written_to() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    let id = remote(&fixture).id;
    let stranger = format!("Theirs {}", Mark::of(CLUSTER, &fixture.namespace, "another"));
    fixture.realm.edit_config(&id, |config| {
        config.display_name = Some(stranger.clone());
        config.config.insert("trusted_origins".to_owned(), json!([]));
    });
    fixture.config_says("ConfigurationInUse").await;
    assert_eq!(fixture.realm.requests_of(Operation::UpdateConfig), []);
    assert_eq!(remote(&fixture).display_name, Some(stranger));
}

#[tokio::test]
async fn a_settled_configuration_keeps_its_row_when_a_look_fails() {
    let (fixture, _operator) = Fixture::ready_with(comparing).await;
    let settled = fixture.config_says("Available").await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.realm.pause();
    let dropped = || fixture.realm.requests().iter().filter(|call| call.outcome == Outcome::Dropped).count();
    eventually("two looks have failed", || dropped() >= 2).await;
    fixture.realm.resume();
    fixture.realm.set_token("another");
    let refused = || fixture.realm.requests().iter().filter(|call| call.outcome == Outcome::Answered(401)).count();
    eventually("two looks were refused", || refused() >= 2).await;
    assert_eq!(history.versions().len(), 0, "nothing is written");
    let now = fixture.config_says("Available").await;
    assert_eq!(now.metadata.resource_version, settled.metadata.resource_version);
}
