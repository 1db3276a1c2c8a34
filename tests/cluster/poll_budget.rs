//! The links that are out are followed by pages of the realm's jobs and few single reads, whatever lists do.

use beyond_identity_operator::api::RECONCILE_REQUESTED_AT;
use beyond_identity_operator::operator::Settings;
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Operation, Reply, Rule};

use crate::fixture::{Fixture, NEVER, Operator, SOON, annotate, eventually, job_of};

/// The number of links that are out.
const LINKS: usize = 30;

/// Follows links with this many calls a minute. Each link is due again at once.
fn budget(poll_budget: u32) -> impl Fn(&mut Settings) {
    move |settings| {
        settings.job_poll_min = SOON;
        settings.job_poll_max = SOON;
        settings.poll_budget = poll_budget;
    }
}

fn name(n: usize) -> String {
    format!("person-{n}")
}

/// A realm with as many links out. Returns their jobs.
async fn many_links(poll_budget: u32) -> (Fixture, Operator, Vec<String>) {
    let (fixture, operator) = Fixture::ready_with(budget(poll_budget)).await;
    (0..LINKS).for_each(|n| fixture.realm.add_identity(Identity::active(&name(n), "a@example.com")));
    let names: Vec<_> = (0..LINKS).map(name).collect();
    join_all(names.iter().map(|name| fixture.create_request_of(name, name))).await;
    let requests = join_all(names.iter().map(|name| fixture.wait_for_request_named(name, "LinkSent"))).await;
    let jobs = requests.iter().map(job_of).collect();
    (fixture, operator, jobs)
}

#[tokio::test]
async fn pages_show_which_jobs_changed() {
    let (fixture, _operator, jobs) = many_links(600).await;
    eventually("a page is read", || fixture.calls(Operation::ListAllJobs) > 0).await;
    let (reads, pages) = (fixture.calls(Operation::GetJob), fixture.calls(Operation::ListAllJobs));
    for n in [3, 17] {
        fixture.realm.set_job_state(&jobs[n], "COMPLETE");
    }
    for n in [3, 17] {
        fixture.wait_for_request_named(&name(n), "Complete").await;
    }
    eventually("more pages are read", || fixture.calls(Operation::ListAllJobs) > pages + 8).await;
    let reads = fixture.calls(Operation::GetJob) - reads;
    let calls = reads + fixture.calls(Operation::ListAllJobs) - pages;
    // One call in four reads a job that the pages show unchanged.
    assert!((2..=3 + calls / 3).contains(&reads), "{reads} of {calls} calls read a single job");
    assert_eq!(fixture.mailed().len(), LINKS);
}

#[tokio::test]
async fn job_that_no_page_shows_is_read_by_its_id() {
    let (fixture, _operator, jobs) = many_links(6000).await;
    fixture.realm.fault(Rule::new(Effect::LagList(NEVER)).on(Operation::ListAllJobs));
    fixture.realm.set_job_state(&jobs[5], "LINK_OPENED");
    fixture.wait_for_request_named(&name(5), "LinkOpened").await;
    assert_eq!(fixture.mailed().len(), LINKS);
}

#[tokio::test]
async fn service_without_such_a_list_is_read_one_by_one_within_the_budget() {
    let (fixture, _operator) = Fixture::ready_with(budget(600)).await;
    let missing = Reply::error(404, "not_found", "no such identity");
    let fault = fixture.realm.fault(Rule::new(Effect::Answer(missing)).on(Operation::ListAllJobs));
    (0..LINKS).for_each(|n| fixture.realm.add_identity(Identity::active(&name(n), "a@example.com")));
    let names: Vec<_> = (0..LINKS).map(name).collect();
    join_all(names.iter().map(|name| fixture.create_request_of(name, name))).await;
    let requests = join_all(names.iter().map(|name| fixture.wait_for_request_named(name, "LinkSent"))).await;
    let jobs: Vec<_> = requests.iter().map(job_of).collect();
    for n in [0, LINKS - 1] {
        fixture.realm.set_job_state(&jobs[n], "COMPLETE");
        fixture.wait_for_request_named(&name(n), "Complete").await;
    }
    let tried = fixture.realm.fired(fault);
    assert!(
        tried <= 2,
        "the list is not tried again soon: once for the requests that wait, and once for the links, not {tried} times"
    );
    assert_eq!(fixture.mailed().len(), LINKS);
}

#[tokio::test]
async fn budget_that_is_spent_delays_polls_but_no_send() {
    let (fixture, _operator, jobs) = many_links(1).await;
    let polls = || fixture.calls(Operation::ListAllJobs) + fixture.calls(Operation::GetJob);
    eventually("the budget of the first minute is spent", || polls() >= 1).await;
    let spent = polls();
    fixture.realm.add_identity(Identity::active("new", "new@example.com"));
    fixture.create_request_of("new", "new").await;
    fixture.wait_for_request_named("new", "LinkSent").await;
    assert!(polls() <= spent + 1, "another call is left in a minute");

    // Whoever wants a link read at once says so.
    fixture.realm.set_job_state(&jobs[9], "LINK_OPENED");
    annotate(&fixture.requests(), &name(9), RECONCILE_REQUESTED_AT, "now").await;
    fixture.wait_for_request_named(&name(9), "LinkOpened").await;
    assert_eq!(fixture.mailed().len(), LINKS + 1);
}
