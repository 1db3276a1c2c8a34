//! The metrics of a running process.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use harness::simulator::{Effect, Identity, Operation, Rule};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::json;

use crate::fixture::{Access, Fixture, Process, eventually, job_of, patch};

/// The gauges that describe the cluster, and not the process.
const OF_THE_CLUSTER: [&str; 7] = [
    "enrollment_requests",
    "sends_in_doubt",
    "sends_over_budget",
    "token_expiration_timestamp_seconds",
    "provider_config_ready",
    "provider_config_referrers",
    "watched_namespace_available",
];

/// Those of these gauges that a process reports.
fn of_the_cluster(process: &Process) -> Vec<&'static str> {
    let (_, metrics) = process.get("/metrics");
    let reports = |gauge: &&str| {
        let starts = ["{", " "].map(|end| format!("beyond_identity_operator_{gauge}{end}"));
        metrics.lines().any(|line| starts.iter().any(|start| line.starts_with(start)))
    };
    OF_THE_CLUSTER.into_iter().filter(reports).collect()
}

/// Stores a token with an expiration that shows in the metrics.
async fn store_token_that_expires(fixture: &Fixture) -> String {
    fixture.delete_secret().await;
    let token = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(br#"{"exp": 1800000000}"#));
    fixture.realm.set_token(&token);
    fixture.create_secret(&token).await;
    token
}

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
    let token = store_token_that_expires(&fixture).await;
    let process = fixture.spawn(&Access::shared(), &[]).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let expires = format!(
        "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",object_namespace=\"\",name=\"{}\",credentials=\"apiToken\"}}",
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

/// A sum over all pods counts each object once.
#[tokio::test]
async fn only_the_leader_reports_gauges_of_the_cluster() {
    let fixture = Fixture::new().await;
    store_token_that_expires(&fixture).await;
    let leader = fixture.spawn(&Access::shared(), &["--leader-elect"]).await;
    fixture.create_config().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    let standby = fixture.spawn(&Access::shared(), &["--leader-elect"]).await;
    eventually("the other process is a ready standby", || {
        !standby.logged("Standing by").is_empty() && standby.get("/readyz").0 == 200
    })
    .await;
    assert_eq!(of_the_cluster(&leader), OF_THE_CLUSTER);
    assert_eq!(of_the_cluster(&standby), [""; 0]);

    // A call in flight delays the end of the process.
    let slow = Effect::Delay(Duration::from_secs(15));
    let slow = fixture.realm.fault(Rule::new(slow).on(Operation::ListJobs).once());
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("joe", "joe").await;
    eventually("the call is in flight", || fixture.realm.fired(slow) == 1).await;
    let leases: Api<Lease> = Api::namespaced(fixture.client.clone(), &fixture.operator_namespace);
    let other_holder = json!({"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 600}});
    patch(&leases, "beyond-identity-operator", other_holder).await.unwrap();
    has_line(&leader, "leader_election_master_status{name=\"beyond-identity-operator\"} 0").await;
    assert_eq!(of_the_cluster(&leader), [""; 0], "a former leader");
    assert_eq!(leader.end().0, Some(1));
}

#[tokio::test]
async fn metrics_show_times_from_a_request_and_what_needs_attention() {
    let fixture = Fixture::new().await;
    let quick = ["--job-poll-min", "1s", "--job-poll-max", "1s", "--grace-period", "0s"];
    let process = fixture.spawn(&Access::shared(), &quick).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let own = |metric: &str| format!("beyond_identity_operator_{metric}");
    has_line(&process, &own("request_to_email_seconds_count 1")).await;
    has_line(&process, &own("request_to_passkey_seconds_count 0")).await;
    fixture.realm.set_job_state(&job, "COMPLETE");
    fixture.wait_for_request("Complete").await;
    has_line(&process, &own("request_to_passkey_seconds_count 1")).await;

    // Another device of the same person is no longer about this time.
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    has_line(&process, &own("emails_sent_total 2")).await;
    fixture.realm.set_job_state(&job, "COMPLETE");
    fixture.wait_for_request("Complete").await;

    fixture.create_request_of("nobody", "nobody").await;
    let stalled = "object_conditions{controller=\"enrollmentrequest\",type=\"Stalled\",reason=\"IdentityNotFound\"} 1";
    has_line(&process, &own(stalled)).await;
    has_line(&process, &own("request_to_passkey_seconds_count 1")).await;
    has_line(&process, &own("request_to_email_seconds_count 1")).await;
}
