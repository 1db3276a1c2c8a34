//! A send in doubt: the job is searched for, and exactly one email is sent.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Job, Operation, Reply, Rule};
use kube::api::DeleteParams;

use crate::fixture::{
    CONFIG, Fixture, HIDDEN, History, JANE, Operator, REQUEST, conditions, eventually, message, reason, short_delays,
    wait_for, wait_until_deleted,
};

/// A fixture with the history of the request, and an operator with short times.
async fn fixture(edit: impl FnOnce(&mut Settings)) -> (Fixture, Operator, History<EnrollmentRequest>) {
    let fixture = Fixture::new().await;
    let operator = fixture
        .start_with(|settings| {
            short_delays(settings);
            edit(settings);
        })
        .await;
    fixture.create_config().await;
    fixture.wait_for_config("Available").await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    (fixture, operator, history)
}

/// The same, with this effect on the first send.
async fn with_effect(effect: Effect) -> (Fixture, Operator, History<EnrollmentRequest>) {
    let (fixture, operator, history) = fixture(|_| {}).await;
    fixture.realm.fault(Rule::new(effect).on(Operation::CreateJob).once());
    (fixture, operator, history)
}

/// Waits for the email, and deletes the request. Checks that nothing else was sent, and that `LinkSent` is the last
/// reason.
async fn assert_one_email(fixture: &Fixture, history: &History<EnrollmentRequest>, sends: usize) {
    let request = fixture.wait_for_request("LinkSent").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let [email] = &fixture.realm.outbox()[..] else { panic!("not one email: {:?}", fixture.realm.outbox()) };
    assert_eq!(fixture.calls(Operation::CreateJob), sends);
    let status = request.status.as_ref().unwrap();
    assert_eq!(status.job_id.as_ref(), Some(&email.job_id));
    assert_eq!(status.state.as_deref(), Some("LINK_SENT"));
    assert_eq!((status.attempt, status.send.as_ref()), (Some(1), None));
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    let versions = history.versions();
    let deleted = |version: &&EnrollmentRequest| version.metadata.deletion_timestamp.is_some();
    let mut reasons: Vec<_> = versions.iter().take_while(|version| !deleted(version)).map(reason).collect();
    reasons.dedup();
    let (sent, before) = reasons.split_last().unwrap();
    assert!(*sent == "LinkSent" && !before.contains(sent), "{reasons:?}");
}

/// The email was sent. It is not sent again, whatever the response is.
#[tokio::test]
async fn sent_email_without_clear_response_is_found_by_its_job() {
    let moved = Reply::empty(302).header("location", "https://elsewhere.example.com/");
    let effects = [
        Effect::LoseAnswer,
        Effect::DelayAnswer(Duration::from_secs(600)),
        Effect::HappenThenAnswer(Reply::unavailable()),
        Effect::HappenThenAnswer(Reply::internal_error()),
        Effect::HappenThenAnswer(Reply::garbage()),
        Effect::HappenThenAnswer(Reply::empty(200)),
        Effect::HappenThenAnswer(Reply::error(409, "conflict", "conflict")),
        Effect::HappenThenAnswer(moved),
    ];
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator, history) = with_effect(effect.clone()).await;
        fixture.create_request().await;
        assert_one_email(&fixture, &history, 1).await;
    }))
    .await;
}

#[tokio::test]
async fn lost_send_is_repeated_after_the_settle_time() {
    let effects = [Effect::LoseRequest, Effect::unavailable(), Effect::Answer(Reply::garbage())];
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator, history) = with_effect(effect.clone()).await;
        fixture.create_request().await;
        let request = history.first_with_reason("SendInDoubt").await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=Unknown");
        assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0), "{effect:?}");
        assert_one_email(&fixture, &history, 2).await;

        let calls = fixture.realm.requests_of(Operation::CreateJob);
        let between = calls[1].time.duration_since(calls[0].time);
        // The 5 seconds count from before the write of the first record, which takes time too.
        assert!(between.as_secs_f64() > 4.0, "{effect:?}: sent again after {between:?}");
        let versions = history.versions();
        let reasons: Vec<_> = versions.iter().map(reason).collect();
        assert!(!reasons.contains(&"Refused"), "{effect:?}: {reasons:?}");
    }))
    .await;
}

