//! A deletion goes on without the statuses that an admission policy refuses, however often and by whatever it is looked at
//! again; and what it may not revoke, it tells.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, RECONCILE_REQUESTED_AT};
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Job, Operation, Rule, RuleId};
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, JANE, NEVER, REQUEST, Refused, annotate, audit_log, eventually, job_of, reason, wait_for, wait_until_gone,
};

fn quick(settings: &mut Settings) {
    settings.request_timeout = Duration::from_secs(2);
    settings.resync_interval = NEVER;
    settings.grace_period = Duration::from_secs(3);
}

/// Jane's request, whose send ended like this, before anything was found out; the lists are down until the rule is removed.
async fn in_doubt(fixture: &Fixture, effect: Effect) -> RuleId {
    fixture.realm.fault(Rule::new(effect).on(Operation::CreateJob).once());
    let down = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).skip(1));
    fixture.create_request().await;
    let in_doubt = |request: &EnrollmentRequest| {
        request.status.as_ref().is_some_and(|status| status.send.is_some()) && reason(request) == "ServiceUnavailable"
    };
    wait_for(fixture.requests(), REQUEST, "is in doubt", in_doubt).await;
    down
}

/// Each resync, and each look that somebody asks for, is a look at which the status could be tried again.
#[tokio::test]
async fn a_deletion_without_statuses_ends_though_it_is_looked_at_every_second_or_a_look_is_asked_for() {
    futures::future::join_all([None, Some("one")].map(|asked| async move {
        let (fixture, _operator) = Fixture::ready_with(|settings| {
            settings.resync_interval = Duration::from_secs(1);
        })
        .await;
        fixture.create_request().await;
        let job = job_of(&fixture.request_says("LinkSent").await);
        let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
        if asked.is_some() {
            annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, asked).await;
            fixture.told(REQUEST, "Warning StatusNotStored").await;
        }
        fixture.delete_request(REQUEST).await;
        wait_until_gone(fixture.requests(), REQUEST).await;
        assert_eq!(fixture.remote_state(&job), "REVOKED", "asked for: {asked:?}");
        let told = fixture.events("EnrollmentRequest", REQUEST).await;
        assert!(!told.iter().any(|told| told.turn == "Warning RemoteResourceRetained"), "{told:#?}");
    }))
    .await;
}

/// How often the API server refused to write the status of Jane's request.
fn refused_writes(fixture: &Fixture) -> usize {
    let refused = |call: &Value| {
        call["objectRef"]["namespace"] == fixture.namespace.as_str()
            && call["objectRef"]["name"] == REQUEST
            && call["objectRef"]["subresource"] == "status"
            && call["responseStatus"]["code"].as_u64().is_some_and(|code| code >= 400)
    };
    audit_log().iter().filter(|call| refused(call)).count()
}

/// After so many failures the pauses of its backoff are the longest.
#[tokio::test]
async fn a_deletion_without_statuses_ends_after_many_refusals() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    for number in 1..=8 {
        let before = refused_writes(&fixture);
        annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, number.to_string().as_str()).await;
        eventually("it was tried once more", || refused_writes(&fixture) > before).await;
    }
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.remote_state(&job).as_str(), fixture.mailed()), ("REVOKED", vec![job.clone()]));
}

#[tokio::test]
async fn a_send_in_doubt_whose_link_cannot_be_revoked_holds_up_a_deletion_for_the_grace_period_and_is_told() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    let down = in_doubt(&fixture, Effect::LoseAnswer).await;
    fixture.realm.refuse_revoke(403);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.realm.remove_fault(down);
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let [job] = &fixture.mailed()[..] else { panic!("there is one email") };
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(left.contains(job), "{left}");
    assert!(fixture.revocations().contains(job), "it was tried");
    assert_eq!(fixture.remote_state(job), "LINK_SENT");
}

/// Nobody can tell whether such a job is the operator's.
#[tokio::test]
async fn a_job_of_an_unknown_delivery_method_is_not_revoked_though_a_list_shows_it_for_the_send_in_doubt() {
    let (fixture, _operator) = Fixture::ready_with(quick).await;
    let down = in_doubt(&fixture, Effect::LoseRequest).await;
    fixture.realm.allow_any_answer();
    let mut job = Job::email(JANE, &fixture.realm.configs()[0].id);
    job.delivery_method = "CARRIER_PIGEON".into();
    fixture.realm.add_job(job.clone());
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.realm.remove_fault(down);
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(left.contains(&job.id) && left.contains("CARRIER_PIGEON"), "{left}");
    assert_eq!((fixture.revocations().len(), fixture.remote_state(&job.id).as_str()), (0, "LINK_SENT"));
}
