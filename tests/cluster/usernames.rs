//! Identities by username: a username must match exactly one identity, or nothing is sent. It is often an email
//! address, so it is never shown.

use std::sync::atomic::{AtomicU32, Ordering};

use harness::simulator::{Effect, Identity, Operation, Reply, Rule};
use serde_json::json;

use crate::fixture::{
    Fixture, History, JANE, Operator, REQUEST, conditions, job_of, log_about, message, reason, wait_until_deleted,
};

/// A fixture in which Jane has a username that occurs nowhere else.
async fn fixture_with_username() -> (Fixture, Operator, String) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let username = format!("Jane-Ünseen-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.edit_identity(JANE, |jane| jane.username = Some(username.clone()));
    (fixture, operator, username)
}

async fn create(fixture: &Fixture, username: &str) {
    fixture.create_request_with(REQUEST, json!({"identity": {"id": null, "username": username}})).await;
}

/// Asserts that the username is in no version of the status, in no event and in no log line.
async fn assert_unseen(
    fixture: &Fixture,
    username: &str,
    history: &History<beyond_identity_operator::api::EnrollmentRequest>,
) {
    history.first_with_reason("LinkSent").await;
    fixture.wait_for_event(REQUEST, "Normal LinkSent").await;
    let statuses: Vec<_> = history.versions().into_iter().filter_map(|version| version.status).collect();
    let events = fixture.events("EnrollmentRequest", REQUEST).await;
    let shown = format!("{} {events:?}", json!(statuses)).to_lowercase();
    assert!(!shown.contains(&username.to_lowercase()), "{shown}");
    assert!(
        !log_about(&format!("namespace=\"{}\"", fixture.namespace)).is_empty(),
        "the log has lines of this namespace"
    );
    assert_eq!(log_about(username), [""; 0]);
    let unseen = username.to_lowercase().replace('ü', "%c3%bc");
    assert_eq!(log_about(&unseen), [""; 0]);
}

#[tokio::test]
async fn username_matches_one_identity_case_insensitively() {
    let (fixture, _operator, username) = fixture_with_username().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com").username(&format!("{username}0")));
    let history = History::of(&fixture.requests(), REQUEST).await;
    create(&fixture, &username.to_uppercase()).await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.as_ref().unwrap().identity_id.as_deref(), Some(JANE));
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    assert_eq!(fixture.realm.outbox()[0].identity_id, JANE);
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    assert_unseen(&fixture, &username, &history).await;
}

#[tokio::test]
async fn unknown_username_sends_nothing_until_it_exists() {
    let (fixture, _operator, username) = fixture_with_username().await;
    fixture.realm.edit_identity(JANE, |jane| jane.username = Some(format!("{username}0")));
    let history = History::of(&fixture.requests(), REQUEST).await;
    create(&fixture, &username).await;
    let request = fixture.wait_for_request("IdentityNotFound").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        "The identity of spec.identity.username does not exist in the realm; correct that field, or create the \
         identity in Beyond Identity"
    );
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    fixture.realm.edit_identity(JANE, |jane| jane.username = Some(username.clone()));
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.mailed(), [job_of(&request)]);
    assert_unseen(&fixture, &username, &history).await;
}

#[tokio::test]
async fn ambiguous_username_sends_nothing() {
    let (fixture, _operator, username) = fixture_with_username().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com").username(&username.to_uppercase()));
    let history = History::of(&fixture.requests(), REQUEST).await;
    create(&fixture, &username).await;
    let request = fixture.wait_for_request("IdentityAmbiguous").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(
        message(&request),
        "The username in spec.identity.username matches more than one identity of the realm; set spec.identity.id \
         instead"
    );
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    fixture.change_request(json!({"identity": {"id": JANE, "username": null}})).await.unwrap();
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.mailed(), fixture.realm.outbox()[0].identity_id.as_str()), (vec![job_of(&request)], JANE));
    assert_unseen(&fixture, &username, &history).await;
}

/// The service applies the filter, and the operator checks the result.
#[tokio::test]
async fn answer_with_other_identities_sends_nothing() {
    let (fixture, _operator, username) = fixture_with_username().await;
    let joe = json!({"id": "joe", "status": "active", "traits": {
        "type": "traits_v0", "username": format!("{username}-else"), "primary_email_address": "joe@example.com",
    }});
    let nameless = json!({"id": "jim", "status": "active", "traits": {"primary_email_address": "jim@example.com"}});
    let answer = Reply::json(200, &json!({"identities": [joe, nameless], "total_size": 2}));
    let rule = fixture.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::ListIdentities));
    let history = History::of(&fixture.requests(), REQUEST).await;
    create(&fixture, &username).await;
    let request = fixture.wait_for_request("IdentityNotFound").await;
    assert!(message(&request).starts_with("The identity of spec.identity.username does not exist in the realm"));
    assert_eq!(fixture.realm.requests_of(Operation::ListJobs), []);
    fixture.realm.remove_fault(rule);
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.mailed(), fixture.realm.outbox()[0].identity_id.as_str()), (vec![job_of(&request)], JANE));
    assert_unseen(&fixture, &username, &history).await;
}

