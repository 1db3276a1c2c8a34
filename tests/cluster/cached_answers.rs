//! A cache that answers in place of the service, and a proxy whose clock is ahead. Neither makes an email go out twice.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Job, Operation, Reply, Rule};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, JANE, REQUEST, eventually, job_of, message, reason, short_delays, wait_for};

/// A list without jobs.
fn no_jobs() -> Reply {
    Reply::json(200, &json!({"credential_binding_jobs": [], "total_size": 0}))
}

/// The time in this many hours, as a `Date`.
fn date_in(hours: i64) -> String {
    let now: Timestamp = Job::email(JANE, CONFIG).create_time.unwrap().parse().unwrap();
    let time = now + SignedDuration::from_hours(hours);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

fn settle_after_a_minute(settings: &mut Settings) {
    short_delays(settings);
    settings.settle_time = Duration::from_secs(60);
}

/// The list from before the send, in place of the lists that decide the doubt.
#[tokio::test]
async fn list_from_a_cache_decides_no_doubt() {
    let an_hour_ago = date_in(-1);
    let cached = [("date", an_hour_ago.as_str()), ("age", "3")];
    futures::future::join_all(cached.map(|(header, value)| async move {
        let (fixture, _operator) = Fixture::ready_with(short_delays).await;
        fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
        let list = Rule::new(Effect::Answer(no_jobs().header(header, value))).on(Operation::ListJobs);
        let rule = fixture.realm.fault(list.about(JANE).skip(1));
        fixture.create_request().await;
        let names_it = |request: &EnrollmentRequest| request.status.is_some() && message(request).contains("a cache");
        let request = wait_for(fixture.requests(), REQUEST, "names the cache", names_it).await;
        let in_doubt = if header == "date" { "InconsistentAnswers" } else { "SendInDoubt" };
        assert_eq!(reason(&request), in_doubt);
        // More lists than decide a doubt.
        eventually("the jobs are listed", || fixture.realm.fired(rule) >= 4).await;
        assert_eq!(fixture.calls(Operation::CreateJob), 1, "{header}");
        fixture.realm.remove_fault(rule);
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.mailed(), [job_of(&request)], "{header}");
    }))
    .await;
}

/// The list before the send has a time that is ahead. The job of the send is younger nevertheless.
#[tokio::test]
async fn time_that_is_ahead_hides_no_job_of_a_send() {
    let (fixture, _operator) = Fixture::ready_with(settle_after_a_minute).await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let list = Rule::new(Effect::Answer(no_jobs().header("date", &date_in(1)))).on(Operation::ListJobs);
    fixture.realm.fault(list.about(JANE).once());
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.mailed()), (1, vec![job_of(&request)]));
}

/// By a time of the next century each link has expired.
#[tokio::test]
async fn time_that_is_ahead_expires_no_active_link() {
    let (fixture, _operator) = Fixture::ready().await;
    let job = Job::email(JANE, &fixture.realm.configs()[0].id);
    fixture.realm.add_job(job.clone());
    let century = date_in(100 * 365 * 24);
    let shown = serde_json::to_value(&job).unwrap();
    let list = json!({"credential_binding_jobs": [shown], "total_size": 1});
    for (operation, body) in [(Operation::ListJobs, list), (Operation::GetJob, shown.clone())] {
        let reply = Reply::json(200, &body).header("date", &century);
        fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(operation).about(JANE));
    }
    fixture.create_request().await;
    let request = fixture.wait_for_request("Adopted").await;
    assert_eq!((job_of(&request), request.status.unwrap().expired), (job.id, None));
    assert_eq!(fixture.mailed(), Vec::<String>::new());
}
