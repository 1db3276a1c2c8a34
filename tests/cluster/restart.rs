//! Operators that stop, are killed or run in parallel still send one email for each request.

use std::time::Duration;

use harness::simulator::{Effect, Identity, Operation, Rule};
use kube::api::DeleteParams;

use crate::fixture::{CONFIG, Fixture, History, REQUEST, conditions, eventually, job_of, message, wait_until_deleted};

/// Longer than any test takes.
const AGES: Duration = Duration::from_secs(600);

#[tokio::test]
async fn restart_writes_and_sends_nothing() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.create_request().await;
    let sent = fixture.wait_for_request("LinkSent").await;
    let (configs, requests) =
        (History::of(&fixture.configs(), CONFIG).await, History::of(&fixture.requests(), REQUEST).await);
    let before = fixture.realm.requests().len();
    operator.stop().await;
    let _next = fixture.start().await;

    // When another request is sent, the next operator has reconciled all earlier objects.
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com"));
    fixture.create_request_of("later", "joe").await;
    fixture.wait_for_request_named("later", "LinkSent").await;
    let job = job_of(&sent);
    eventually("the job is read", || {
        fixture.realm.requests_of(Operation::GetJob).iter().any(|c| c.path.ends_with(&job))
    })
    .await;
    let writes: Vec<_> = fixture.realm.requests().split_off(before).into_iter().filter(|c| c.method != "GET").collect();
    assert_eq!(writes.len(), 1, "only the later request sends: {writes:?}");

    // The deletions are the first writes.
    for request in [REQUEST, "later"] {
        fixture.delete_request(request).await;
        wait_until_deleted(fixture.requests(), request).await;
    }
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), CONFIG).await;
    eventually("the watches have all versions", || requests.versions().len() >= 2 && configs.versions().len() >= 2)
        .await;
    let deleting = |object: &kube::core::ObjectMeta| object.deletion_timestamp.is_some();
    assert!(requests.versions().iter().all(|request| deleting(&request.metadata)));
    assert!(configs.versions().iter().all(|config| deleting(&config.metadata)));
}

#[tokio::test]
async fn operator_killed_after_the_send_leaves_a_findable_job() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(AGES)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email is sent", || fixture.realm.outbox().len() == 1).await;
    operator.kill().await;
    let request = fixture.wait_for_request("Sending").await;
    let status = request.status.unwrap();
    assert!(status.send.is_some() && status.job_id.is_none(), "only the record of the send is known: {status:?}");

    let _next = fixture.start().await;
    let request = fixture.wait_for_request("LinkSent").await;
    let [email] = &fixture.realm.outbox()[..] else {
        panic!("there is not exactly one email: {:?}", fixture.realm.outbox())
    };
    assert_eq!(request.status.unwrap().job_id.as_ref(), Some(&email.job_id));
}

#[tokio::test]
async fn operator_killed_before_the_send_leaves_it_in_doubt() {
    let fixture = Fixture::new().await;
    let short_delays = |settings: &mut beyond_identity_operator::operator::Settings| {
        settings.request_timeout = Duration::from_secs(10);
    };
    let operator = fixture.start_with(short_delays).await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(8))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the send is called", || fixture.calls(Operation::CreateJob) == 1).await;
    operator.kill().await;
    assert_eq!(fixture.realm.outbox(), [], "the machine is too slow for this test");

    // The next operator does not see the job at once, however late it lists.
    let hidden = fixture.realm.fault(Rule::new(Effect::LagList(AGES)).on(Operation::ListJobs));
    let _next = fixture
        .start_with(|settings| {
            short_delays(settings);
            settings.settle_time = AGES;
        })
        .await;
    let request = fixture.wait_for_request("SendInDoubt").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=Unknown");
    assert_eq!(
        message(&request),
        "The service did not clearly confirm or refuse the send, so the email may have been sent; its job is being \
         looked up, and nothing is sent meanwhile"
    );
    fixture.realm.remove_fault(hidden);
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.calls(Operation::CreateJob), 1);
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn operator_killed_during_a_create_leaves_one_configuration() {
    let fixture = Fixture::new().await;
    let operator = fixture.start().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(AGES)).on(Operation::CreateConfig).once());
    fixture.create_config().await;
    eventually("the configuration is created", || fixture.realm.configs().len() == 1).await;
    operator.kill().await;
    let _next = fixture.start().await;
    let config = fixture.wait_for_config("Available").await;
    let remotes = fixture.realm.configs();
    assert_eq!(remotes.len(), 1);
    assert_eq!(config.status.unwrap().id.as_ref(), Some(&remotes[0].id));
}

#[tokio::test]
async fn stopping_operator_finishes_an_in_flight_send() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.fault(Rule::new(Effect::DelayAnswer(Duration::from_secs(2))).on(Operation::CreateJob).once());
    fixture.create_request().await;
    eventually("the email is sent", || fixture.realm.outbox().len() == 1).await;
    operator.stop().await;
    let request = fixture.wait_for_request("LinkSent").await;
    assert_eq!(request.status.unwrap().send, None, "the outcome is recorded before the process exits");
}

#[tokio::test]
async fn stopping_operator_starts_no_send() {
    let (fixture, operator) = Fixture::ready().await;
    fixture.realm.fault(Rule::new(Effect::Delay(Duration::from_secs(5))).on(Operation::ListJobs).once());
    fixture.create_request().await;
    eventually("the send is about to start", || !fixture.realm.requests_of(Operation::ListJobs).is_empty()).await;
    operator.stop().await;
    let lists = fixture.realm.requests_of(Operation::ListJobs);
    assert_eq!(lists[0].outcome, harness::simulator::Outcome::Answered(200), "the list is answered");
    assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
    let request = fixture.wait_for_request("Sending").await;
    assert_eq!(message(&request), "The operator is shutting down; the next process continues");
    assert_eq!(request.status.unwrap().send, None);
    let _next = fixture.start().await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn parallel_operators_send_one_email_for_each_request() {
    let fixture = Fixture::new().await;
    let _operators = (fixture.start().await, fixture.start().await);
    fixture.create_config().await;
    let names: Vec<_> = (0..10).map(|number| format!("person-{number}")).collect();
    for name in &names {
        fixture.realm.add_identity(Identity::active(name, "someone@example.com"));
        fixture.create_request_of(name, name).await;
    }
    for name in &names {
        let request = fixture.wait_for_request_named(name, "LinkSent").await;
        let emails: Vec<_> = fixture.realm.outbox().into_iter().filter(|email| email.identity_id == *name).collect();
        assert_eq!(emails.len(), 1, "{emails:?}");
        assert_eq!(request.status.unwrap().job_id.as_ref(), Some(&emails[0].job_id));
    }
    assert_eq!(fixture.realm.configs().len(), 1);
    assert_eq!(fixture.realm.outbox().len(), 10);
}
