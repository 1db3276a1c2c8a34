//! What the settings of a sync do to an enrolment: the emails are counted.

use std::sync::OnceLock;
use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, FINALIZER, PAUSED};
use harness::control_plane::ControlPlane;
use harness::simulator::Identity;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::application::Application;
use crate::fixture::{
    CONFIG, Fixture, History, JANE, Operator, REQUEST, annotate, cluster, conditions, eventually, job_of,
    shared_simulator, wait_for, wait_until_deleted,
};

/// Jane's request, as it is in Git.
fn request(fixture: &Fixture, spec: Value) -> Value {
    let mut all = json!({"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": JANE}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    fixture.manifest("EnrollmentRequest", REQUEST, all)
}

/// A control plane with the garbage collector: Argo CD deletes in the foreground, and so waits for it.
fn control_plane() -> &'static ControlPlane {
    static STARTED: OnceLock<ControlPlane> = OnceLock::new();
    STARTED.get_or_init(|| {
        let control_plane = ControlPlane::start_with_controllers().unwrap();
        cluster::install(&control_plane);
        control_plane
    })
}

/// An application with this request of Jane, whose email was sent.
async fn sent_with(spec: Value) -> (Fixture, Operator, Application, EnrollmentRequest) {
    let client = Client::try_from(cluster::config_of(control_plane()).await).unwrap();
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_provider(|_| {}).await;
    let operator = fixture.start_at(control_plane(), |settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    let application = Application::new(control_plane(), &fixture, vec![request(&fixture, spec)]);
    let synced = application.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    let request = fixture.wait_for_request("LinkSent").await;
    (fixture, operator, application, request)
}

/// The same with the usual request.
async fn sent() -> (Fixture, Operator, Application, EnrollmentRequest) {
    sent_with(json!({})).await
}

#[tokio::test]
async fn replace_keeps_the_object_but_removes_its_annotations_and_finalizer() {
    let (fixture, _operator, application, before) = sent().await;
    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    let is_paused = |it: &EnrollmentRequest| conditions(it).contains("Paused=True");
    wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    let replacing = application.with_options(&["Replace=true"]);
    let synced = replacing.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    assert!(synced.results[0].ends_with("replaced"), "{synced:?}");
    history.first("lacks the finalizer", |it| it.finalizers().is_empty()).await;
    let is_whole = |it: &EnrollmentRequest| !is_paused(it) && it.finalizers().contains(&FINALIZER.to_owned());
    let after = wait_for(fixture.requests(), REQUEST, "has its finalizer again, and is resumed", is_whole).await;
    assert_eq!((after.uid(), job_of(&after)), (before.uid(), job_of(&before)));
    assert_eq!(fixture.mailed(), [job_of(&before)]);

    let other = Application { manifests: vec![request(&fixture, json!({"identity": {"id": "joe"}}))], ..replacing };
    let synced = other.sync();
    assert_eq!(synced.phase, "Failed", "{synced:?}");
    assert!(synced.results[0].contains("are immutable once the email was or may have been sent"), "{synced:?}");
    assert_eq!(fixture.mailed().len(), 1);
}

#[tokio::test]
async fn force_deletes_the_object_if_a_change_is_refused() {
    let (fixture, _operator, application, before) = sent().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    let other =
        Application { manifests: vec![request(&fixture, json!({"identity": {"id": "joe"}}))], ..application.clone() };
    let refused = other.sync();
    assert_eq!(refused.phase, "Failed", "{refused:?}");
    assert!(refused.results[0].contains("are immutable once the email was or may have been sent"), "{refused:?}");

    let synced = Application { force: true, ..application }.sync();
    assert!(synced.results[0].ends_with("unchanged"), "{synced:?}");
    assert_eq!(fixture.mailed().len(), 1);

    let forcing = Application { force: true, ..other };
    // It does not wait for the finalizer, and so fails. A later sync creates the object.
    let deleted = forcing.sync();
    assert_eq!(deleted.phase, "Failed", "{deleted:?}");
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job_of(&before)), "REVOKED");
    let created = forcing.sync();
    assert_eq!(created.phase, "Succeeded", "{created:?}");
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn replace_with_force_sends_an_email_at_each_sync() {
    let (fixture, _operator, application, before) = sent().await;
    let forcing = Application { force: true, ..application.with_options(&["Replace=true"]) };
    for emails in 2..4 {
        let synced = forcing.sync();
        assert_eq!(synced.phase, "Succeeded", "{synced:?}");
        eventually("another email is sent", || fixture.mailed().len() == emails).await;
        fixture.wait_for_request("LinkSent").await;
    }
    assert_eq!(fixture.remote_state(&job_of(&before)), "REVOKED");
}