#[tokio::test]
async fn failures_are_reported_without_the_username() {
    let (fixture, _operator, username) = fixture_with_username().await;
    fixture.realm.set_identity_status(JANE, "suspended");
    let chatty =
        Reply::error(403, "forbidden", &format!("the filter traits.username eq \"{username}\" is not allowed"));
    for answer in [chatty, Reply::json(200, &json!({"credential_binding_jobs": []}))] {
        fixture.realm.fault(Rule::new(Effect::Answer(answer)).on(Operation::ListIdentities).once());
    }
    let history = History::of(&fixture.requests(), REQUEST).await;
    create(&fixture, &username).await;
    history.first_with_reason("PermissionDenied").await;
    history.first_with_reason("ServiceUnavailable").await;
    let request = history.first_with_reason("IdentityNotActive").await;
    assert_eq!(
        message(&request),
        "The identity of spec.identity.username is suspended, not active; activate it in Beyond Identity"
    );
    fixture.realm.set_identity_status(JANE, "active");
    fixture.realm.edit_identity(JANE, |jane| jane.email = None);
    let request = history.first_with_reason("NoEmailAddress").await;
    assert_eq!(
        message(&request),
        "The identity of spec.identity.username has no primary email address; add one in Beyond Identity"
    );
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    fixture.realm.edit_identity(JANE, |jane| jane.email = Some("jane@example.com".to_owned()));
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((fixture.mailed(), reason(&request)), (vec![job_of(&request)], "LinkSent"));
    assert_unseen(&fixture, &username, &history).await;
}

#[tokio::test]
async fn reassigned_username_keeps_identity_of_earlier_job() {
    let (fixture, _operator, username) = fixture_with_username().await;
    create(&fixture, &username).await;
    let first = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.edit_identity(JANE, |jane| jane.username = None);
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com").username(&username));
    fixture.change_request(json!({"attempt": 2})).await.unwrap();
    let sent = |request: &beyond_identity_operator::api::EnrollmentRequest| {
        let status = request.status.as_ref().unwrap();
        status.identity_id.as_deref() == Some("joe")
            && status.previous_jobs.first().is_some_and(|job| job.state.as_deref() == Some("REVOKED"))
    };
    let request = crate::fixture::wait_for(fixture.requests(), REQUEST, "has sent to joe", sent).await;
    let previous = &request.status.as_ref().unwrap().previous_jobs[0];
    assert_eq!((previous.id.as_str(), previous.identity_id.as_str()), (first.as_str(), JANE));
    let addresses: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.address).collect();
    assert_eq!(addresses, ["jane@example.com", "joe@example.com"]);
    assert_eq!(fixture.remote_state(&first), "REVOKED");
}

#[tokio::test]
async fn composed_and_decomposed_letters_are_the_same() {
    let (fixture, _operator, username) = fixture_with_username().await;
    let decomposed = username.replace('Ü', "U\u{308}");
    for (stored, typed) in [(&username, &decomposed), (&decomposed, &username)] {
        fixture.realm.edit_identity(JANE, |jane| jane.username = Some(stored.clone()));
        create(&fixture, typed).await;
        let request = fixture.wait_for_request("LinkSent").await;
        assert_eq!(request.status.as_ref().unwrap().identity_id.as_deref(), Some(JANE));
        fixture.delete_request(REQUEST).await;
        wait_until_deleted(fixture.requests(), REQUEST).await;
    }
    // Each form is another username for the service, so two identities can have them.
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com").username(&username));
    create(&fixture, &username).await;
    fixture.wait_for_request("IdentityAmbiguous").await;
    assert_eq!(fixture.mailed().len(), 2);
}

#[tokio::test]
async fn similar_username_is_said_and_sends_nothing() {
    let (fixture, _operator, username) = fixture_with_username().await;
    // Full-width letters, as some keyboards write them.
    create(&fixture, &username.replace("Jane", "\u{ff2a}\u{ff41}\u{ff4e}\u{ff45}")).await;
    let request = fixture.wait_for_request("IdentityNotFound").await;
    assert_eq!(
        message(&request),
        "The identity of spec.identity.username does not exist in the realm, but one with a similar username does, \
         which differs in blanks, invisible characters or variants of letters; correct that field, or set \
         spec.identity.id instead"
    );
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    fixture.change_request(json!({"identity": {"username": username}})).await.unwrap();
    fixture.wait_for_request("LinkSent").await;
}
