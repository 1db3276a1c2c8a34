//! Objects that are applied at once, or in any order: what comes seconds later is no warning. What is still missing after
//! the grace period is one.

use beyond_identity_operator::api::RECONCILE_REQUESTED_AT;
use serde_json::Value;

use crate::fixture::{Access, CONFIG, Fixture, Process, REQUEST, annotate, eventually, shared_simulator};

/// The lines of the log that are warnings or errors.
fn warnings(process: &Process) -> Vec<Value> {
    let is_warning = |line: &Value| matches!(line["level"].as_str(), Some("WARN" | "ERROR"));
    process.log().into_iter().filter(is_warning).collect()
}

/// How often the events of an object have this type and reason.
async fn count(fixture: &Fixture, kind: &str, name: &str, wanted: &str) -> usize {
    let events = fixture.events(kind, name).await;
    events.iter().filter(|event| event.turn.starts_with(wanted)).count()
}

#[tokio::test]
async fn reference_that_comes_later_is_no_warning() {
    let fixture = Fixture::bare(shared_simulator()).await;
    let process = fixture.spawn(&Access::shared(), &[]).await;
    fixture.create_request().await;
    fixture.wait_for_request("AuthenticatorConfigNotFound").await;
    fixture.create_config().await;
    fixture.wait_for_config("ProviderConfigNotFound").await;
    fixture.create_provider(|_| {}).await;
    fixture.wait_for_config("SecretNotFound").await;
    fixture.create_secret(&fixture.token).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(warnings(&process), [Value::Null; 0]);
    let missing = process.log().into_iter().filter(|line| line["reason"] == "ProviderConfigNotFound");
    assert!(missing.clone().any(|line| line["kind"] == "AuthenticatorConfig" && line["level"] == "INFO"));
    fixture.wait_for_event(REQUEST, "Normal LinkSent").await;
    fixture.wait_for_config_event("Normal Available").await;
    for (kind, name) in [("EnrollmentRequest", REQUEST), ("AuthenticatorConfig", CONFIG)] {
        assert_eq!(count(&fixture, kind, name, "Warning").await, 0);
    }
}

#[tokio::test]
async fn reference_that_is_missing_after_the_grace_period_is_one_warning() {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let process = fixture.spawn(&Access::shared(), &["--grace-period", "5s"]).await;
    fixture.create_config().await;
    let about = |kind: &'static str| {
        let log = process.log();
        let is_its = |line: &&Value| line["kind"] == kind && line["reason"] == "SecretNotFound";
        log.iter().filter(is_its).map(|line| line["level"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for kind in ["AuthenticatorConfig", "ClusterProviderConfig"] {
        // It is looked at each minute otherwise.
        annotate(&fixture.providers(), &fixture.provider, RECONCILE_REQUESTED_AT, kind).await;
        eventually("it warns", || about(kind).iter().any(|level| level == "WARN")).await;
        assert_eq!(about(kind), ["INFO", "WARN"], "{kind}");
    }
    fixture.wait_for_config_event("Warning SecretNotFound").await;
    assert_eq!(count(&fixture, "AuthenticatorConfig", CONFIG, "Warning SecretNotFound").await, 1);
    assert_eq!(count(&fixture, "AuthenticatorConfig", CONFIG, "Normal SecretNotFound").await, 1);
}
