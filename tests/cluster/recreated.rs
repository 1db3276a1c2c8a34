//! A request that is deleted and created again under the same name: each of the two sends its own email. Neither adopts
//! the job of the other, however late job lists show it.

use std::time::Duration;

use harness::simulator::{Effect, Operation, Rule};
use jiff::SignedDuration;

use crate::fixture::{Fixture, REQUEST, job_of, message, wait_until_deleted};

/// The `--settle-time` of the operators.
const SETTLE: Duration = Duration::from_secs(4);
/// How late the service lists a job.
const LAG: Duration = Duration::from_secs(3);

#[tokio::test]
async fn recreated_request_does_not_adopt_the_earlier_job() {
    // One list may show the job at once. Later lists may still miss it, since another replica answers them.
    let cases = [(Effect::LoseRequest, 0), (Effect::LoseRequest, 1), (Effect::LoseAnswer, 1)];
    futures::future::join_all(cases.map(|(effect, prompt)| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| {
            settings.request_timeout = Duration::from_secs(2);
            settings.settle_time = SETTLE;
        })
        .await;
        fixture.create_request().await;
        let first = job_of(&fixture.wait_for_request("LinkSent").await);
        fixture.realm.fault(Rule::new(Effect::LagList(LAG)).on(Operation::ListJobs).skip(prompt));
        fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateJob).once());
        fixture.delete_request(REQUEST).await;
        wait_until_deleted(fixture.requests(), REQUEST).await;
        fixture.create_request().await;
        let second = job_of(&fixture.wait_for_request("LinkSent").await);
        assert_eq!(fixture.mailed(), [first.clone(), second.clone()], "{effect:?} {prompt}");
        assert_eq!(
            (fixture.remote_state(&first), fixture.remote_state(&second)),
            ("REVOKED".into(), "LINK_SENT".into())
        );
    }))
    .await;
}

#[tokio::test]
async fn deletion_wait_ends_by_the_service_clock_after_restart() {
    let long = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.settle_time = Duration::from_secs(600);
    };
    let (fixture, operator) = Fixture::ready_with(long).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    operator.stop().await;
    let _next = fixture.start_with(long).await;
    // By the service's clock the job is too recent, and this process has just started.
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request("Deleting").await;
    assert_eq!(
        message(&request),
        "Keeping the finalizer for at most 600 s, so that the next request of this name finds this job in the list"
    );
    assert_eq!(fixture.remote_state(&job), "REVOKED");
    fixture.realm.set_clock_skew(SignedDuration::from_secs(600 + 60));
    // The annotation enqueues the request. By the local clock it would wait for the settle time.
    fixture.annotate_request(REQUEST, "one").await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
}
