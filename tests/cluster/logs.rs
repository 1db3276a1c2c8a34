//! The log has one line for each transition, with the object, the reason and the trace id of its calls. Polls without a
//! change log nothing.

use harness::simulator::{Operation, Recorded};
use serde_json::Value;

use crate::fixture::{Access, Fixture, Process, REQUEST, eventually};

/// The reason and the trace id of each line about the request.
fn transitions(process: &Process) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let all = process.log().into_iter().filter(|line| line["kind"] == "EnrollmentRequest");
    let about = all.inspect(|line| assert!(line["name"] == REQUEST && line["namespace"].is_string(), "{line}"));
    about.map(|line| (text(&line, "reason"), text(&line, "trace_id"))).collect()
}

/// The trace id of a call.
fn trace(call: &Recorded) -> &str {
    call.traceparent.as_deref().unwrap().split('-').nth(1).unwrap()
}

#[tokio::test]
async fn transition_logs_one_line_with_the_trace_id() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &["--job-poll-min", "1s", "--job-poll-max", "1s"]).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    eventually("the transition is logged", || transitions(&process).iter().any(|(reason, _)| reason == "LinkSent"))
        .await;
    let [sent] = &fixture.realm.requests_of(Operation::CreateJob)[..] else { panic!("there is not exactly one call") };
    let logged = transitions(&process);
    assert_eq!(logged.last().unwrap(), &("LinkSent".to_owned(), trace(sent).to_owned()));
    for operation in [Operation::GetIdentity, Operation::ListJobs] {
        let calls = fixture.realm.requests_of(operation);
        assert_eq!(trace(calls.last().unwrap()), trace(sent), "one reconcile is one trace: {calls:?}");
    }

    // Polls without a change log nothing.
    let (reads, lines) = (|| fixture.realm.requests_of(Operation::GetJob), process.log().len());
    eventually("the job is read four times", || reads().len() > 3).await;
    assert_eq!(process.log().len(), lines, "{:?}", &process.log()[lines..]);
    let mut traces: Vec<_> = reads().iter().map(|call| trace(call).to_owned()).collect();
    traces.dedup();
    assert!(traces.len() > 3, "each reconcile has its own trace");

    fixture.realm.set_job_state(&fixture.mailed()[0], "COMPLETE");
    eventually("the transition is logged", || transitions(&process).len() > logged.len()).await;
    let logged = transitions(&process).split_off(logged.len());
    let last = reads().last().map(|call| trace(call).to_owned());
    assert_eq!(logged, [("Complete".to_owned(), last.unwrap())]);

    fixture.delete_request(REQUEST).await;
    eventually("the deletion is logged", || transitions(&process).last().unwrap().0 == "Deleting").await;
}
