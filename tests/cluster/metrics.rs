//! What `/metrics` tells of a process at work.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use harness::simulator::{Effect, Identity, Operation, Rule};

use crate::fixture::{Access, Fixture, Process, eventually, job_of};

/// Waits until the metrics hold this line.
async fn tells(process: &Process, line: &str) {
    eventually(line, || process.get("/metrics").1.lines().any(|written| written == line)).await;
}

#[tokio::test]
async fn it_tells_how_many_objects_wait_for_a_look_and_how_many_have_one() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &["--max-concurrent-reconciles", "1"]).await;
    fixture.create_config().await;
    fixture.config_says("Available").await;
    // Each look lasts until the call is given up, after 20 s.
    let slow = Effect::DelayAnswer(Duration::from_secs(600));
    let held_up = fixture.realm.fault(Rule::new(slow).on(Operation::GetIdentity));
    let people = ["ann", "bob", "eve", "joe"];
    for person in people {
        fixture.realm.add_identity(Identity::active(person, "someone@example.com"));
        fixture.create_request_of(person, person).await;
    }
    tells(&process, "controller_runtime_max_concurrent_reconciles{controller=\"enrollmentrequest\"} 1").await;
    tells(&process, "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 1").await;
    let depth = "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"100\"}";
    tells(&process, &format!("{depth} 3")).await;
    // One that goes before its turn comes waits no longer.
    fixture.delete_request("joe").await;
    fixture.realm.remove_fault(held_up);
    for person in &people[..3] {
        fixture.named_request_says(person, "LinkSent").await;
    }
    tells(&process, "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 0").await;
    tells(&process, &format!("{depth} 0")).await;
}

#[tokio::test]
async fn it_tells_when_a_token_expires_and_names_nobody() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(br#"{"exp": 1800000000}"#));
    fixture.realm.set_token(&token);
    fixture.create_secret(&token).await;
    let process = fixture.spawn(&Access::shared(), &[]).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let expires = format!(
        "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",namespace=\"\",name=\"{}\"}}",
        fixture.provider
    );
    tells(&process, &format!("{expires} 1800000000")).await;
    let (_, metrics) = process.get("/metrics");
    for of_somebody in [job.as_str(), "jane", "example.com", &token, fixture.realm.tenant(), "127.0.0.1"] {
        assert!(!metrics.contains(of_somebody), "{of_somebody} is in {metrics}");
    }
    fixture.delete_secret().await;
    eventually("it tells no more", || !process.get("/metrics").1.contains(&expires)).await;
}
