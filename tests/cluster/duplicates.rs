//! One person, one request: the second waits, says for which, and goes through when the first is gone.

use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::api::PostParams;
use serde_json::json;

use crate::fixture::{CONFIG, Fixture, History, JANE, REQUEST, conditions, job_of, message, wait_until_gone};

const SECOND: &str = "second";

/// What the second request says, where the first is called `other`.
fn sentence(other: &str) -> String {
    format!(
        "{other} is for the same identity and authenticator configuration, so this one sends \
         nothing; delete this one, and raise spec.attempt of the other one to send again"
    )
}

/// Sends, adopts, revokes: what a duplicate must not do.
fn deeds(fixture: &Fixture) -> (usize, usize) {
    (fixture.calls(Operation::CreateJob), fixture.revocations().len())
}

#[tokio::test]
async fn the_second_request_of_a_namespace_names_the_first_and_waits_until_it_is_gone() {
    let (fixture, _operator) = Fixture::ready_with(|settings| settings.grace_period = Duration::from_secs(2)).await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    let history = History::of(&fixture.requests(), SECOND).await;
    fixture.create_request_of(SECOND, JANE).await;
    let request = history.says("DuplicateRequest").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    let status = request.status.unwrap();
    assert_eq!((status.job_id, status.attempt, status.send), (None, None, None));
    // It lasts longer than the grace period.
    let stalled = |request: &EnrollmentRequest| conditions(request) == "Stalled=True Ready=False";
    let request = history.first("stalled", stalled).await;
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    assert_eq!((deeds(&fixture), fixture.mailed()), ((1, 0), vec![first.clone()]));

    // Nothing but the first one's going wakes it now.
    fixture.delete_request(REQUEST).await;
    let request = fixture.named_request_says(SECOND, "LinkSent").await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(request.status.unwrap().failing_since, None);
    assert_eq!(fixture.revocations(), [first]);
}

#[tokio::test]
async fn a_duplicate_that_is_deleted_leaves_the_first_ones_link_alone() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    fixture.create_request_with(SECOND, json!({"revoked": true})).await;
    fixture.named_request_says(SECOND, "DuplicateRequest").await;
    fixture.delete_request(SECOND).await;
    wait_until_gone(fixture.requests(), SECOND).await;
    assert_eq!((deeds(&fixture), fixture.remote_state(&first).as_str()), ((1, 0), "LINK_SENT"));
}

#[tokio::test]
async fn an_id_and_a_username_may_lead_to_the_same_person() {
    let (fixture, _operator) = Fixture::ready().await;
    let by_username = json!({"identity": {"username": "JANE", "id": null}});
    fixture.create_request_with(REQUEST, by_username).await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    fixture.create_request_of(SECOND, JANE).await;
    let request = fixture.named_request_says(SECOND, "DuplicateRequest").await;
    assert_eq!(message(&request), sentence(&format!("EnrollmentRequest {REQUEST}")));
    assert_eq!((deeds(&fixture), fixture.mailed()), ((1, 0), vec![first]));
}

#[tokio::test]
async fn a_duplicate_goes_through_when_it_is_corrected_to_somebody_else() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request().await;
    fixture.request_says("LinkSent").await;
    fixture.create_request_of(SECOND, JANE).await;
    fixture.named_request_says(SECOND, "DuplicateRequest").await;
    let change = json!({"spec": {"identity": {"id": "joe"}}});
    crate::fixture::patch(&fixture.requests(), SECOND, change).await.unwrap();
    let request = fixture.named_request_says(SECOND, "LinkSent").await;
    assert_eq!(request.status.unwrap().identity_id.as_deref(), Some("joe"));
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (2, 0));
}

#[tokio::test]
async fn many_at_once_send_one_email_and_a_restart_changes_nothing_about_who_has_it() {
    let fixture = Fixture::new().await;
    fixture.create_config().await;
    let names: Vec<_> = (0..5).map(|number| format!("request-{number}")).collect();
    for name in &names {
        fixture.create_request_of(name, JANE).await;
    }
    let operator = fixture.start().await;
    let who = async || {
        let mut holders = Vec::new();
        for name in &names {
            let request = crate::fixture::wait_for(fixture.requests(), name, "has its turn", |request| {
                ["LinkSent", "DuplicateRequest"].contains(&crate::fixture::reason(request))
            })
            .await;
            if request.status.as_ref().unwrap().job_id.is_some() {
                holders.push((name.clone(), job_of(&request)));
            }
        }
        holders
    };
    let before = who().await;
    let [(_, job)] = &before[..] else { panic!("not one of them: {before:?}") };
    assert_eq!(fixture.mailed(), std::slice::from_ref(job));

    operator.kill().await;
    let _next = fixture.start().await;
    // By the time that somebody else is through, all were looked at.
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.named_request_says("later", "LinkSent").await;
    assert_eq!(who().await, before);
    assert_eq!((fixture.mailed().len(), fixture.revocations().len()), (2, 0));
}

/// A configuration in another namespace that stands for the same remote one. No manifest leads there: what a person
/// wrote into its status does.
async fn same_config(fixture: &Fixture, other: &Fixture) {
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
async fn the_second_request_of_another_namespace_does_not_name_the_first() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let first = job_of(&fixture.request_says("LinkSent").await);
    operator.stop().await;
    let other = fixture.beside().await;
    same_config(&fixture, &other).await;
    // A look at a configuration that fails leaves it as it is, so nothing comes of there being two of this one.
    fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::GetConfig));
    let _operator = fixture.start_with(|settings| settings.watch_namespaces.push(other.namespace.clone())).await;

    other.create_request_of(SECOND, JANE).await;
    let request = other.named_request_says(SECOND, "DuplicateRequest").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), sentence("An EnrollmentRequest in another namespace"));
    let told = other.told(SECOND, "Warning DuplicateRequest").await;
    assert_eq!(told.note, sentence("An EnrollmentRequest in another namespace"));
    assert_eq!((deeds(&fixture), fixture.mailed()), ((1, 0), vec![first.clone()]));

    fixture.delete_request(REQUEST).await;
    let request = other.named_request_says(SECOND, "LinkSent").await;
    assert_eq!(fixture.mailed(), [first.clone(), job_of(&request)]);
    assert_eq!(fixture.revocations(), [first]);
}
