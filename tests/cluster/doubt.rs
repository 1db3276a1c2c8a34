//! The answer to a send says neither yes nor no: the job is looked for, and there is one email in the end.

use std::time::Duration;

use beyond_identity_operator::api::EnrollmentRequest;
use beyond_identity_operator::operator::Settings;
use harness::simulator::{Effect, Job, Operation, Reply, Rule};
use kube::api::DeleteParams;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, Operator, REQUEST, conditions, eventually, message, reason, short, wait_until_gone,
};

/// A fixture with the request's history, and an operator with other times.
async fn fixture(edit: impl FnOnce(&mut Settings)) -> (Fixture, Operator, History<EnrollmentRequest>) {
    let fixture = Fixture::new().await;
    let operator = fixture
        .start_with(|settings| {
            short(settings);
            edit(settings);
        })
        .await;
    fixture.create_config().await;
    fixture.config_says("Available").await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    (fixture, operator, history)
}

/// The same, with this fault on the first send.
async fn with(effect: Effect) -> (Fixture, Operator, History<EnrollmentRequest>) {
    let (fixture, operator, history) = fixture(|_| {}).await;
    fixture.realm.fault(Rule::new(effect).on(Operation::CreateJob).once());
    (fixture, operator, history)
}

/// Waits for the email, then for the end of the request: in between nothing else was sent, or said.
async fn assert_one_email(fixture: &Fixture, history: &History<EnrollmentRequest>, in_sends: usize) {
    let request = fixture.request_says("LinkSent").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_gone(fixture.requests(), REQUEST).await;
    let [email] = &fixture.realm.outbox()[..] else { panic!("not one email: {:?}", fixture.realm.outbox()) };
    assert_eq!(fixture.calls(Operation::CreateJob), in_sends);
    let status = request.status.as_ref().unwrap();
    assert_eq!(status.job_id.as_ref(), Some(&email.job_id));
    assert_eq!(status.state.as_deref(), Some("LINK_SENT"));
    assert_eq!((status.attempt, status.send.as_ref()), (Some(1), None));
    assert_eq!(conditions(&request), "Ready=True Succeeded=Unknown");
    let versions = history.versions();
    let deleted = |version: &&EnrollmentRequest| version.metadata.deletion_timestamp.is_some();
    let mut said: Vec<_> = versions.iter().take_while(|version| !deleted(version)).map(reason).collect();
    said.dedup();
    let (sent, before) = said.split_last().unwrap();
    assert!(*sent == "LinkSent" && !before.contains(sent), "{said:?}");
}

/// What happens after the email went out, whatever the operator got to see of it, is never another send.
#[tokio::test]
async fn an_email_that_went_out_without_a_clear_answer_is_found_by_its_job() {
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
        let (fixture, _operator, history) = with(effect.clone()).await;
        fixture.create_request().await;
        assert_one_email(&fixture, &history, 1).await;
    }))
    .await;
}

#[tokio::test]
async fn a_send_that_was_lost_on_its_way_is_made_again_once_that_is_sure() {
    let effects = [Effect::LoseRequest, Effect::unavailable(), Effect::Answer(Reply::garbage())];
    futures::future::join_all(effects.map(|effect| async move {
        let (fixture, _operator, history) = with(effect.clone()).await;
        fixture.create_request().await;
        let request = history.says("SendInDoubt").await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=Unknown");
        assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0), "{effect:?}");
        assert_one_email(&fixture, &history, 2).await;

        let calls = fixture.realm.requests_of(Operation::CreateJob);
        let between = calls[1].time.duration_since(calls[0].time);
        // From before the record of the first was written it was 5; that write took its time, too.
        assert!(between.as_secs_f64() > 4.0, "{effect:?}: sent again after {between:?}");
        let versions = history.versions();
        let reasons: Vec<_> = versions.iter().map(reason).collect();
        assert!(!reasons.contains(&"Refused"), "{effect:?}: {reasons:?}");
    }))
    .await;
}

