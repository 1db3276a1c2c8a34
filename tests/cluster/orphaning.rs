//! `--orphan-on-delete`: no deletion touches the remote side, whatever a policy says, and it is said what stays there.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::{Effect, Operation, Rule};
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::fixture::{
    Access, CONFIG, Fixture, JANE, REQUEST, eventually, job_of, log_about, wait_for, wait_until_gone,
};

#[tokio::test]
async fn whatever_is_deleted_stays_on_the_remote_side_and_is_named() {
    let place = Fixture::new().await;
    let flag = [("BEYOND_IDENTITY_OPERATOR_ORPHAN_ON_DELETE", "true")];
    let process = place.spawn_in(&Access::shared(), &[], &flag).await;
    place.create_config().await;
    let id = place.config_says("Available").await.status.unwrap().id.unwrap();
    place.create_request().await;
    let job = job_of(&place.request_says("LinkSent").await);
    let calls = place.realm.requests().len();
    place.delete_request(REQUEST).await;
    place.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_gone(place.requests(), REQUEST).await;
    wait_until_gone(place.configs(), CONFIG).await;
    assert_eq!((place.remote_state(&job).as_str(), place.realm.configs().len()), ("LINK_SENT", 1));
    let later = place.realm.requests().split_off(calls);
    assert!(later.iter().all(|call| call.method == "GET"), "{later:?}");

    let told = place.told(REQUEST, "Normal RemoteResourceRetained").await;
    let link = format!(
        "The link of credential binding job {job} stays valid because of spec.deletionPolicy or --orphan-on-delete"
    );
    assert_eq!(told.note, link);
    let told = place.told_of("AuthenticatorConfig", CONFIG, "Normal RemoteResourceRetained").await;
    let config = format!(
        "Authenticator configuration {id} stays in Beyond Identity because of spec.deletionPolicy or \
         --orphan-on-delete"
    );
    assert_eq!(told.note, config);
    let (_, log) = process.stop();
    assert!(log.contains(&link) && log.contains(&config), "{log}");
}

#[tokio::test]
async fn it_needs_no_token_and_what_is_in_doubt_is_settled_first() {
    let (place, operator) = Fixture::ready().await;
    place.create_request().await;
    place.request_says("LinkSent").await;
    operator.stop().await;
    place.delete_secret().await;
    let orphan = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.orphan_on_delete = true;
        settings.request_timeout = Duration::from_secs(2);
    };
    let _next = place.start_with(orphan).await;
    place.delete_request(REQUEST).await;
    wait_until_gone(place.requests(), REQUEST).await;
    place.create_secret(&place.token).await;
    place.create_request().await;
    place.request_says("Adopted").await;

    place.realm.add_identity(harness::simulator::Identity::active("joe", "joe@example.com"));
    place.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    let hidden = place.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).about("joe").skip(1));
    place.create_request_of("joe", "joe").await;
    place.named_request_says("joe", "ServiceUnavailable").await;
    place.delete_request("joe").await;
    let message = "Deletion is waiting because it is not known whether the email was sent";
    crate::fixture::wait_for(place.requests(), "joe", "waits", |request| {
        crate::fixture::message(request).starts_with(message)
    })
    .await;
    place.realm.remove_fault(hidden);
    wait_until_gone(place.requests(), "joe").await;
    let job = place.mailed().pop().unwrap();
    eventually("the log says what is left", || log_about(&job).iter().any(|line| line.contains("stays valid"))).await;
    assert_eq!((place.revocations().len(), place.remote_state(&job).as_str()), (0, "LINK_SENT"));
}

/// An object may outlast its deletion by somebody else's finalizer. What it named is then whoever's comes next.
#[tokio::test]
async fn a_request_that_was_let_go_and_that_another_finalizer_keeps_has_no_say_over_its_link_any_more() {
    let (place, _operator) = Fixture::ready().await;
    let mut request = place.request(REQUEST, JANE);
    request.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    place.requests().create(&PostParams::default(), &request).await.unwrap();
    let job = job_of(&place.request_says("LinkSent").await);
    place.change_request(json!({"deletionPolicy": "Orphan"})).await.unwrap();
    place.delete_request(REQUEST).await;
    let let_go = |request: &EnrollmentRequest| request.finalizers() == ["example.com/hold"];
    wait_for(place.requests(), REQUEST, "is let go", let_go).await;
    place.create_request_of("next", JANE).await;
    let next = place.named_request_says("next", "Adopted").await;
    assert_eq!((job_of(&next), place.mailed()), (job.clone(), vec![job.clone()]));

    place.delete_request("next").await;
    wait_until_gone(place.requests(), "next").await;
    assert_eq!(place.remote_state(&job), "REVOKED", "it is the next one's to revoke");
}
