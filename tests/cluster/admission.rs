//! An admission policy refuses writes of the operator. The refusal is reported, nothing is sent without a record, and
//! deletions complete.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, HasStatus, RESEND};
use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use kube::Api;
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, REFUSAL, REQUEST, Refused, audit_log, conditions, eventually, job_of, log_about, message, patch, wait_for,
    wait_until_deleted,
};

const DOUBT: &str = "doubt";
const LOST: &str = "lost";
const NEW: &str = "new";

/// The log lines with this namespace and this reason.
fn logged(fixture: &Fixture, reason: &str) -> Vec<String> {
    let about = format!("\"{}\"", fixture.namespace);
    let reason = format!("reason={reason}");
    log_about(&about).into_iter().filter(|line| line.contains(&reason)).collect()
}

#[tokio::test]
async fn refused_status_writes_stop_sends_but_not_deletions() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.request_timeout = Duration::from_secs(2);
        settings.resync_interval = Duration::from_secs(2);
    })
    .await;
    for name in [DOUBT, LOST, NEW] {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
    }
    fixture.create_request().await;
    let active = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).about(DOUBT).once());
    fixture.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).about(LOST).once());
    // Neither send is settled before the policy is in force.
    let hidden = Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs).about(DOUBT);
    let down = Rule::new(Effect::unavailable()).on(Operation::ListJobs).about(LOST).skip(1);
    let faults = [hidden, down].map(|rule| fixture.realm.fault(rule));
    fixture.create_request_of(DOUBT, DOUBT).await;
    fixture.wait_for_request_named(DOUBT, "SendInDoubt").await;
    fixture.create_request_of(LOST, LOST).await;
    fixture.wait_for_request_named(LOST, "SendInDoubt").await;
    let [_, in_doubt] = &fixture.mailed()[..] else { panic!("expected two emails") };

    let policy = fixture.refuse(Refused::Statuses).await;
    fixture.create_request_of(NEW, NEW).await;
    let event = fixture.wait_for_event(NEW, "Warning StatusNotStored").await;
    assert!(event.note.contains(REFUSAL), "{event:?}");
    eventually("the refusal is logged", || logged(&fixture, "StatusNotStored").iter().any(|line| line.contains(NEW)))
        .await;

    for name in [REQUEST, DOUBT, LOST] {
        fixture.delete_request(name).await;
    }
    faults.into_iter().for_each(|fault| fixture.realm.remove_fault(fault));
    for name in [REQUEST, DOUBT, LOST] {
        wait_until_deleted(fixture.requests(), name).await;
        let events = fixture.events("EnrollmentRequest", name).await;
        assert!(!events.iter().any(|event| event.turn == "Warning RemoteResourceRetained"), "{events:#?}");
    }
    assert_eq!((fixture.remote_state(&active), fixture.remote_state(in_doubt)), ("REVOKED".into(), "REVOKED".into()));
    // The new request has had time to send.
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.mailed().len()), (3, 2));
    let request = fixture.requests().get(NEW).await.unwrap();
    assert_eq!(request.status.and_then(|status| status.send), None);

    policy.lift().await;
    let sent = job_of(&fixture.wait_for_request_named(NEW, "LinkSent").await);
    assert_eq!(fixture.mailed(), [active, in_doubt.clone(), sent]);
}

/// A revocation that the status does not record is known all the same.
#[tokio::test]
async fn deletion_without_status_writes_reports_only_retained_links() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(3)).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let conflict = Reply::resource_error(409, "conflict", "it cannot be revoked", "CredentialBindingJob", &first);
    fixture.realm.fault(Rule::new(Effect::Answer(conflict)).on(Operation::RevokeJob).about(&first));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let sent_again = |request: &EnrollmentRequest| request.status.as_ref().unwrap().attempt == Some(2);
    let second = job_of(&wait_for(fixture.requests(), REQUEST, "has sent again", sent_again).await);
    fixture.wait_for_event(REQUEST, "Warning RevokeRefused").await;
    let _policy = fixture.refuse(Refused::Statuses).await;
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&first) && !note.contains(&second), "{note}");
    assert_eq!((fixture.remote_state(&first), fixture.remote_state(&second)), ("LINK_SENT".into(), "REVOKED".into()));
}

/// The policy refuses only the record, so a condition can report the refusal.
#[tokio::test]
async fn send_waits_while_write_ahead_record_is_refused() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let policy = fixture.refuse(Refused::WriteAhead(REQUEST)).await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("StatusNotStored").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert!(message(&request).contains(REFUSAL), "{}", message(&request));
    assert_eq!((fixture.calls(Operation::CreateJob), request.status.unwrap().send), (0, None));
    policy.lift().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job], 1));
}

#[tokio::test]
async fn withdrawn_attempt_with_refused_record_blocks_no_other_request() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_config_named("other").await;
    fixture.wait_for_config_named("other", "Available").await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    fixture.wait_for_event(REQUEST, "Warning StatusNotStored").await;
    fixture.change_request(json!({"attempt": 1})).await.unwrap();
    fixture.create_request_with("second", json!({"authenticatorConfigRef": {"name": "other"}})).await;
    let second = job_of(&fixture.wait_for_request_named("second", "LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![first, second], 2));
}

/// The number of refused patches of Jane's request, each of which would remove its finalizer.
fn refused_removals(fixture: &Fixture) -> usize {
    let is_refused = |call: &Value| {
        call["verb"] == "patch"
            && call["objectRef"]["namespace"] == fixture.namespace.as_str()
            && call["objectRef"]["name"] == REQUEST
            && call["objectRef"]["subresource"].is_null()
            && call["responseStatus"]["code"].as_u64().is_some_and(|code| code >= 400)
    };
    audit_log().iter().filter(|call| is_refused(call)).count()
}

#[tokio::test]
async fn retained_resource_is_reported_once_before_finalizer_removal() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.refuse_revoke(403);
    let policy = fixture.refuse(Refused::FinalizerRemoval).await;
    fixture.delete_request(REQUEST).await;
    let event = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(event.note.contains(&job), "{event:?}");
    eventually("removal of the finalizer was tried three times", || refused_removals(&fixture) >= 3).await;
    let requests: Api<EnrollmentRequest> = fixture.requests();
    let request = requests.get(REQUEST).await.expect("the request still exists");
    assert!(request.metadata.deletion_timestamp.is_some() && !request.conditions().is_empty());
    policy.lift().await;
    // The change enqueues it. The backoff alone could take up to a minute.
    patch(&requests, REQUEST, json!({"metadata": {"annotations": {RESEND: "woken"}}})).await.unwrap();
    wait_until_deleted(requests, REQUEST).await;
    assert_eq!(
        logged(&fixture, "RemoteResourceRetained").len(),
        1,
        "{:#?}",
        logged(&fixture, "RemoteResourceRetained")
    );
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    assert_eq!(events.iter().filter(|event| event.turn == "Warning RemoteResourceRetained").count(), 1, "{events:#?}");
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}
