//! CustomResourceDefinitions of another version without some status field, which the API server drops silently. Without
//! a fully stored record nothing is sent or created. After a dropped outcome nothing is repeated.

use beyond_identity_operator::api::{
    AuthenticatorConfig, EnrollmentRequest, EnrollmentRequestStatus, RECONCILE_REQUESTED_AT,
};
use harness::simulator::{Identity, Operation};

use crate::fixture::{
    CONFIG, Definitions, Fixture, History, JANE, REQUEST, annotate, conditions, eventually, job_of, message, reason,
    wait_for, wait_until_deleted,
};

/// The most writes of an object until it is `StatusNotStored`.
const WRITES: usize = 8;
/// The most calls about it.
const CALLS: usize = 8;

fn remedy(field: &str, plural: &str) -> String {
    format!(
        "The API server did not store {field} as written, so nothing is sent or created; install the \
         CustomResourceDefinition {plural}.beyondidentity.dev of this version, and check for an admission policy \
         that changes statuses"
    )
}

fn calls_about(fixture: &Fixture, identity: &str) -> usize {
    fixture.realm.requests().iter().filter(|call| call.path.contains(&format!("identities/{identity}"))).count()
}

fn sends_to_jane(fixture: &Fixture) -> usize {
    let sends = fixture.realm.requests_of(Operation::CreateJob);
    sends.iter().filter(|call| call.path.contains(&format!("identities/{JANE}/"))).count()
}

async fn request_reconcile(fixture: &Fixture, value: &str) {
    annotate(&fixture.requests(), REQUEST, RECONCILE_REQUESTED_AT, value).await;
}

/// Ten other requests become `StatusNotStored` one after the other. Meanwhile Jane's request is not retried in a loop.
async fn assert_no_retry_loop(fixture: &Fixture, history: &History<EnrollmentRequest>) {
    for number in 0..10 {
        let name = format!("somebody-{number}");
        fixture.realm.add_identity(Identity::active(&name, "somebody@example.com"));
        fixture.create_request_of(&name, &name).await;
        fixture.wait_for_request_named(&name, "StatusNotStored").await;
    }
    let (writes, calls) = (history.versions().len(), calls_about(fixture, JANE));
    assert!(writes <= WRITES && calls <= CALLS, "{writes} writes and {calls} calls");
}

async fn without_send(definitions: &Definitions) {
    definitions.install("EnrollmentRequest", Some(&["send"])).await;
    let (fixture, _process) = definitions.ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("StatusNotStored").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(message(&request), remedy("status.send", "enrollmentrequests"));
    fixture.annotate_request(REQUEST, "one").await;
    assert_no_retry_loop(&fixture, &history).await;
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.mailed().len()), (0, 0));

    definitions.install("EnrollmentRequest", None).await;
    request_reconcile(&fixture, "one").await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job], 1));
}

async fn without_endpoint(definitions: &Definitions) {
    definitions.install("EnrollmentRequest", Some(&["send", "endpoint"])).await;
    let (fixture, _process) = definitions.ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let request = fixture.wait_for_request("StatusNotStored").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(message(&request), remedy("status.send.endpoint", "enrollmentrequests"));
    assert_eq!(
        (fixture.calls(Operation::CreateJob), request.status.unwrap().send),
        (0, None),
        "the partial record is removed"
    );
    assert_no_retry_loop(&fixture, &history).await;
    assert_eq!(fixture.calls(Operation::CreateJob), 0);

    definitions.install("EnrollmentRequest", None).await;
    request_reconcile(&fixture, "one").await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    assert_eq!((fixture.mailed(), fixture.calls(Operation::CreateJob)), (vec![job], 1));
}

async fn without_attempt(definitions: &Definitions) {
    definitions.install("EnrollmentRequest", Some(&["attempt"])).await;
    let (fixture, _process) = definitions.ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    fixture.create_request().await;
    let has_its_record = |request: &EnrollmentRequest| {
        let in_doubt = |status: &EnrollmentRequestStatus| status.send.is_some() && status.job_id.is_none();
        reason(request) == "StatusNotStored" && request.status.as_ref().is_some_and(in_doubt)
    };
    let request = wait_for(fixture.requests(), REQUEST, "has its record again", has_its_record).await;
    assert_eq!(message(&request), remedy("status.attempt", "enrollmentrequests"));
    assert_no_retry_loop(&fixture, &history).await;
    request_reconcile(&fixture, "one").await;
    let lists = || fixture.calls(Operation::ListJobs);
    let before = lists();
    eventually("the jobs are listed", || lists() > before).await;
    let to_jane = || fixture.realm.outbox().into_iter().filter(|email| email.identity_id == JANE).count();
    assert_eq!((sends_to_jane(&fixture), to_jane()), (1, 1));

    definitions.install("EnrollmentRequest", None).await;
    request_reconcile(&fixture, "two").await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!((sends_to_jane(&fixture), to_jane()), (1, 1));
    let status = request.status.unwrap();
    assert_eq!((status.attempt, status.send, status.adopted), (Some(1), None, None));
}

