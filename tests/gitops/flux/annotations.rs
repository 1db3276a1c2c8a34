//! Annotations of the operator that are set by hand, and in Git.

use beyond_identity_operator::api::{PAUSED, RESEND};
use serde_json::json;

use super::health::with_the_shortest_timeout;
use super::{CONFIGURATION, ENROLMENTS, Flux};
use crate::fixture::{JANE, cluster, conditions, job_of, wait_for};

impl Flux {
    /// Annotates Jane's request with kubectl.
    fn kubectl_annotate(&self, annotation: &str, options: &[&str]) {
        let namespace = ["--namespace", &*self.fixture.namespace];
        let arguments = [&["annotate", "enrollmentrequest/jane", annotation], &namespace[..], options].concat();
        cluster::control_plane().run_kubectl(arguments).unwrap();
    }
}

#[tokio::test]
async fn annotation_by_kubectl_acts_and_is_then_removed() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let first = job_of(&fixture.requests().get("jane").await.unwrap());
    fixture.realm.set_job_state(&first, "EXPIRED");
    fixture.wait_for_request_named("jane", "LinkExpired").await;
    flux.kubectl_annotate(&format!("{RESEND}={first}/EXPIRED"), &[]);
    fixture.wait_for_request_named("jane", "LinkSent").await;
    flux.reconcile(ENROLMENTS).await;
    let request = fixture.requests().get("jane").await.unwrap();
    assert!(!request.metadata.annotations.unwrap().contains_key(RESEND));
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn pause_by_kubectl_ends_with_the_next_reconcile_unless_it_has_another_field_manager() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let has_paused = |paused: bool| {
        wait_for(fixture.requests(), "jane", "is paused or resumed", move |request| {
            conditions(request).contains("Paused=True") == paused
        })
    };
    let pause = format!("{PAUSED}=true");
    flux.kubectl_annotate(&pause, &[]);
    has_paused(true).await;
    flux.reconcile(ENROLMENTS).await;
    has_paused(false).await;

    flux.kubectl_annotate(&pause, &["--field-manager=helpdesk"]);
    has_paused(true).await;
    flux.reconcile(ENROLMENTS).await;
    assert_eq!(fixture.requests().get("jane").await.unwrap().metadata.annotations.unwrap()[PAUSED], "true");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn emergency_pause_of_the_provider_config_lasts_with_its_field_manager() {
    let flux = Flux::with_an_email().await;
    let name = &*flux.fixture.provider;
    let is_paused = async || {
        let provider = flux.fixture.providers().get(name).await.unwrap();
        provider.metadata.annotations.unwrap_or_default().contains_key(PAUSED)
    };
    let (object, pause) = (format!("clusterproviderconfig/{name}"), format!("{PAUSED}=true"));
    for (options, lasts) in [(&[][..], false), (&["--field-manager", "emergency"], true)] {
        let arguments = [&["annotate", &object, &pause], options].concat();
        cluster::control_plane().run_kubectl(arguments).unwrap();
        assert!(is_paused().await);
        flux.reconcile(CONFIGURATION).await;
        assert_eq!(is_paused().await, lasts, "{options:?}");
    }
}

#[tokio::test]
async fn paused_request_with_a_changed_spec_is_waited_for() {
    let flux = Flux::with_an_email_and(with_the_shortest_timeout, |_| {}).await;
    let fixture = &flux.fixture;
    let mut request = flux.request("jane", JANE);
    request["metadata"]["annotations"][PAUSED] = "true".into();
    request["spec"]["attempt"] = json!(2);
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request.clone()))]).await;
    let message = flux.wait_until_failed(ENROLMENTS, &revision, "HealthCheckFailed").await;
    assert!(message.contains("/jane status: 'InProgress'"), "{message}");
    assert_eq!(fixture.mailed().len(), 1);

    request["metadata"]["annotations"].as_object_mut().unwrap().remove(PAUSED);
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 2);
}
