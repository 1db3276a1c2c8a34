//! `--orphan-on-delete`: no deletion changes the remote side, whatever the deletion policy. Events and log lines name
//! what remains.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::fixture::{
    Access, CONFIG, Fixture, JANE, REQUEST, eventually, job_of, log_about, wait_for, wait_until_deleted,
};

#[tokio::test]
async fn deletion_retains_and_reports_remote_resources() {
    let fixture = Fixture::new().await;
    let flag = [("BEYOND_IDENTITY_OPERATOR_ORPHAN_ON_DELETE", "true")];
    let process = fixture.spawn_in(&Access::shared(), &[], &flag).await;
    fixture.create_config().await;
    let id = fixture.wait_for_config("Available").await.status.unwrap().id.unwrap();
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let calls = fixture.realm.requests().len();
    fixture.delete_request(REQUEST).await;
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.realm.configs().len()), ("LINK_SENT", 1));
    let later = fixture.realm.requests().split_off(calls);
    assert!(later.iter().all(|call| call.method == "GET"), "{later:?}");

    let event = fixture.wait_for_event(REQUEST, "Normal RemoteResourceRetained").await;
    let link = format!(
        "The link of credential binding job {job} stays active because of spec.deletionPolicy or --orphan-on-delete"
    );
    assert_eq!(event.note, link);
    let event = fixture.wait_for_event_of("AuthenticatorConfig", CONFIG, "Normal RemoteResourceRetained").await;
    let config = format!(
        "Authenticator configuration {id} stays in Beyond Identity because of spec.deletionPolicy or \
         --orphan-on-delete"
    );
    assert_eq!(event.note, config);
    let (_, log) = process.stop();
    assert!(log.contains(&link) && log.contains(&config), "{log}");
}

#[tokio::test]
async fn orphaning_needs_no_token_and_settles_doubt_first() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    operator.stop().await;
    fixture.delete_secret().await;
    let orphan = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.orphan_on_delete = true;
        settings.request_timeout = Duration::from_secs(2);
    };
    let _next = fixture.start_with(orphan).await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    fixture.create_secret(&fixture.token).await;
    fixture.create_request().await;
    fixture.wait_for_request("Adopted").await;

    fixture.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).about("joe").skip(1));
    fixture.create_request_of("joe", "joe").await;
    fixture.wait_for_request_named("joe", "SendInDoubt").await;
    fixture.delete_request("joe").await;
    let message = "Deletion is waiting because it is not known whether the email was sent";
    crate::fixture::wait_for(fixture.requests(), "joe", "is waiting for the send in doubt", |request| {
        crate::fixture::message(request).starts_with(message)
    })
    .await;
    fixture.realm.remove_fault(hidden);
    wait_until_deleted(fixture.requests(), "joe").await;
    let job = fixture.mailed().pop().unwrap();
    eventually("the log names the retained job", || log_about(&job).iter().any(|line| line.contains("stays active")))
        .await;
    assert_eq!((fixture.revocations().len(), fixture.remote_state(&job).as_str()), (0, "LINK_SENT"));
}

/// Another finalizer can keep an object after the operator removed its own. The next request then owns the link.
#[tokio::test]
async fn request_without_our_finalizer_no_longer_owns_its_link() {
    let (fixture, _operator) = Fixture::ready().await;
    let mut request = fixture.request(REQUEST, JANE);
    request.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    fixture.requests().create(&PostParams::default(), &request).await.unwrap();
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    fixture.delete_request(REQUEST).await;
    let released = |request: &EnrollmentRequest| request.finalizers() == ["example.com/hold"];
    wait_for(fixture.requests(), REQUEST, "has only the other finalizer", released).await;
    fixture.create_request_of("next", JANE).await;
    let next = fixture.wait_for_request_named("next", "Adopted").await;
    assert_eq!((job_of(&next), fixture.mailed()), (job.clone(), vec![job.clone()]));

    fixture.delete_request("next").await;
    wait_until_deleted(fixture.requests(), "next").await;
    assert_eq!(fixture.remote_state(&job), "REVOKED", "the next request revokes its link");
}