#[tokio::test]
async fn an_email_that_goes_out_late_is_waited_for() {
    let (fixture, _operator, history) = with(Effect::HappenLate(Duration::from_millis(1500))).await;
    fixture.create_request().await;
    history.says("SendInDoubt").await;
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn an_email_whose_job_a_list_is_slow_to_show_is_waited_for() {
    let (fixture, _operator, history) = with(Effect::LoseAnswer).await;
    fixture.realm.fault(Rule::new(Effect::LagList(Duration::from_secs(4))).on(Operation::ListJobs));
    fixture.create_request().await;
    history.says("SendInDoubt").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn while_its_job_cannot_be_looked_for_nothing_is_sent() {
    let (fixture, _operator, history) = with(Effect::LoseAnswer).await;
    // The first list is that before the send.
    let rule = fixture.realm.fault(Rule::new(Effect::unavailable()).on(Operation::ListJobs).skip(1));
    fixture.create_request().await;
    let request = fixture.request_says("ServiceUnavailable").await;
    assert_eq!(conditions(&request), "Reconciling=True Ready=False");
    assert_eq!(message(&request), "GET credential-binding-jobs failed with a server error (503): service unavailable");
    eventually("it was looked for three times", || fixture.realm.fired(rule) >= 3).await;
    fixture.realm.remove_fault(rule);
    assert_one_email(&fixture, &history, 1).await;
}

#[tokio::test]
async fn a_job_of_somebody_elses_is_not_taken_for_ones_own() {
    let (fixture, _operator, history) = with(Effect::LoseRequest).await;
    let config = fixture.realm.configs()[0].id.clone();
    // It fits in all, and is as new; only that it was there before speaks against it. A dead one, or it would be adopted.
    let theirs = Job { state: Some("EXPIRED".to_owned()), ..Job::email(JANE, &config) };
    fixture.realm.add_job(theirs.clone());
    fixture.create_request().await;
    history.says("SendInDoubt").await;
    // Its own is the one that is in the outbox.
    assert_one_email(&fixture, &history, 2).await;
    assert_ne!(fixture.realm.outbox()[0].job_id, theirs.id);
}

/// An answer that is a no, though not a clear one: once it is sure that nothing was done, that is what it meant.
#[tokio::test]
async fn a_refusal_that_left_a_doubt_is_said_once_it_is_settled() {
    let (fixture, _operator, history) = fixture(|settings| settings.resync_interval = Duration::from_secs(3)).await;
    let refusal = Reply::error(409, "conflict", "a job is under way already");
    fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    history.says("SendInDoubt").await;
    let request = history.says("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(
        message(&request),
        "POST credential-binding-jobs returned 409; the request may have taken effect: a job is under way already"
    );
    // It is tried again at the resync interval.
    assert_one_email(&fixture, &history, 2).await;
}

#[tokio::test]
async fn a_clear_refusal_is_said_at_once_and_tried_again_at_the_resync_interval() {
    let (fixture, _operator, history) = fixture(|settings| settings.resync_interval = Duration::from_secs(2)).await;
    let refusal = Reply::invalid(&[("job.delivery_method".to_owned(), "invalid value".to_owned())]);
    fixture.realm.fault(Rule::new(Effect::Answer(refusal)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    let request = history.says("Refused").await;
    assert_eq!(conditions(&request), "Stalled=True Ready=False");
    assert_eq!(request.status.as_ref().unwrap().send, None);
    assert!(
        message(&request).starts_with("POST credential-binding-jobs was refused as invalid (400): invalid parameters"),
        "{}",
        message(&request)
    );
    assert_one_email(&fixture, &history, 2).await;
}

#[tokio::test]
async fn a_request_that_is_deleted_in_doubt_is_settled_before_it_goes() {
    let (fixture, _operator, history) = with(Effect::LoseRequest).await;
    fixture.create_request().await;
    history.says("SendInDoubt").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_gone(fixture.requests(), REQUEST).await;
    let in_doubt = |version: &EnrollmentRequest| version.status.as_ref().unwrap().send.is_some();
    eventually("the watch has told of it", || history.versions().last().is_some_and(|last| !in_doubt(last))).await;
    let mut turns: Vec<_> = history.versions().iter().map(in_doubt).collect();
    turns.dedup();
    assert_eq!(turns, [false, true, false], "new, in doubt until it was marked, then settled and let go");
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0));
}

#[tokio::test]
async fn nor_does_a_refusal_hold_up_a_deletion() {
    let refusal = Reply::error(409, "conflict", "a job is under way already");
    let (fixture, _operator, _history) = with(Effect::Answer(refusal)).await;
    fixture.create_request().await;
    fixture.request_says("SendInDoubt").await;
    fixture.requests().delete(REQUEST, &DeleteParams::default()).await.unwrap();
    wait_until_gone(fixture.requests(), REQUEST).await;
    assert_eq!((fixture.calls(Operation::CreateJob), fixture.realm.outbox().len()), (1, 0));
}

#[tokio::test]
async fn a_configuration_whose_answer_was_lost_is_found_by_its_mark() {
    futures::future::join_all(
        [
            Effect::LoseAnswer,
            Effect::HappenThenAnswer(Reply::garbage()),
            Effect::HappenThenAnswer(Reply::error(409, "conflict", "conflict")),
            Effect::HappenLate(Duration::from_millis(1500)),
        ]
        .map(|effect| async move {
            let fixture = Fixture::new().await;
            let _operator = fixture.start_with(short).await;
            fixture.realm.fault(Rule::new(effect.clone()).on(Operation::CreateConfig).once());
            fixture.create_config().await;
            let config = fixture.config_says("Available").await;
            let remotes = fixture.realm.configs();
            assert_eq!(remotes.len(), 1, "{effect:?}");
            assert_eq!(config.status.unwrap().id.as_ref(), Some(&remotes[0].id));
            assert_eq!(fixture.calls(Operation::CreateConfig), 1, "{effect:?}");
        }),
    )
    .await;
}

#[tokio::test]
async fn a_configuration_that_was_not_made_is_made_once_that_is_sure() {
    let fixture = Fixture::new().await;
    let _operator = fixture.start_with(short).await;
    fixture.realm.fault(Rule::new(Effect::LoseRequest).on(Operation::CreateConfig).once());
    fixture.create_config().await;
    let config = fixture.config_says("CreateInDoubt").await;
    assert_eq!(conditions(&config), "Reconciling=True Ready=Unknown");
    assert_eq!(
        message(&config),
        "The service did not clearly confirm or refuse the create, so the configuration may exist; it is being \
         looked up by its ownership mark, and none is created meanwhile"
    );
    fixture.config_says("Available").await;
    assert_eq!(fixture.realm.configs().len(), 1);
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    wait_until_gone(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}