#[tokio::test]
async fn late_email_is_found_without_another_send() {
    let (fixture, _operator, history) = with_effect(Effect::HappenLate(Duration::from_millis(1500))).await;
    fixture.create_request().await;
    history.first_with_reason("SendInDoubt").await;
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn job_listed_late_is_found_without_another_send() {
    let (fixture, _operator, history) = with_effect(Effect::LoseAnswer).await;
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(4))).on(Operation::ListJobs));
    fixture.create_request().await;
    history.first_with_reason("SendInDoubt").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn failed_job_lists_block_another_send() {
    let (fixture, _operator, history) = with_effect(Effect::LoseAnswer).await;
    // The first list precedes the send.
    let rule = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).skip(1));
    fixture.create_request().await;
    let cause =
        format!(": GET credential-binding-jobs failed with a server error (503): code service_unavailable; {HIDDEN}");
    let in_outage = move |request: &EnrollmentRequest| message(request).ends_with(&cause);
    let request = wait_for(fixture.requests(), REQUEST, "reports the outage", in_outage).await;
    assert_eq!((reason(&request), conditions(&request).as_str()), ("SendInDoubt", "Reconciling=True Ready=Unknown"));
    eventually("the jobs are listed three times", || fixture.realm.fired(rule) >= 3).await;
    fixture.realm.remove_fault(rule);
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn existing_job_is_not_mistaken_for_the_sent_one() {
    let (fixture, _operator, history) = with_effect(Effect::LoseRequest).await;
    let config = fixture.realm.configs()[0].id.clone();
    // It matches in all fields, and only existed earlier. It is expired, since an active one would be adopted.
    let existing = Job { state: Some("EXPIRED".to_owned()), ..Job::email(JANE, &config) };
    fixture.realm.add_job(existing.clone());
    fixture.create_request().await;
    history.first_with_reason("SendInDoubt").await;
    // The job of the request is the one in the outbox.
    assert_one_email(&fixture, &history, 2).await;
    assert_ne!(fixture.realm.outbox()[0].job_id, existing.id);
}

/// An ambiguous refusal leaves the send in doubt. Once it is certain that nothing was sent, it is reported as a
/// refusal.
#[tokio::test]
async fn ambiguous_refusal_is_reported_once_settled() {
    let (fixture, _operator, history) = fixture(|settings| settings.resync_interval = Duration::from_secs(3)).await;
    let refusal = Reply::error(409, "conflict", "a job is under way already");
    fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    history.first_with_reason("SendInDoubt").await;
    let request = history.first_with_reason("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(
        message(&request),
        format!("POST credential-binding-jobs returned 409; it had no effect: code conflict; {HIDDEN}")
    );
    // The send is retried at the resync interval.
    assert_one_email(&fixture, &history, 2).await;
}

#[tokio::test]
async fn clear_refusal_is_reported_at_once_and_retried_at_resync() {
    let (fixture, _operator, history) = fixture(|settings| settings.resync_interval = Duration::from_secs(2)).await;
    let refusal = Reply::invalid(&[("job.delivery_method".to_owned(), "invalid value".to_owned())]);
    fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    let request = history.first_with_reason("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(request.status.as_ref().unwrap().send, None);
    assert_eq!(
        message(&request),
        format!(
            "POST credential-binding-jobs was refused as invalid (400): code bad_request; field job.delivery_method; {HIDDEN}"
        )
    );
    assert_one_email(&fixture, &history, 2).await;
}

#[tokio::test]
async fn send_in_doubt_is_settled_before_finalizer_removal() {
    let (fixture, _operator, history) = with_effect(Effect::LoseRequest).await;
    fixture.create_request().await;
    history.first_with_reason("SendInDoubt").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    let in_doubt = |version: &EnrollmentRequest| version.status.as_ref().unwrap().send.is_some();
    eventually("the watch has delivered the last version", || {
        history.versions().last().is_some_and(|last| !in_doubt(last))
    })
    .await;
    let mut states: Vec<_> = history.versions().iter().map(in_doubt).collect();
    states.dedup();
    assert_eq!(states, [false, true, false], "created, in doubt until deleted, then settled and finalized");
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0));
}

#[tokio::test]
async fn ambiguous_refusal_does_not_block_deletion() {
    let refusal = Reply::error(409, "conflict", "a job is under way already");
    let (fixture, _operator, _history) = with_effect(Effect::Answer(refusal)).await;
    fixture.create_request().await;
    fixture.wait_for_request("SendInDoubt").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0));
}

#[tokio::test]
async fn config_with_lost_create_response_is_found_by_its_mark() {
    futures::future::join_all(
        [
            Effect::LoseAnswer,
            Effect::HappenThenAnswer(Reply::garbage()),
            Effect::HappenThenAnswer(Reply::error(409, "conflict", "conflict")),
            Effect::HappenLate(Duration::from_millis(1500)),
        ]
        .map(|effect| async move {
            let fixture = Fixture::new().await;
            let _operator = fixture.start_with(short_delays).await;
            fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateConfig).once());
            fixture.create_config().await;
            let config = fixture.wait_for_config("Available").await;
            let remotes = fixture.realm.configs();
            assert_eq!(remotes.len(), 1, "{effect:?}");
            assert_eq!(config.status.unwrap().id.as_ref(), Some(&remotes[0].id));
            assert_eq!(fixture.calls(Operation::CreateConfig), 1, "{effect:?}");
        }),
    )
    .await;
}

#[tokio::test]
async fn lost_config_create_is_repeated_after_the_settle_time() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(short_delays).await;
    fixture.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateConfig).once());
    fixture.create_config().await;
    let config = fixture.wait_for_config("CreateInDoubt").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=Unknown");
    assert_eq!(
        message(&config),
        "The service did not clearly confirm or refuse the create, so the configuration may exist; it is being \
         looked up by its ownership mark, and none is created meanwhile"
    );
    fixture.wait_for_config("Available").await;
    assert_eq!(fixture.realm.configs().len(), 1);
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}
