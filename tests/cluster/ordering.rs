//! What is reconciled first, and who shares the workers, counted in the calls that the service was asked for.

use std::time::Duration;

use beyond_identity_operator::operator::Settings;
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Operation, RealmHandle, Rule};

use crate::fixture::{Fixture, eventually, following};

/// How many objects are in the way.
const MANY: usize = 40;
/// Longer than any test takes.
const HANGS: Duration = Duration::from_secs(3600);

fn names() -> Vec<String> {
    (0..MANY).map(|number| format!("number-{number}")).collect()
}

/// So many workers, and so many of them for each provider config.
fn workers(settings: &mut Settings, total: u16, per_provider_config: u16) {
    settings.max_concurrent_reconciles = total;
    settings.max_concurrent_reconciles_per_provider_config = per_provider_config;
}

/// From now on each call of the realm takes so long.
fn slow_down(realm: &RealmHandle, by: Duration) {
    realm.fault(Rule::new(Effect::Delay(by)));
}

fn count(realm: &RealmHandle, operation: Operation) -> usize {
    realm.requests_of(operation).len()
}

/// The AuthenticatorConfigs of these names.
async fn create_configs(fixture: &Fixture, names: &[String]) {
    join_all(names.iter().map(|name| fixture.create_config_named(name))).await;
}

#[tokio::test]
async fn a_new_email_does_not_wait_for_the_polls_of_a_slow_service() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        following(settings);
        workers(settings, 4, 2);
    })
    .await;
    let names = names();
    for name in &names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
    }
    join_all(names.iter().map(|name| fixture.create_request_of(name, name))).await;
    join_all(names.iter().map(|name| fixture.named_request_says(name, "LinkSent"))).await;
    slow_down(&fixture.realm, Duration::from_millis(400));
    let before = count(&fixture.realm, Operation::GetJob);
    // By then all that are not being polled are due.
    eventually("the polls take long", || count(&fixture.realm, Operation::GetJob) >= before + 10).await;

    let before = fixture.realm.requests().len();
    fixture.create_request().await;
    eventually("the email is sent", || count(&fixture.realm, Operation::CreateJob) > MANY).await;
    let calls = &fixture.realm.requests()[before..];
    let sent = calls.iter().position(|call| call.operation == Operation::CreateJob).unwrap();
    let polls = calls[..sent].iter().filter(|call| call.operation == Operation::GetJob).count();
    println!("{polls} polls were begun before the email was sent");
    // One worker polls on while the other makes the calls of the email, and a few are begun before the watch tells of it.
    assert!(polls <= MANY / 2, "{polls} polls were begun before the email was sent");
}

#[tokio::test]
async fn a_provider_config_that_does_not_answer_leaves_workers_to_the_others() {
    let slow = Fixture::new().await;
    let other = slow.with_another_realm().await;
    slow_down(&slow.realm, HANGS);
    let _operator = slow.start_with(|settings| workers(settings, 4, 2)).await;
    let names = names();
    create_configs(&slow, &names).await;
    eventually("its share is full", || slow.realm.requests().len() == 2).await;
    other.create_config_named("other").await;
    other.named_config_says("other", "Available").await;
    assert_eq!(slow.realm.requests().len(), 2, "no more than its share was begun");
}

#[tokio::test]
async fn provider_configs_take_turns_however_many_objects_one_has() {
    let many = Fixture::new().await;
    let other = many.with_another_realm().await;
    is_not_behind_many(&many, &other).await;
}

#[tokio::test]
async fn namespaces_take_turns_however_many_objects_one_has() {
    let many = Fixture::new().await;
    let other = many.beside().await;
    is_not_behind_many(&many, &other).await;
}

/// Makes one configuration of `other` while there are many of `many`, and sees that it does not wait for these.
async fn is_not_behind_many(many: &Fixture, other: &Fixture) {
    slow_down(&many.realm, Duration::from_millis(200));
    let _operator = many
        .start_with(|settings| {
            settings.watch_namespaces = vec![many.namespace.clone(), other.namespace.clone()];
            settings.watch_namespaces.dedup();
            // No worker is free for one of them that the other could not have.
            workers(settings, 2, 2);
        })
        .await;
    create_configs(many, &names()).await;
    eventually("the first one is made", || !many.realm.configs().is_empty()).await;
    let before = many.realm.configs().len();
    other.create_config_named("other").await;
    other.named_config_says("other", "Available").await;
    let made = many.realm.configs().len() - before;
    println!("{made} others were made before it");
    assert!(made <= MANY / 4, "{made} others were made before it");
}
