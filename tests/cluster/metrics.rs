//! The metrics of a running process.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use harness::simulator::{Effect, Identity, Operation, Rule};

use crate::fixture::{Access, Fixture, Process, eventually, job_of};

/// Waits until `/metrics` has this line.
async fn has_line(process: &Process, line: &str) {
    eventually(line, || process.get("/metrics").1.lines().any(|written| written == line)).await;
}

#[tokio::test]
async fn metrics_show_queue_depth_and_active_workers() {
    let fixture = Fixture::new().await;
    let process = fixture.spawn(&Access::shared(), &["--max-concurrent-reconciles", "1"]).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    // Each reconcile takes until the call times out, after 20 s.
    let slow = Effect::DelayAnswer(Duration::from_secs(600));
    let delay = fixture.realm.fault(Rule::new(slow).on(Operation::GetIdentity));
    let identities = ["ann", "bob", "eve", "joe"];
    for identity in identities {
        fixture.realm.add_identity(Identity::active(identity, "someone@example.com"));
        fixture.create_request_of(identity, identity).await;
    }
    has_line(&process, "controller_runtime_max_concurrent_reconciles{controller=\"enrollmentrequest\"} 1").await;
    has_line(&process, "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 1").await;
    let depth = "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"100\"}";
    has_line(&process, &format!("{depth} 3")).await;
    // A queued object that is deleted leaves the queue.
    fixture.delete_request("joe").await;
    fixture.realm.remove_fault(delay);
    for identity in &identities[..3] {
        fixture.wait_for_request_named(identity, "LinkSent").await;
    }
    has_line(&process, "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 0").await;
    has_line(&process, &format!("{depth} 0")).await;
}

#[tokio::test]
async fn metrics_show_token_expiry_and_no_private_data() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(br#"{"exp": 1800000000}"#));
    fixture.realm.set_token(&token);
    fixture.create_secret(&token).await;
    let process = fixture.spawn(&Access::shared(), &[]).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let expires = format!(
        "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",namespace=\"\",name=\"{}\",credentials=\"apiToken\"}}",
        fixture.provider
    );
    has_line(&process, &format!("{expires} 1800000000")).await;
    let (_, metrics) = process.get("/metrics");
    for private in [job.as_str(), "jane", "example.com", &token, fixture.realm.tenant(), "127.0.0.1"] {
        assert!(!metrics.contains(private), "{private} is in {metrics}");
    }
    fixture.delete_secret().await;
    eventually("the metric is removed", || !process.get("/metrics").1.contains(&expires)).await;
}
