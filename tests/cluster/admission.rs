//! An admission policy refuses what the operator writes: it is said, nothing is sent that could not be written down, and no
//! deletion hangs.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, HasStatus};
use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use kube::Api;
use serde_json::{Value, json};

use crate::fixture::{
    Fixture, REFUSAL, REQUEST, Refused, audit_log, conditions, eventually, job_of, log_about, message, patch, wait_for,
    wait_until_gone,
};

const DOUBT: &str = "doubt";
const LOST: &str = "lost";
const NEW: &str = "new";

/// The lines of the log about this namespace with this reason.
fn logged(fixture: &Fixture, reason: &str) -> Vec<String> {
    let about = format!("\"{}\"", fixture.namespace);
    let reason = format!("reason={reason}");
    log_about(&about).into_iter().filter(|line| line.contains(&reason)).collect()
}

#[tokio::test]
async fn statuses_that_cannot_be_written_hold_up_no_deletion_and_nothing_is_sent_without_them() {
    let (fixture, _operator) = Fixture::ready_with(|settings| {
        settings.request_timeout = Duration::from_secs(2);
        settings.resync_interval = Duration::from_secs(2);
    })
    .await;
    for name in [DOUBT, LOST, NEW] {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
    }
    fixture.create_request().await;
    let live = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).about(DOUBT).once());
    fixture.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateJob).about(LOST).once());
    // Neither is settled before the policy is there.
    let hidden = Rule::new(Effect::LagList(Duration::from_secs(600))).on(Operation::ListJobs).about(DOUBT);
    let down = Rule::new(Effect::unavailable()).on(Operation::ListJobs).about(LOST).skip(1);
    let faults = [hidden, down].map(|rule| fixture.realm.fault(rule));
    fixture.create_request_of(DOUBT, DOUBT).await;
    fixture.named_request_says(DOUBT, "SendInDoubt").await;
    fixture.create_request_of(LOST, LOST).await;
    fixture.named_request_says(LOST, "ServiceUnavailable").await;
    let [_, in_doubt] = &fixture.mailed()[..] else { panic!("there are two emails") };

    let policy = fixture.refuse(Refused::Statuses).await;
    fixture.create_request_of(NEW, NEW).await;
    let told = fixture.told(NEW, "Warning StatusNotStored").await;
    assert!(told.note.contains(REFUSAL), "{told:?}");
    eventually("the log has it", || logged(&fixture, "StatusNotStored").iter().any(|line| line.contains(NEW))).await;

    for name in [REQUEST, DOUBT, LOST] {
        fixture.delete_request(name).await;
    }
    faults.into_iter().for_each(|fault| fixture.realm.remove_fault(fault));
    for name in [REQUEST, DOUBT, LOST] {
        wait_until_gone(fixture.requests(), name).await;
        let told = fixture.events("EnrollmentRequest", name).await;
        assert!(!told.iter().any(|told| told.turn == "Warning RemoteResourceRetained"), "{told:#?}");
    }
    assert_eq!((fixture.remote_state(&live), fixture.remote_state(in_doubt)), ("REVOKED".into(), "REVOKED".into()));
    // By now the new one would have sent.
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.mailed().len()), (3, 2));
    let written = fixture.requests().get(NEW).await.unwrap();
    assert_eq!(written.status.and_then(|status| status.send), None);

    policy.lift().await;
    let sent = job_of(&fixture.named_request_says(NEW, "LinkSent").await);
    assert_eq!(fixture.mailed(), [live, in_doubt.clone(), sent]);
}