#[tokio::test]
async fn prune_revokes_the_link_unless_it_is_off_or_waits_for_a_confirmation() {
    let (fixture, _operator, application, before) = sent().await;
    let empty = Application { manifests: Vec::new(), seconds: 3, ..application.clone() };
    let synced = empty.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    assert!(synced.results[0].contains("ignored (requires pruning)"), "{synced:?}");

    let options = "argocd.argoproj.io/sync-options";
    let pruning = Application { prune: true, ..empty };
    for (option, phase, message) in
        [("Prune=confirm", "Running", "waiting for pruning confirmation"), ("Prune=false", "Succeeded", "no prune")]
    {
        annotate(&fixture.requests(), REQUEST, options, option).await;
        let synced = pruning.sync();
        assert_eq!(synced.phase, phase, "{option}: {synced:?}");
        assert!(format!("{synced:?}").contains(message), "{option}: {synced:?}");
    }
    assert_eq!(fixture.remote_state(&job_of(&before)), "LINK_SENT");

    annotate(&fixture.requests(), REQUEST, options, None).await;
    let synced = pruning.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!(fixture.remote_state(&job_of(&before)), "REVOKED");
    application.sync();
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed().len(), 2, "what was pruned and comes back is another request");
}

#[tokio::test]
async fn self_heal_reverts_what_the_manifest_has_and_sends_nothing() {
    let (fixture, _operator, application, _) = sent_with(json!({"attempt": 1})).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("attempt 2 is sent", || fixture.mailed().len() == 2).await;
    fixture.wait_for_request("LinkSent").await;
    let status = application.status();
    assert!(status[0].contains(": OutOfSync, Healthy"), "{status:?}");
    for _ in 0..2 {
        let synced = application.sync();
        assert_eq!(synced.phase, "Succeeded", "{synced:?}");
        let reverted = fixture.wait_until_request_is_reconciled().await;
        assert_eq!(reverted.spec.attempt, 1);
        assert_eq!(application.status(), [format!("EnrollmentRequest {REQUEST}: Synced, Healthy")]);
    }
    assert_eq!(fixture.mailed().len(), 2);

    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    application.sync();
    eventually("what was deleted is sent again", || fixture.mailed().len() == 3).await;
}

#[tokio::test]
async fn field_that_the_manifest_lacks_is_left_alone() {
    let (fixture, _operator, application, _) = sent().await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    eventually("attempt 2 is sent", || fixture.mailed().len() == 2).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(application.status(), [format!("EnrollmentRequest {REQUEST}: Synced, Healthy")]);
    let synced = application.sync();
    assert!(synced.results[0].ends_with("unchanged"), "{synced:?}");
    assert_eq!(fixture.wait_until_request_is_reconciled().await.spec.attempt, 2);
}

#[tokio::test]
async fn sync_waits_for_the_health_of_each_wave_but_the_last() {
    let (fixture, _operator, application, _) = sent().await;
    let mut wrong = request(&fixture, json!({"identity": {"id": "nobody"}}));
    wrong["metadata"]["name"] = json!("wrong");
    let one_wave = Application { manifests: vec![application.manifests[0].clone(), wrong.clone()], ..application };
    let synced = one_wave.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    let is_stalled = |it: &EnrollmentRequest| conditions(it).contains("Stalled=True");
    wait_for(fixture.requests(), "wrong", "is stalled", is_stalled).await;

    let in_wave = |manifest: &Value, wave: &str| {
        let mut manifest = manifest.clone();
        manifest["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": wave});
        manifest
    };
    let [sent, wrong] = [0, 1].map(|index| one_wave.manifests[index].clone());
    let last_is_wrong = vec![in_wave(&sent, "-1"), wrong.clone()];
    let first_is_wrong = vec![sent.clone(), in_wave(&wrong, "-1")];
    for (manifests, phase) in [(last_is_wrong, "Succeeded"), (first_is_wrong, "Failed")] {
        let synced = Application { manifests, ..one_wave.clone() }.sync();
        assert_eq!(synced.phase, phase, "{synced:?}");
    }

    annotate(&fixture.requests(), REQUEST, PAUSED, "true").await;
    let is_paused = |it: &EnrollmentRequest| conditions(it).contains("Paused=True");
    wait_for(fixture.requests(), REQUEST, "is paused", is_paused).await;
    let config = fixture.manifest("AuthenticatorConfig", CONFIG, json!(fixture.config(CONFIG).spec));
    let waves = Application { manifests: vec![in_wave(&sent, "-1"), config], seconds: 3, ..one_wave.clone() };
    let synced = waves.sync();
    assert_eq!(synced.phase, "Running", "{synced:?}");
    annotate(&fixture.requests(), REQUEST, PAUSED, None).await;
    wait_for(fixture.requests(), REQUEST, "is resumed", |it: &EnrollmentRequest| !is_paused(it)).await;
    let synced = Application { seconds: 60, ..waves }.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    assert_eq!(fixture.mailed().len(), 1);
}
