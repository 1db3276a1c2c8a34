//! One request for one identity and configuration: a second one names the first, and acts once that is deleted.

use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::api::PostParams;
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, History, JANE, REQUEST, conditions, job_of, message, wait_until_deleted};

const SECOND: &str = "second";

/// The message of the second request. `other` describes the first one.
fn sentence(other: &str) -> String {
    format!(
        "The same identity and authenticator configuration belong to {other}, so nothing is \
         sent; delete this one; to send another email, raise spec.attempt of the other one"
    )
}

/// The numbers of sends and revocations, which a duplicate must not change.
fn writes(fixture: &Fixture) -> (usize, usize) {
    (fixture.calls(Operation::CreateJob), fixture.revocations().len())
}

#[tokio::test]
async fn duplicate_names_the_first_request_and_waits_for_its_deletion() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    let history = History::of(&fixture.requests(), SECOND).await;
    fixture.create_request_of(SECOND, JANE).await;
    let request = history.first_with_reason("DuplicateRequest").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    let status = request.status.unwrap();
    assert_eq!((status.job_id, status.attempt, status.send), (None, None, None));
    // The grace period of two seconds ends.
    let stalled = |request: &EnrollmentRequest| conditions(request) == "Stalled=True Ready=False";
    let request = history.first("stalled", stalled).await;
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    assert_eq!((writes(&fixture), fixture.mailed()), ((1, 0), vec![first.clone()]));

    // Only the deletion of the first request enqueues the second one now.
    fixture.delete_request(REQUEST).await;
    let request = fixture.wait_for_request_named(SECOND, "LinkSent").await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(request.status.unwrap().failing_since, None);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn deleted_duplicate_does_not_revoke_the_first_link() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.create_request_with(SECOND, json!({"revoked": true})).await;
    fixture.wait_for_request_named(SECOND, "DuplicateRequest").await;
    fixture.delete_request(SECOND).await;
    wait_until_deleted(fixture.requests(), SECOND).await;
    assert_eq!((writes(&fixture), fixture.remote_state(&first).as_str()), ((1, 0), "LINK_SENT"));
}

#[tokio::test]
async fn id_and_username_of_one_identity_are_duplicates() {
    let (fixture, _operator) = Fixture::ready().await;
    let by_username = json!({"identity": {"username": "JANE", "id": null}});
    fixture.create_request_with(REQUEST, by_username).await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.create_request_of(SECOND, JANE).await;
    let request = fixture.wait_for_request_named(SECOND, "DuplicateRequest").await;
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    assert_eq!((writes(&fixture), fixture.mailed()), ((1, 0), vec![first]));
}

#[tokio::test]
async fn duplicate_corrected_to_another_identity_sends() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
    fixture.create_request_of(SECOND, JANE).await;
    fixture.wait_for_request_named(SECOND, "DuplicateRequest").await;
    let change = json!({"spec": {"identity": {"id": "joe"}}});
    crate::fixture::patch(&fixture.requests(), SECOND, change).await.unwrap();
    let request = fixture.wait_for_request_named(SECOND, "LinkSent").await;
    assert_eq!(request.status.unwrap().identity_id.as_deref(), Some("joe"));
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (2, 0));
}

#[tokio::test]
async fn concurrent_duplicates_send_one_email_across_a_restart() {
    let fixture = Fixture::new().await;
    fixture.create_config().await;
    let names: Vec<_> = (0..5).map(|number| format!("request-{number}")).collect();
    for name in &names {
        fixture.create_request_of(name, JANE).await;
    }
    let operator = fixture.start().await;
    let senders = async || {
        let mut senders = Vec::new();
        for name in &names {
            let request = crate::fixture::wait_for(fixture.requests(), name, "is reconciled", |request| {
                ["LinkSent", "DuplicateRequest"].contains(&crate::fixture::reason(request))
            })
            .await;
            if request.status.as_ref().unwrap().job_id.is_some() {
                senders.push((name.clone(), job_of(&request)));
            }
        }
        senders
    };
    let before = senders().await;
    let [(_, job)] = &before[..] else { panic!("not one sender: {before:?}") };
    assert_eq!(fixture.mailed(), std::slice::from_ref(job));

    operator.kill().await;
    let _next = fixture.start().await;
    // When this later request has sent, all others are reconciled.
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.wait_for_request_named("later", "LinkSent").await;
    assert_eq!(senders().await, before);
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (2, 0));
}

/// A configuration in another namespace with the same remote id. No manifest leads to this state, so the test writes
/// the status.
async fn share_remote_config(fixture: &Fixture, other: &Fixture) {
    let remote = &fixture.realm.configs()[0].id;
    let mut config = other.configs().create(&PostParams::default(), &other.config(CONFIG)).await.unwrap();
    let status = json!({
        "observedGeneration": 1,
        "id": remote,
        "tenantID": fixture.realm.tenant(),
        "realmID": fixture.realm.realm(),
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Available", "message": "by hand", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    });
    config.status = Some(serde_json::from_value(status).unwrap());
    let _: AuthenticatorConfig = other.configs().replace_status(CONFIG, &PostParams::default(), &config).await.unwrap();
}

#[tokio::test]
async fn duplicate_in_another_namespace_does_not_name_the_first_request() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    operator.stop().await;
    let other = fixture.other_namespace().await;
    share_remote_config(&fixture, &other).await;
    // Failed polls leave both configurations as they are, so their conflict is not detected.
    fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::GetConfig));
    let _operator = fixture.start_with(|settings| settings.watch_namespaces.push(other.namespace.clone())).await;

    other.create_request_of(SECOND, JANE).await;
    let request = other.wait_for_request_named(SECOND, "DuplicateRequest").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), sentence("an EnrollmentRequest in another namespace"));
    let event = other.wait_for_event(SECOND, "Warning DuplicateRequest").await;
    assert_eq!(event.note, sentence("an EnrollmentRequest in another namespace"));
    assert_eq!((writes(&fixture), fixture.mailed()), ((1, 0), vec![first.clone()]));

    fixture.delete_request(REQUEST).await;
    let request = other.wait_for_request_named(SECOND, "LinkSent").await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn request_that_was_revoked_before_it_sent_keeps_no_other_from_sending() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request_with(REQUEST, json!({"revoked": true})).await;
    fixture.wait_for_request("Revoked").await;
    fixture.create_request_of(SECOND, JANE).await;
    let second = job_of(&fixture.wait_for_request_named(SECOND, "LinkSent").await);

    // The first request sends nothing once it is not revoked any more, and names the second one if it should send again.
    fixture.change_request(json!({"revoked": false, "attempt": 2})).await.unwrap();
    let first = fixture.wait_for_request("DuplicateRequest").await;
    assert_eq!(message(&first), sentence(&format!("EnrollmentRequest {SECOND}")));
    assert_eq!(fixture.mailed(), [second]);
    assert_eq!(fixture.revocations(), Vec::<String>::new());
}