/// The grace period of a deletion starts at this field. Without the field it starts at the time in the process's
/// memory.
async fn without_failing_since(definitions: &Definitions) {
    definitions.install("EnrollmentRequest", Some(&["failingSince"])).await;
    let (fixture, _process) = definitions.ready_with(&["--grace-period", "3s", "--resync-interval", "1s"]).await;
    fixture.create_request().await;
    let job = job_of(&fixture.wait_for_request("LinkSent").await);
    fixture.realm.refuse_revoke(403);
    fixture.delete_request(REQUEST).await;
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let note = fixture.wait_for_event(REQUEST, "Warning RemoteResourceRetained").await.note;
    assert!(note.contains(&job), "{note}");
    definitions.install("EnrollmentRequest", None).await;
}

async fn without_the_endpoint_of_a_create(definitions: &Definitions) {
    definitions.install("AuthenticatorConfig", Some(&["create", "endpoint"])).await;
    let (fixture, _process) = definitions.fixture().await;
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("StatusNotStored").await;
    assert_eq!(message(&config), remedy("status.create.endpoint", "authenticatorconfigs"));
    assert_eq!(config.status.unwrap().create, None, "the partial record is removed");
    for number in 0..10 {
        let name = format!("another-{number}");
        fixture.create_config_named(&name).await;
        fixture.wait_for_config_named(&name, "StatusNotStored").await;
    }
    let writes = history.versions().len();
    assert!(writes <= WRITES, "{writes} writes");
    assert_eq!(fixture.realm.requests_of(Operation::CreateConfig), []);

    definitions.install("AuthenticatorConfig", None).await;
    annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;
    fixture.wait_for_config("Available").await;
    assert_eq!(fixture.calls(Operation::CreateConfig), 1);
}

async fn without_create(definitions: &Definitions) {
    definitions.install("AuthenticatorConfig", Some(&["create"])).await;
    let (fixture, _process) = definitions.fixture().await;
    fixture.create_config().await;
    let config = fixture.wait_for_config("StatusNotStored").await;
    assert_eq!(conditions(&config), "Stalled=True Ready=False");
    assert_eq!(message(&config), remedy("status.create", "authenticatorconfigs"));
    assert_eq!(fixture.realm.requests_of(Operation::CreateConfig), []);

    definitions.install("AuthenticatorConfig", None).await;
    annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;
    fixture.wait_for_config("Available").await;
    assert_eq!((fixture.calls(Operation::CreateConfig), fixture.realm.configs().len()), (1, 1));
}

async fn without_id(definitions: &Definitions) {
    definitions.install("AuthenticatorConfig", Some(&["id"])).await;
    let (fixture, _process) = definitions.fixture().await;
    fixture.create_config().await;
    // The record is restored after each attempt.
    let has_its_record = |config: &AuthenticatorConfig| {
        reason(config) == "StatusNotStored" && config.status.as_ref().is_some_and(|status| status.create.is_some())
    };
    let config = wait_for(fixture.configs(), CONFIG, "has its record again", has_its_record).await;
    assert_eq!(message(&config), remedy("status.id", "authenticatorconfigs"));

    definitions.install("AuthenticatorConfig", None).await;
    annotate(&fixture.configs(), CONFIG, RECONCILE_REQUESTED_AT, "one").await;
    let config = fixture.wait_for_config("Available").await;
    assert_eq!(fixture.calls(Operation::CreateConfig), 1);
    assert_eq!(config.status.unwrap().id, fixture.realm.configs().first().map(|config| config.id.clone()));
}

#[tokio::test]
async fn dropped_status_fields_block_calls_without_repeats() {
    let definitions = Definitions::start().await;
    without_send(&definitions).await;
    without_endpoint(&definitions).await;
    without_attempt(&definitions).await;
    without_failing_since(&definitions).await;
    without_create(&definitions).await;
    without_the_endpoint_of_a_create(&definitions).await;
    without_id(&definitions).await;
}
