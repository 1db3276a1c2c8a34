//! What is applied in which order, when, and that later reconciles change and send nothing.

use beyond_identity_operator::api::{AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest};
use harness::simulator::Identity;
use kube::Resource;
use kube::api::ListParams;
use serde_json::json;

use super::{CONFIGURATION, ENROLMENTS, Flux, condition, example};
use crate::fixture::JANE;

#[tokio::test]
async fn requests_are_applied_when_the_configuration_is_ready() {
    let flux = Flux::start().await;
    let fixture = &flux.fixture;
    fixture.realm.add_identity(Identity::active("john", "john@example.com"));
    fixture.realm.pause();
    let revision = flux
        .commit(&[
            ("enrolments/jane.yaml", Some(flux.request("jane", JANE))),
            ("enrolments/john.yaml", Some(flux.request("john", "john"))),
        ])
        .await;
    flux.apply_kustomizations("flux/kustomizations.yaml", |_| {}).await;
    let message = flux.wait_for_reason(ENROLMENTS, "DependencyNotReady").await;
    assert_eq!(message, format!("dependency '{}/configuration' is not ready", fixture.namespace));
    flux.wait_for("Kustomization", CONFIGURATION, "waits for the health", |kustomization| {
        condition(kustomization, "Reconciling")["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("Running health checks"))
    })
    .await;
    assert_eq!(fixture.requests().list(&ListParams::default()).await.unwrap().items.len(), 0);

    fixture.realm.resume();
    flux.wait_until_ready(CONFIGURATION, &revision).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    // Nobody has opened a link.
    for name in ["jane", "john"] {
        let request = fixture.requests().get(name).await.unwrap();
        assert_eq!(request.status.unwrap().state.unwrap(), "LINK_SENT");
    }
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn one_kustomization_applies_everything() {
    let flux = Flux::start().await;
    let revision = flux.commit(&[("configuration/jane.yaml", Some(flux.request("jane", JANE)))]).await;
    flux.apply_kustomizations("flux/kustomizations.yaml", |_| {}).await;
    flux.wait_until_ready(CONFIGURATION, &revision).await;
    assert_eq!(flux.fixture.mailed().len(), 1);
}

#[tokio::test]
async fn later_reconciles_change_nothing() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let versions = async || {
        let provider: ClusterProviderConfig = fixture.providers().get(&fixture.provider).await.unwrap();
        let config: AuthenticatorConfig = fixture.configs().get("hosted-web").await.unwrap();
        let request: EnrollmentRequest = fixture.requests().get("jane").await.unwrap();
        [provider.meta(), config.meta(), request.meta()].map(|meta| (meta.generation, meta.resource_version.clone()))
    };
    // The finalizer and the last check may still be written.
    fixture.wait_for_config("Available").await;
    let before = versions().await;
    for _ in 0..3 {
        flux.reconcile(CONFIGURATION).await;
        flux.reconcile(ENROLMENTS).await;
    }
    assert_eq!(versions().await, before);
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn suspended_kustomization_applies_a_change_when_it_is_resumed() {
    let flux = Flux::with_an_email().await;
    let fixture = &flux.fixture;
    let suspend = async |suspended: bool| {
        flux.apply_kustomizations("flux/kustomizations.yaml", |kustomization| {
            kustomization["spec"]["suspend"] = suspended.into();
        })
        .await;
    };
    suspend(true).await;
    let mut request = flux.request("jane", JANE);
    request["spec"]["attempt"] = json!(2);
    let revision = flux.commit(&[("enrolments/jane.yaml", Some(request))]).await;
    // Flux answers no request for a reconcile of it. Another Kustomization shows that the revision was applied elsewhere.
    let mut other = example("flux/kustomizations.yaml").remove(0);
    other["metadata"]["name"] = "other".into();
    other["spec"]["wait"] = false.into();
    flux.apply(other).await;
    flux.wait_until_ready("other", &revision).await;
    assert_eq!(fixture.requests().get("jane").await.unwrap().spec.attempt, 1);
    assert_eq!(fixture.mailed().len(), 1);

    suspend(false).await;
    flux.wait_until_ready(ENROLMENTS, &revision).await;
    assert_eq!(fixture.mailed().len(), 2);
}
