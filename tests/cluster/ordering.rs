//! Priorities of reconciles, and how workers are shared, counted in calls that the service receives.

use std::time::Duration;

use beyond_identity_operator::operator::Settings;
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Operation, RealmHandle, Reply, Rule};

use crate::fixture::{Fixture, eventually, poll_often};

/// The number of objects that compete for workers.
const MANY: usize = 40;
/// Longer than any test takes.
const HANGS: Duration = Duration::from_secs(3600);

fn names() -> Vec<String> {
    (0..MANY).map(|number| format!("number-{number}")).collect()
}

/// Sets the number of workers, and the most of them for one provider config.
fn workers(settings: &mut Settings, total: u16, per_provider_config: u16) {
    settings.max_concurrent_reconciles = total;
    settings.max_concurrent_reconciles_per_provider_config = per_provider_config;
}

/// Delays each later call to the realm.
fn slow_down(realm: &RealmHandle, by: Duration) {
    realm.fault(Rule::new(Effect::Delay(by)));
}

fn count(realm: &RealmHandle, operation: Operation) -> usize {
    realm.requests_of(operation).len()
}

/// Creates AuthenticatorConfigs of these names.
async fn create_configs(fixture: &Fixture, names: &[String]) {
    join_all(names.iter().map(|name| fixture.create_config_named(name))).await;
}

#[tokio::test]
async fn new_email_does_not_wait_for_slow_polls() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        poll_often(settings);
        workers(settings, 4, 2);
    })
    .await;
    // Each job is read by its id.
    let no_list = Reply::error(404, "not_found", "not found");
    fixture.realm.fault(Rule::new(Effect::Answer(no_list)).on(Operation::ListAllJobs));
    let names = names();
    for name in &names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
    }
    join_all(names.iter().map(|name| fixture.create_request_of(name, name))).await;
    join_all(names.iter().map(|name| fixture.wait_for_request_named(name, "LinkSent"))).await;
    slow_down(&fixture.realm, Duration::from_millis(400));
    let before = count(&fixture.realm, Operation::GetJob);
    // By then a poll of every other request is due.
    eventually("the polls are slow", || count(&fixture.realm, Operation::GetJob) >= before + 10).await;

    let before = fixture.realm.requests().len();
    fixture.create_request().await;
    eventually("the email is sent", || count(&fixture.realm, Operation::CreateJob) > MANY).await;
    let calls = &fixture.realm.requests()[before..];
    let sent = calls.iter().position(|call| call.operation == Operation::CreateJob).unwrap();
    let polls = calls[..sent].iter().filter(|call| call.operation == Operation::GetJob).count();
    println!("{polls} polls started before the email was sent");
    // One worker polls while the other makes the calls of the email. A few polls start before the watch delivers the
    // request.
    assert!(polls <= MANY / 2, "{polls} polls started before the email was sent");
}

#[tokio::test]
async fn hanging_provider_config_leaves_workers_to_the_others() {
    let slow = Fixture::new().await;
    let other = slow.with_another_realm().await;
    // Not the check of the credentials, for which all calls wait.
    slow.realm.fault(Rule::new(Effect::Delay(HANGS)).on(Operation::ListConfigs));
    let _operator = slow.start_with(|settings| workers(settings, 4, 2)).await;
    let names = names();
    create_configs(&slow, &names).await;
    eventually("its workers are busy", || slow.realm.requests().len() == 2).await;
    other.create_config_named("other").await;
    other.wait_for_config_named("other", "Available").await;
    assert_eq!(slow.realm.requests().len(), 2, "no more calls than its workers");
}

#[tokio::test]
async fn provider_configs_share_workers_fairly() {
    let many = Fixture::new().await;
    let other = many.with_another_realm().await;
    assert_does_not_wait_behind_many(&many, &other).await;
}

#[tokio::test]
async fn namespaces_share_workers_fairly() {
    let many = Fixture::new().await;
    let other = many.other_namespace().await;
    assert_does_not_wait_behind_many(&many, &other).await;
}

/// Creates one configuration in `other` while many of `many` are queued, and asserts that it does not wait for them.
async fn assert_does_not_wait_behind_many(many: &Fixture, other: &Fixture) {
    slow_down(&many.realm, Duration::from_millis(200));
    let _operator = many
        .start_with(|settings| {
            settings.watch_namespaces = vec![many.namespace.clone(), other.namespace.clone()];
            settings.watch_namespaces.dedup();
            // Each provider config may use all workers, so only the queue's fairness separates them.
            workers(settings, 2, 2);
        })
        .await;
    create_configs(many, &names()).await;
    eventually("the first configuration is created", || !many.realm.configs().is_empty()).await;
    let before = many.realm.configs().len();
    other.create_config_named("other").await;
    other.wait_for_config_named("other", "Available").await;
    let created = many.realm.configs().len() - before;
    println!("{created} others were created before it");
    assert!(created <= MANY / 4, "{created} others were created before it");
}
