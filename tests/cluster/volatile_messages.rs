//! Messages of the service that differ in each answer: reason and meaning decide whether a status is written.

use harness::simulator::{Effect, Operation, Reply, Rule};
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, History, JANE, REQUEST, eventually, message, reason};

/// The answers to the first calls: each has a request id, a time and a number of its own.
fn answers(of: &str) -> impl Iterator<Item = Reply> {
    (0..3).map(move |n| {
        let text =
            format!("{of} (request 7f3c9a1{n}-4c5d-4e6f-8a9b-0c1d2e3f4a5b, 2026-01-01T12:00:0{n}Z, retry in {n} s)");
        Reply::error(503, "unavailable", &text)
    })
}

#[tokio::test]
async fn request_ids_and_times_cause_no_status_write() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(|settings| settings.show_service_messages = true).await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    for answer in answers("down").chain(answers("overloaded").take(1)) {
        fixture.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::ListConfigs).once());
    }
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    let mut shown: Vec<_> = history.versions().into_iter().filter(|it| reason(it) == "ServiceUnavailable").collect();
    shown.dedup_by(|one, other| one.metadata.resource_version == other.metadata.resource_version);
    let messages: Vec<_> = shown.iter().map(message).collect();
    let [first, second] = messages[..] else { panic!("each meaning is written once: {messages:#?}") };
    assert!(first.contains("the response says: down (request 7f3c9a10-"), "{first}");
    assert!(second.contains("the response says: overloaded"), "another meaning: {second}");
}

#[tokio::test]
async fn request_ids_of_refused_reads_cause_no_status_write_of_a_request() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.show_service_messages = true).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    for answer in answers("down") {
        fixture.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::GetIdentity).once());
    }
    fixture.create_request_with(REQUEST, json!({"identity": {"id": JANE}})).await;
    eventually("the identity is read four times", || fixture.calls(Operation::GetIdentity) >= 4).await;
    fixture.wait_for_request("LinkSent").await;
    let shown: Vec<_> = history.versions().into_iter().filter(|it| reason(it) == "ServiceUnavailable").collect();
    assert_eq!(shown.len(), 1, "{:#?}", shown.iter().map(message).collect::<Vec<_>>());
}
