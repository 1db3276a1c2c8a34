//! What the log tells: one line for each transition, with the object, the reason and the trace of the calls that led to
//! it; and nothing at rest.

use harness::simulator::{Operation, Recorded};
use serde_json::Value;

use crate::fixture::{Access, Fixture, Process, REQUEST, eventually};

/// Each line about the request: its reason, and its trace.
fn transitions(process: &Process) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let all = process.log().into_iter().filter(|line| line["kind"] == "EnrollmentRequest");
    let about = all.inspect(|line| assert!(line["name"] == REQUEST && line["namespace"].is_string(), "{line}"));
    about.map(|line| (text(&line, "reason"), text(&line, "trace_id"))).collect()
}

/// The trace of a call.
fn trace(call: &Recorded) -> &str {
    call.traceparent.as_deref().unwrap().split('-').nth(1).unwrap()
}

#[tokio::test]
async fn a_transition_is_one_line_that_leads_to_its_calls_and_at_rest_there_is_none() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &["--job-poll-min", "1s", "--job-poll-max", "1s"]).await;
    fixture.create_config().await;
    fixture.config_says("Available").await;
    fixture.create_request().await;
    fixture.request_says("LinkSent").await;
    eventually("it is told", || transitions(&process).iter().any(|(reason, _)| reason == "LinkSent")).await;
    let [sent] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("not one call") };
    let told = transitions(&process);
    assert_eq!(told.last().unwrap(), &("LinkSent".to_owned(), trace(sent).to_owned()));
    for operation in [Operation::GetIdentity, Operation::ListJobs] {
        let calls = fixture.realm.requests_of(operation);
        assert_eq!(trace(calls.last().unwrap()), trace(sent), "one look is one trace: {calls:?}");
    }

    // At rest, however often the job is read.
    let (reads, lines) = (|| fixture.realm.requests_of(Operation::GetJob), process.log().len());
    eventually("it is read", || reads().len() > 3).await;
    assert_eq!(process.log().len(), lines, "{:?}", &process.log()[lines..]);
    let mut traces: Vec<_> = reads().iter().map(|call| trace(call).to_owned()).collect();
    traces.dedup();
    assert!(traces.len() > 3, "each look is a trace of its own");

    fixture.realm.set_job_state(&fixture.mailed()[0], "COMPLETE");
    eventually("it is told", || transitions(&process).len() > told.len()).await;
    let told = transitions(&process).split_off(told.len());
    let last = reads().last().map(|call| trace(call).to_owned());
    assert_eq!(told, [("Complete".to_owned(), last.unwrap())]);

    fixture.delete_request(REQUEST).await;
    eventually("its end is told", || transitions(&process).last().unwrap().0 == "Deleting").await;
}
