//! The log has one line for each transition, with the object, the reason and the trace id of its calls. Polls without a
//! change log nothing.

use harness::simulator::{Effect, Operation, Recorded, Rule};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::fixture::{Access, Fixture, Process, REQUEST, eventually, job_of, wait_until_deleted};

/// The reason and the trace id of each line about the request.
fn transitions(process: &Process) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let all = process.log().into_iter().filter(|line| line["kind"] == "EnrollmentRequest" && line["target"] != "audit");
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

/// The audit lines, without what differs in each run.
fn audit(process: &Process) -> Vec<Value> {
    process.log().into_iter().filter(|line| line["target"] == "audit").collect()
}

#[tokio::test]
async fn each_send_and_each_revocation_has_an_audit_line() {
    let fixture = Fixture::new().await;
    // Audit lines are no matter of the level. The fixture waits for the lines of the start.
    const LEVEL: &str = "error,beyond_identity_operator::operator=info,beyond_identity_operator::runtime=info";
    let arguments = ["--log-level", LEVEL, "--audit-job-ids"];
    let process = fixture.spawn(&Access::shared(), &arguments).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("LinkSent").await;
    let first = job_of(&request);
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let params = PatchParams { field_manager: Some("argocd-controller".to_owned()), ..PatchParams::default() };
    let again = Patch::Merge(json!({"spec": {"attempt": 2}}));
    fixture.requests().patch(REQUEST, &params, &again).await.unwrap();
    eventually("the earlier link is revoked", || fixture.remote_state(&first) == "REVOKED").await;
    let second = fixture.mailed()[1].clone();
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;

    eventually("all lines are there", || audit(&process).len() == 5).await;
    let lines = audit(&process);
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |field: &str| line[field].as_str().unwrap_or("none").to_owned();
            [text("call"), text("outcome"), text("because"), text("job")]
        })
        .collect();
    let line = |call: &str, outcome: &str, because: &str, job: &str| [call, outcome, because, job].map(str::to_owned);
    let expected = [
        line("send", "accepted", "spec", &first),
        line("send", "unknown", "spec", "none"),
        line("send", "found", "spec", &second),
        line("revoke", "accepted", "later email", &first),
        line("revoke", "accepted", "deletion", &second),
    ];
    assert_eq!(shown, expected);
    for line in &lines {
        assert_eq!((&line["namespace"], &line["name"]), (&json!(fixture.namespace), &json!(REQUEST)), "{line}");
        assert_eq!(
            (&line["uid"], &line["kind"]),
            (&json!(request.metadata.uid), &json!("EnrollmentRequest")),
            "{line}"
        );
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
    }
    assert_eq!(
        (&lines[0]["generation"], &lines[1]["generation"], &lines[1]["attempt"]),
        (&json!(1), &json!(2), &json!(2))
    );
    assert!(lines[1]["managers"].as_str().unwrap().starts_with("argocd-controller"), "{}", lines[1]);
}

#[tokio::test]
async fn audit_lines_of_a_send_in_doubt_name_the_annotation_that_asked_for_it() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &["--job-poll-min", "1s", "--job-poll-max", "1s"]).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.set_job_state(&first, "EXPIRED");
    fixture.wait_for_request("LinkExpired").await;
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    fixture.annotate_request(REQUEST, &format!("{first}/EXPIRED")).await;
    eventually("the job is found", || audit(&process).len() == 3).await;
    let shown: Vec<_> = audit(&process).iter().map(|line| [line["outcome"].clone(), line["because"].clone()]).collect();
    let resend = "beyondidentity.dev/resend";
    let expected = [["accepted", "spec"], ["unknown", resend], ["found", resend]];
    assert_eq!(shown, expected.map(|line| line.map(Value::from)));
}
