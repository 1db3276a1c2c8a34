//! Many requests that wait share lists of the realm, whatever these lists do. Each sends one email.

use beyond_identity_operator::operator::Settings;
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Job, Operation, Reply, Rule};

use crate::fixture::{Fixture, Operator};

/// The number of requests: more than one page of identities.
const REQUESTS: usize = 240;

fn name(n: usize) -> String {
    format!("person-{n}")
}

/// As many requests, which exist when the operator starts with the configuration that it created before.
async fn all_at_once(prepare: impl FnOnce(&Fixture)) -> (Fixture, Operator) {
    let (fixture, operator) = Fixture::ready().await;
    operator.stop().await;
    (0..REQUESTS).for_each(|n| fixture.realm.add_identity(Identity::active(&name(n), "a@example.com")));
    prepare(&fixture);
    let names: Vec<_> = (0..REQUESTS).map(name).collect();
    join_all(names.iter().map(|name| fixture.create_request_of(name, name))).await;
    let operator = fixture.start_with(|settings: &mut Settings| settings.poll_budget = 1).await;
    (fixture, operator)
}

async fn wait_for_all(fixture: &Fixture, reason: &str) {
    let names: Vec<_> = (0..REQUESTS).map(name).collect();
    join_all(names.iter().map(|name| fixture.wait_for_request_named(name, reason))).await;
}

/// The calls for enrolments, without those that follow links.
fn calls(fixture: &Fixture) -> usize {
    use Operation::{CreateJob, GetIdentity, ListAllJobs, ListIdentities, ListJobs};
    [CreateJob, GetIdentity, ListAllJobs, ListIdentities, ListJobs].map(|it| fixture.calls(it)).into_iter().sum()
}

#[tokio::test]
async fn enrolment_takes_little_more_than_one_call() {
    let (fixture, _operator) = all_at_once(|_| {}).await;
    wait_for_all(&fixture, "LinkSent").await;
    assert_eq!(fixture.mailed().len(), REQUESTS);
    let calls = calls(&fixture);
    assert!(calls <= REQUESTS * 3 / 2, "{calls} calls for {REQUESTS} enrolments");
}

#[tokio::test]
async fn links_in_a_list_of_the_realm_are_adopted() {
    let (fixture, _operator) = all_at_once(|fixture| {
        let config = fixture.realm.configs()[0].id.clone();
        (0..REQUESTS).for_each(|n| fixture.realm.add_job(Job::email(&name(n), &config)));
    })
    .await;
    wait_for_all(&fixture, "Adopted").await;
    assert_eq!(fixture.mailed(), Vec::<String>::new());
    assert!(fixture.calls(Operation::ListJobs) < REQUESTS / 2, "{} lists", fixture.calls(Operation::ListJobs));
}

#[tokio::test]
async fn realm_without_usable_lists_is_read_identity_by_identity() {
    let gone = || Effect::Answer(Reply::error(404, "not_found", "no such identity"));
    let (fixture, _operator) = all_at_once(|fixture| {
        fixture.realm.fault(Rule::new(gone()).on(Operation::ListAllJobs));
        fixture
            .realm
            .fault(Rule::new(Effect::Answer(Reply::error(500, "internal", "try later"))).on(Operation::ListIdentities));
    })
    .await;
    wait_for_all(&fixture, "LinkSent").await;
    assert_eq!(fixture.mailed().len(), REQUESTS);
    let calls = calls(&fixture);
    assert!(calls <= REQUESTS * 3 + 20, "{calls} calls for {REQUESTS} enrolments");
    let tried = [Operation::ListAllJobs, Operation::ListIdentities].map(|list| fixture.calls(list) > 0);
    assert_eq!(tried, [true, true], "the lists are tried");
}
