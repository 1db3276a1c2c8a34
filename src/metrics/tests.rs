//! Tests of the names and values of metrics.

use jiff::Timestamp;

use super::*;
use crate::api::{ProviderConfigKey, ProviderConfigKind};
use crate::beyond_identity::CREATE_JOB;

#[test]
fn metrics_have_their_conventional_names_and_values() {
    let metrics = Metrics::new();
    metrics.set_leader(true);
    metrics.reconcile_finished("enrollmentrequest", Ended::Failed, Duration::from_millis(7));
    metrics.reconcile_finished("enrollmentrequest", Ended::RequeueAfter, Duration::from_millis(7));
    metrics.called(CREATE_JOB, None, Duration::from_secs(1));
    metrics.email_sent(Some(Duration::from_secs(7)));
    metrics.email_sent(None);
    metrics.enrolled(Duration::from_secs(3000));
    metrics.reconcile_panicked("enrollmentrequest");
    metrics.observe_rate_limited(|| 5);
    for reason in [Reason::DuplicateJob, Reason::RemoteResourceRetained, Reason::StatusNotStored, Reason::Refused] {
        metrics.event_emitted("enrollmentrequest", EventType::Warning, reason);
        metrics.event_emitted("authenticatorconfig", EventType::Normal, Reason::RemoteResourceRetained);
    }
    metrics.event_emitted("authenticatorconfig", EventType::Warning, Reason::DuplicateConfiguration);
    let token = |namespace: Option<&str>, expires| {
        let (kind, name) = (ProviderConfigKind::ClusterProviderConfig, "default".to_owned());
        let key = ProviderConfigKey { kind, namespace: namespace.map(str::to_owned), name };
        TokenExpiration { provider: key, credentials: "apiToken", at: Timestamp::from_second(expires).unwrap() }
    };
    let tokens = [(None, 1_800_000_000), (Some("a"), 1_900_000_000), (Some("b"), 1_950_000_000)];
    metrics.observe_token_expirations(move || tokens.map(|(namespace, expires)| token(namespace, expires)).to_vec());
    metrics.runs("enrollmentrequest", 64, || vec![("200", 0), ("100", 3), ("-100", 4)]);
    drop(metrics.reconcile_started("enrollmentrequest"));
    let _running = metrics.reconcile_started("enrollmentrequest");
    metrics.text();
    let text = metrics.text();
    let unused = Metrics::new();
    unused.runs("enrollmentrequest", 64, Vec::new);
    for metric in [
        "beyond_identity_operator_duplicates",
        "beyond_identity_operator_retained_remote_resources",
        "beyond_identity_operator_status_not_stored",
        "controller_runtime_reconcile_panics",
    ] {
        let line = format!("{metric}_total{{controller=\"enrollmentrequest\"}} 0");
        assert!(
            unused.text().lines().any(|written| written == line),
            "{line}: an alert on increase() needs an initial zero"
        );
    }
    let expires = |namespace: &str, at: i64| {
        format!(
            "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",\
             object_namespace=\"{namespace}\",name=\"default\",credentials=\"apiToken\"}} {at}"
        )
    };
    for line in [
        "beyond_identity_operator_emails_sent_total 2",
        "beyond_identity_operator_request_to_email_seconds_bucket{le=\"5.0\"} 0",
        "beyond_identity_operator_request_to_email_seconds_bucket{le=\"10.0\"} 1",
        "beyond_identity_operator_request_to_email_seconds_count 1",
        "beyond_identity_operator_request_to_passkey_seconds_bucket{le=\"900.0\"} 0",
        "beyond_identity_operator_request_to_passkey_seconds_bucket{le=\"3600.0\"} 1",
        "beyond_identity_operator_status_not_stored_total{controller=\"enrollmentrequest\"} 1",
        "beyond_identity_operator_rate_limited_objects 5",
        "controller_runtime_reconcile_panics_total{controller=\"enrollmentrequest\"} 1",
        "beyond_identity_operator_duplicates_total{controller=\"enrollmentrequest\"} 1",
        "beyond_identity_operator_duplicates_total{controller=\"authenticatorconfig\"} 1",
        "beyond_identity_operator_retained_remote_resources_total{controller=\"enrollmentrequest\"} 1",
        "leader_election_master_status{name=\"beyond-identity-operator\"} 1",
        "controller_runtime_reconcile_total{controller=\"enrollmentrequest\",result=\"error\"} 1",
        "controller_runtime_reconcile_total{controller=\"enrollmentrequest\",result=\"requeue_after\"} 1",
        "controller_runtime_reconcile_errors_total{controller=\"enrollmentrequest\"} 1",
        "controller_runtime_reconcile_time_seconds_count{controller=\"enrollmentrequest\"} 2",
        "controller_runtime_reconcile_time_seconds_bucket{le=\"0.01\",controller=\"enrollmentrequest\"} 2",
        "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 1",
        "controller_runtime_max_concurrent_reconciles{controller=\"enrollmentrequest\"} 64",
        "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"200\"} 0",
        "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"100\"} 3",
        "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"-100\"} 4",
        &expires("", 1_800_000_000),
        &expires("a", 1_900_000_000),
        &expires("b", 1_950_000_000),
        concat!("beyond_identity_operator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "beyond_identity_operator_api_requests_total{method=\"POST\",path=\"credential-binding-jobs\",outcome=\"success\"} 1",
        "beyond_identity_operator_api_request_duration_seconds_sum{method=\"POST\",path=\"credential-binding-jobs\"} 1.0",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    let orphan = "beyond_identity_operator_retained_remote_resources_total{controller=\"authenticatorconfig\"}";
    assert!(!text.contains(orphan), "an orphaned resource does not count as retained:\n{text}");
    assert!(text.ends_with("# EOF\n"));
}
