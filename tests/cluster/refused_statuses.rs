//! A deletion continues although an admission policy refuses the object's status, however often it is reconciled. A
//! Warning event names a link that cannot be revoked.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Job, Operation, Rule, RuleId};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, JANE, NEVER, REQUEST, Refused, annotate, audit_log, eventually, job_of, reason, wait_for,
    wait_until_deleted,
};

fn quick(settings: &mut Settings) {
    settings.request_timeout = Duration::from_secs(2);
    settings.resync_interval = NEVER;
    settings.grace_period = Duration::from_secs(3);
}

/// Creates Jane's request, whose send has this effect and stays in doubt. Job lists fail until the rule is removed.
async fn in_doubt(fixture: &Fixture, effect: Effect) -> RuleId {
    fixture.realm.fault(Rule::new(effect).on(Operation::CreateJob).once());
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).skip(1));
    fixture.create_request().await;
    let in_doubt = |request: &EnrollmentRequest| {
        request.status.as_ref().is_some_and(|status| status.send.is_some()) && reason(request) == "SendInDoubt"
    };
    wait_for(fixture.requests(), REQUEST, "is in doubt", in_doubt).await;
    down
}

/// Each resync and each requested reconcile could write the status again.
#[tokio::test]
async fn deletion_completes_without_status_despite_frequent_reconciles() {
    futures::future::join_all([None, Some("one")].map(|annotation| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| {
            settings.resync_interval = Duration::from_secs(1);
        })
        .await;
        fixture.create_request().await;
        let job = job_of(&fixture.wait_for_request("LinkSent").await);
        let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
        if annotation.is_some() {
            annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, annotation).await;
            fixture.wait_for_event(REQUEST, "Warning StatusNotStored").await;
        }
        fixture.delete_request(REQUEST).await;
        wait_until_deleted(fixture.requests(), REQUEST).await;
        assert_eq!(fixture.remote_state(&job), "REVOKED", "annotation: {annotation:?}");
        let events = fixture.events("EnrollmentRequest", REQUEST).await;
        assert!(!events.iter().any(|event| event.turn == "Warning RemoteResourceRetained"), "{events:#?}");
    }))
    .await;
}

/// The number of refused writes of the status of Jane's request.
fn refused_writes(fixture: &Fixture) -> usize {
    let refused = |call: &Value| {
        call["objectRef"]["namespace"] == fixture.namespace.as_str()
            && call["objectRef"]["name"] == REQUEST
            && call["objectRef"]["subresource"] == "status"
            && call["responseStatus"]["code"].as_u64().is_some_and(|code| code >= 400)
    };
    audit_log().iter().filter(|call| refused(call)).count()
}

/// So many failures raise the backoff to its maximum.
#[tokio::test]
async fn deletion_completes_without_status_after_many_refusals() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    for number in 1..=8 {
        let before = refused_writes(&fixture);
        annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, number.to_string().as_str()).await;
        eventually("the status write is retried", || refused_writes(&fixture) > before).await;
    }
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
}

#[tokio::test]
async fn unrevocable_send_in_doubt_blocks_deletion_until_grace_ends() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    let down = in_doubt(&fixture, Effect::LoseAnswer).await;
    fixture.realm.refuse_revoke(403);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.realm.remove_fault(down);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let [job] = &fixture.mailed()[..] else { panic!("there is not exactly one email") };
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(job), "{note}");
    assert!(fixture.revocations().contains(job), "the revocation is tried");
    assert_eq!(fixture.remote_state(job), "LINK_SENT");
}

/// The operator may not have created such a job.
#[tokio::test]
async fn job_of_unknown_delivery_method_is_not_revoked() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    let down = in_doubt(&fixture, Effect::LoseRequest).await;
    fixture.realm.allow_any_answer();
    let mut job = Job::email(JANE, &fixture.realm.configs()[0].id);
    job.delivery_method = "CARRIER_PIGEON".into();
    fixture.realm.add_job(job.clone());
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.realm.remove_fault(down);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&job.id) && note.contains("CARRIER_PIGEON"), "{note}");
    assert_eq!((fixture.revocations().len(), fixture.remote_state(&job.id).as_str()), (0, "LINK_SENT"));
}