/// What was revoked without being written down is known all the same.
#[tokio::test]
async fn a_deletion_without_statuses_says_of_no_revoked_link_that_it_is_left() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(3)).await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let conflict = Reply::resource_error(409, "conflict", "it cannot be revoked", "CredentialBindingJob", &first);
    fixture.realm.fault(Rule::new(Effect::Answer(conflict)).on(Operation::RevokeJob).about(&first));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let sent_again = |request: &EnrollmentRequest| request.status.as_ref().unwrap().attempt == Some(2);
    let second = job_of(&wait_for(fixture.requests(), REQUEST, "has sent again", sent_again).await);
    fixture.told(REQUEST, "Warning RevokeRefused").await;
    let _policy = fixture.refuse(Refused::Statuses).await;
    fixture.delete_request(REQUEST).await;
    wait_until_gone(fixture.requests(), REQUEST).await;
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(left.contains(&first) && !left.contains(&second), "{left}");
    assert_eq!((fixture.remote_state(&first), fixture.remote_state(&second)), ("LINK_SENT".into(), "REVOKED".into()));
}

/// Where the conditions can be written, they say it.
#[tokio::test]
async fn a_record_that_cannot_be_written_is_not_sent_for_and_that_is_said_with_the_remedy() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.resync_interval = Duration::from_secs(1)).await;
    let policy = fixture.refuse(Refused::WriteAhead(REQUEST)).await;
    fixture.create_request().await;
    let request = fixture.request_says("StatusNotStored").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert!(message(&request).contains(REFUSAL), "{}", message(&request));
    assert_eq!((fixture.calls(Operation::CreateJob), request.status.unwrap().send), (0, None));
    policy.lift().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job], 1));
}

#[tokio::test]
async fn a_wish_that_is_withdrawn_when_its_record_was_refused_holds_up_nobody_else() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_config_named("other").await;
    fixture.named_config_says("other", "Available").await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let _policy = fixture.refuse(Refused::StatusesOf(REQUEST)).await;
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    fixture.told(REQUEST, "Warning StatusNotStored").await;
    fixture.change_request(json!({"attempt": 1})).await.unwrap();
    fixture.create_request_with("second", json!({"authenticatorConfigRef": {"name": "other"}})).await;
    let second = job_of(&fixture.named_request_says("second", "LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![first, second], 2));
}

/// How often the operator of `fixture` was refused to take this request's finalizer off.
fn refused_removals(fixture: &Fixture) -> usize {
    let ours = |call: &Value| {
        call["verb"] == "patch"
            && call["objectRef"]["namespace"] == fixture.namespace.as_str()
            && call["objectRef"]["name"] == REQUEST
            && call["objectRef"]["subresource"].is_null()
            && call["responseStatus"]["code"].as_u64().is_some_and(|code| code >= 400)
    };
    audit_log().iter().filter(|call| ours(call)).count()
}

#[tokio::test]
async fn what_is_left_behind_is_told_once_and_before_the_finalizer_goes() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_request().await;
    let job = job_of(&fixture.request_says("LinkSent").await);
    fixture.realm.refuse_revoke(403);
    let policy = fixture.refuse(Refused::FinalizerRemoval).await;
    fixture.delete_request(REQUEST).await;
    let left = fixture.told(REQUEST, "Warning RemoteResourceRetained").await;
    assert!(left.note.contains(&job), "{left:?}");
    eventually("it was tried three times to let it go", || refused_removals(&fixture) >= 3).await;
    let requests: Api<EnrollmentRequest> = fixture.requests();
    let request = requests.get(REQUEST).await.expect("it is still there");
    assert!(request.metadata.deletion_timestamp.is_some() && !request.conditions().is_empty());
    policy.lift().await;
    // A change wakes it; by the clock it would be tried again after up to a minute.
    patch(&requests, REQUEST, json!({"metadata": {"annotations": {"example.com/woken": "one"}}})).await.unwrap();
    wait_until_gone(requests, REQUEST).await;
    assert_eq!(
        logged(&fixture, "RemoteResourceRetained").len(),
        1,
        "{:#?}",
        logged(&fixture, "RemoteResourceRetained")
    );
    let told = fixture.events("EnrollmentRequest", REQUEST).await;
    assert_eq!(told.iter().filter(|told| told.turn == "Warning RemoteResourceRetained").count(), 1, "{told:#?}");
    assert_eq!(fixture.remote_state(&job), "LINK_SENT");
}
