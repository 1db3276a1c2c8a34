//! A request that is deleted, and made again under the same name: each of the two sends its own email, and neither takes
//! the other's job for its own, however late the lists are.

use std::time::Duration;

use harness::simulator::{Effect, Operation, Rule};
use jiff::SignedDuration;

use crate::fixture::{Fixture, REQUEST, job_of, message, wait_until_gone};

/// How late a list may show a job, as these operators have it.
const SETTLE: Duration = Duration::from_secs(4);
/// How late it shows one.
const LAG: Duration = Duration::from_secs(3);

#[tokio::test]
async fn the_second_one_in_doubt_does_not_take_the_first_ones_job_though_a_list_shows_it_late() {
    // One list may show it at once: that says nothing about the next ones, which come from elsewhere.
    let cases = [(Effect::LoseRequest, 0), (Effect::LoseRequest, 1), (Effect::LoseAnswer, 1)];
    futures::future::join_all(cases.map(|(effect, prompt)| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| {
            settings.request_timeout = Duration::from_secs(2);
            settings.settle_time = SETTLE;
        })
        .await;
        fixture.create_request().await;
        let first = job_of(&fixture.request_says("LinkSent").await);
        fixture.realm.fault(Rule::new(Effect::LagList(LAG)).on(Operation::ListJobs).skip(prompt));
        fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateJob).once());
        fixture.delete_request(REQUEST).await;
        wait_until_gone(fixture.requests(), REQUEST).await;
        fixture.create_request().await;
        let second = job_of(&fixture.request_says("LinkSent").await);
        assert_eq!(fixture.mailed(), [first.clone(), second.clone()], "{effect:?} {prompt}");
        assert_eq!(
            (fixture.remote_state(&first), fixture.remote_state(&second)),
            ("REVOKED".into(), "LINK_SENT".into())
        );
    }))
    .await;
}

#[tokio::test]
async fn a_job_that_is_old_by_the_services_own_clock_is_not_waited_for_also_after_a_restart() {
    let long = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.settle_time = Duration::from_secs(600);
    };
    let (fixture, operator) = Fixture::ready_with(long).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    operator.stop().await;
    let _next = fixture.start_with(long).await;
    // By the service's clock it is not old enough yet, and this process does not know it for longer.
    fixture.delete_request(REQUEST).await;
    let request = fixture.request_says("Deleting").await;
    assert_eq!(message(&request), "Waiting until the last job is visible in job lists");
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    fixture.realm.set_clock_skew(SignedDuration::from_secs(600 + 60));
    // A change wakes it; by this machine's clock it would wait for the settle time.
    fixture.annotate_request(REQUEST, "one").await;
    wait_until_gone(fixture.requests(), REQUEST).await;
}
