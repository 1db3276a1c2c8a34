//! Rule `poll`: the job of a concluded attempt is polled.

use std::collections::BTreeMap;

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::RESEND;
use crate::beyond_identity::types::{CredentialBindingJob, JobState};
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::LastPoll;
use crate::enrollment_request::plan::poll_interval;
use crate::enrollment_request::step::{Action, JobRef, Query};
use crate::enrollment_request::testing::{concluded, job, send};

/// A request with an outstanding job, which it may read.
fn outstanding() -> Known {
    let status = EnrollmentRequestStatus { observed_generation: Some(1), ..concluded() };
    fresh().with(|it| {
        it.status = status;
        it.object.realms = resolved_realms(known_destination());
    })
}

/// A poll that found the job, or did not.
fn polled(found: bool) -> Option<LastPoll> {
    Some(LastPoll { found })
}

/// The result of this read of the recorded job.
fn read(job: Option<CredentialBindingJob>) -> BTreeMap<String, Option<ReadJob>> {
    BTreeMap::from([("job".to_owned(), job.map(|item| ReadJob { item, server_time: None }))])
}

/// The change that records this poll of the job.
fn follow(job: &CredentialBindingJob) -> Change {
    Change::UpdateFrom(Box::new(ReadJob { item: job.clone(), server_time: None }))
}

fn in_state(state: &str) -> EnrollmentRequestStatus {
    EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() }
}

#[test]
fn job_is_read_by_the_ids_in_status() {
    let query = Query::Job(
        provider_ref(),
        JobRef { endpoint: Some(ENDPOINT.to_owned()), ..JobRef::new("9ca7716e846cfa97", "job") },
    );
    assert_eq!(next(&desired(), &outstanding()), Step::Fetch(query.clone()));
    let cached = outstanding().with(|it| it.object.fresh = false);
    assert_eq!(next(&desired(), &cached), Step::Fetch(query), "a cached object is enough for a poll");
    let unresolved = outstanding().with(|it| it.object.realms = BTreeMap::new());
    assert_eq!(next(&desired(), &unresolved), Step::Resolve(ProviderConfigRef::default()));
}

#[test]
fn only_a_changed_job_is_recorded() {
    let opened = CredentialBindingJob { state: Some(JobState::LinkOpened), ..job("job") };
    let step = next(&desired(), &outstanding().with(|it| it.read = read(Some(opened))));
    assert!(matches!(&step, Step::Record(Change::UpdateFrom(job)) if job.item.state == Some(JobState::LinkOpened)));
    let step = next(
        &desired(),
        &outstanding().with(|it| {
            it.read = read(Some(job("job")));
            it.poll = polled(true);
        }),
    );
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::LinkSent, Requeue::OnChange));
}

#[test]
fn complete_job_is_not_polled() {
    let observed = outstanding().with(|it| {
        it.status = in_state("COMPLETE");
        it.object.realms = BTreeMap::new();
    });
    let step = next(&desired(), &observed);
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::Complete, Requeue::OnChange));
}

#[test]
fn requested_reconcile_polls_a_complete_job_once() {
    let requesting = desired().with(|it| it.lifecycle.reconcile_requested = Some("now".to_owned()));
    let mut observed = outstanding().with(|it| it.status = in_state("COMPLETE"));
    assert!(matches!(next(&requesting, &observed), Step::Fetch(Query::Job(..))));
    observed.read = read(Some(CredentialBindingJob { state: Some(JobState::Complete), ..job("job") }));
    for read in [observed.read.clone(), read(None)] {
        let step = next(
            &requesting,
            &outstanding().with(|it| {
                it.read = read;
                it.status = observed.status.clone();
            }),
        );
        let step = match step {
            Step::Record(change) => {
                assert!(change.apply(&mut observed.status));
                next(&requesting, &observed)
            }
            step => step,
        };
        assert_eq!((reason(&step), requeue_of(&step)), (Reason::Complete, Requeue::OnChange));
    }
}

#[test]
fn failed_poll_does_not_handle_the_requested_reconcile() {
    let requesting = desired().with(|it| it.lifecycle.reconcile_requested = Some("now".to_owned()));
    let step = next(
        &requesting,
        &outstanding().with(|it| {
            it.job_failures = [("job".to_owned(), failure())].into();
            it.status = in_state("COMPLETE");
        }),
    );
    assert!(!handles_request(&step), "{step:?}");
    let not_its_turn = Fact::Failed(Failure::not_its_turn(Duration::from_secs(7)));
    let step = next(
        &requesting,
        &outstanding().with(|it| {
            it.object.realms = resolved_realms(not_its_turn);
            it.status = in_state("COMPLETE");
        }),
    );
    assert!(!handles_request(&step), "{step:?}");
}

#[test]
fn no_call_is_made_until_the_watcher_allows_it() {
    let waiting = outstanding().with(|it| {
        it.may_poll = false;
        it.poll = polled(true);
        it.object.realms = BTreeMap::new();
    });
    let step = next(&desired(), &waiting);
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::LinkSent, Requeue::OnChange));
    let requesting = desired().with(|it| it.lifecycle.reconcile_requested = Some("now".to_owned()));
    assert!(matches!(next(&requesting, &waiting), Step::Resolve(_)), "somebody wants it now");
}

#[test]
fn new_process_keeps_the_conditions_until_it_has_read_the_job() {
    let unread = outstanding().with(|it| it.may_poll = false);
    let step = next(&desired(), &unread);
    assert_eq!(step, Step::End(End::keeping_conditions(Requeue::OnChange)), "the job may be missing");
    let edited = desired().with(|it| it.lifecycle.generation = 2);
    assert_eq!(reason(&next(&edited, &unread)), Reason::LinkSent, "a new generation reports the recorded state");
}

#[test]
fn poll_interval_is_a_tenth_of_the_age_or_until_expiry() {
    let pause = |create: &str, expire: &str| {
        let (create_time, expire_time) = (Some(create.to_owned()), Some(expire.to_owned()));
        let job = CredentialBindingJob { create_time, expire_time, ..job("job") };
        poll_interval::interval(&outstanding().input(&desired()), Some(&job), Duration::ZERO).unwrap().as_secs()
    };
    let next_week = "2026-01-08T12:00:00Z";
    assert_eq!(pause("2026-01-01T12:00:00Z", next_week), 5, "young");
    assert_eq!(pause("2026-01-01T11:50:03Z", next_week), 60, "ten minutes");
    assert_eq!(pause("2025-12-31T12:00:00Z", next_week), 300, "old");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T12:01:03Z"), 65, "just after the expiry");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T12:00:03Z"), 5, "expires now, but the clock may be behind");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T11:59:58Z"), 300, "already polled after the expiry");
    assert_eq!(pause("2025-12-31T12:00:00Z", "2026-01-01T11:00:00Z"), 300, "expired long ago");
    assert_eq!(pause("2026-01-01T12:00:00Z", "9999-12-30T22:00:00Z"), 5, "never expires");
    assert_eq!(pause("nonsense", "nonsense"), 5);
    assert_eq!(pause("2026-01-02T12:00:00Z", next_week), 5, "created in the future");
    let interval = |job: Option<&CredentialBindingJob>, known| {
        poll_interval::interval(&outstanding().input(&desired()), job, known)
    };
    let ageless = CredentialBindingJob { create_time: None, ..job("job") };
    let minute = Duration::from_secs(60);
    assert_eq!(
        interval(Some(&ageless), 10 * minute),
        Some(minute),
        "its age counts from the first observation by this process"
    );
    let complete = CredentialBindingJob { state: Some(JobState::Complete), ..job("job") };
    assert_eq!(interval(Some(&complete), minute), None, "a complete job is not polled");
    assert_eq!(interval(None, minute), Some(TIMES.resync), "a missing job");
}

#[test]
fn missing_job_is_reported() {
    let step = next(
        &desired(),
        &outstanding().with(|it| {
            it.read = read(None);
            it.poll = polled(false);
        }),
    );
    assert!(matches!(phase_of(&step), Phase::JobNotFound(_)));
    assert_eq!(requeue_of(&step), Requeue::OnChange);
    let between = outstanding().with(|it| {
        it.may_poll = false;
        it.poll = polled(false);
    });
    assert!(matches!(phase_of(&next(&desired(), &between)), Phase::JobNotFound(_)), "kept until the next poll");
}

#[test]
fn failed_poll_keeps_the_conditions() {
    let refused = Failure::refused(Reason::Refused, "400");
    for failed in [
        outstanding().with(|it| it.job_failures = [("job".to_owned(), failure())].into()),
        outstanding().with(|it| it.job_failures = [("job".to_owned(), refused)].into()),
        outstanding().with(|it| it.object.realms = resolved_realms(Fact::Failed(failure()))),
    ] {
        let Step::End(End { phase: None, .. }) = next(&desired(), &failed) else { panic!("conditions are set") };
        let edited = desired().with(|it| it.lifecycle.generation = 2);
        assert_eq!(reason(&next(&edited, &failed)), Reason::LinkSent, "a new generation reports the recorded state");
    }
}

#[test]
fn new_generation_reports_the_last_poll_if_a_poll_fails() {
    let edited = desired().with(|it| it.lifecycle.generation = 2);
    for (found, says) in [(true, Reason::LinkSent), (false, Reason::JobNotFound)] {
        let poll = polled(found);
        let failed = outstanding().with(|it| {
            it.job_failures = [("job".to_owned(), failure())].into();
            it.poll = poll;
        });
        assert_eq!(reason(&next(&edited, &failed)), says);
    }
}

#[test]
fn status_without_job_id_is_reported_despite_a_recent_poll() {
    for (job_id, identity_id) in
        [(None, Some("jane")), (Some(""), Some("jane")), (Some("job"), Some("")), (Some("job"), None)]
    {
        let id = |id: Option<&str>| id.map(str::to_owned);
        let status = EnrollmentRequestStatus { job_id: id(job_id), identity_id: id(identity_id), ..concluded() };
        for desired in [desired(), Desired { revoked: true, ..desired() }] {
            let step = next(
                &desired,
                &outstanding().with(|it| {
                    it.status = status.clone();
                    it.poll = polled(true);
                }),
            );
            assert_eq!(requeue_of(&step), Requeue::OnChange, "{step:?}");
            assert!(matches!(phase_of(&step), Phase::JobNotFound(_) | Phase::Revoked { .. }));
        }
    }
}

#[test]
fn changed_realm_is_reported() {
    let realm = RealmIds { realm_id: "elsewhere".to_owned(), ..realm_ids() };
    let elsewhere = Destination { realm, ..destination() };
    let step = next(&desired(), &outstanding().with(|it| it.object.realms = resolved_realms(Fact::Known(elsewhere))));
    assert_eq!(reason(&step), Reason::RealmChanged);
}

#[test]
fn partly_cleared_status_sends_nothing() {
    let status = EnrollmentRequestStatus { attempt: Some(1), ..EnrollmentRequestStatus::default() };
    let step = next(&desired(), &outstanding().with(|it| it.status = status));
    assert!(matches!(phase_of(&step), Phase::JobNotFound(_)));
}

#[test]
fn polling_a_job_is_not_pending_work() {
    let (plain, settled) = (desired(), concluded());
    assert!(!is_pending(&plain, &settled));
    assert!(is_pending(&plain, &EnrollmentRequestStatus::default()), "no email is sent yet");
    for desired in [
        Desired { attempt: 2, ..desired() },
        Desired { revoked: true, ..desired() },
        desired().with(|it| it.lifecycle.deleted_at = Some(now())),
    ] {
        assert!(is_pending(&desired, &settled), "{desired:?}");
    }
    assert!(is_pending(&plain, &EnrollmentRequestStatus { send: Some(send()), ..settled }), "a send in doubt");
}

#[test]
fn raised_attempt_is_sent_unless_revoked() {
    let raised = Desired { attempt: 2, ..desired() };
    let observed = prepared().with(|it| it.status = concluded());
    let Step::WriteAhead(record, _) = next(&raised, &observed) else { panic!("not sent") };
    assert_eq!((record.attempt, record.existing_job_ids.as_slice()), (2, [].as_slice()));
    let revoked = Desired { revoked: true, ..raised };
    assert!(matches!(next(&revoked, &observed), Step::Act(Action::Revoke(..))));
    let lowered = Desired { attempt: 1, ..desired() };
    let ahead = EnrollmentRequestStatus { attempt: Some(3), ..concluded() };
    assert!(matches!(next(&lowered, &prepared().with(|it| it.status = ahead)), Step::Fetch(Query::Job(..))));
}

#[test]
fn link_expired_by_server_clock_can_be_resent() {
    let stale = CredentialBindingJob { expire_time: Some("2025-12-29T12:00:00Z".to_owned()), ..job("job") };
    let read_at = |server_time| ReadJob { item: stale.clone(), server_time };
    let mut observed = outstanding();
    observed.read.insert("job".to_owned(), Some(read_at(Some(now()))));
    let Step::Record(change) = next(&desired(), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    assert_eq!((observed.status.expired, observed.status.state.as_deref()), (Some(true), Some("LINK_SENT")));
    let step = next(&desired(), &observed);
    let message = phase_of(&step).why().message.clone();
    assert_eq!(reason(&step), Reason::LinkExpired);
    assert!(
        message.starts_with("The link expired at 2025-12-29T12:00:00Z, although the job is still in state LINK_SENT"),
        "{message}"
    );

    let again = |value: &str| Desired { annotation_actions: actions(RESEND, value), ..desired() };
    assert!(is_pending(&again("job/EXPIRED"), &observed.status));
    assert!(!is_pending(&again("job/LINK_SENT"), &observed.status), "the annotation may mean an active link");
    let revoked = Desired { revoked: true, ..desired() };
    assert_eq!(to_revoke(&revoked, &observed.status).len(), 1, "it is still revoked if required");
    assert_eq!(to_revoke(&deleting(), &observed.status).len(), 1);

    // Without a server time the expiry is unknown.
    assert!(!Change::UpdateFrom(Box::new(read_at(None))).changes(&observed.status));
    let mut unknown = concluded();
    assert!(Change::UpdateFrom(Box::new(read_at(None))).apply(&mut unknown));
    assert_eq!(unknown.expired, None, "the link counts as active");
    let expired = CredentialBindingJob { state: Some(JobState::Expired), ..stale.clone() };
    assert!(Change::UpdateFrom(Box::new(ReadJob { item: expired, server_time: None })).apply(&mut observed.status));
    assert_eq!(observed.status.expired, None, "the state is EXPIRED now");
}

#[test]
fn unknown_delivery_method_is_recorded_when_found_in_a_list() {
    let odd = CredentialBindingJob { delivery_method: Some("E-MAIL".into()), ..job("job") };
    let conclude = |answered| {
        let mut status = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
        let (send_id, job) = ("nonce".to_owned(), Box::new(odd.clone()));
        assert!(Change::Conclude { send_id, job, answered, others: vec![] }.apply(&mut status));
        status
    };
    assert_eq!(conclude(true).delivery_method, None, "the response to the send confirms the job");
    let mut listed = conclude(false);
    assert_eq!(listed.delivery_method.as_deref(), Some("E-MAIL"));
    assert!(!follow(&job("job")).changes(&listed), "a poll keeps it");
    listed.send = Some(send());
    let next =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("b")), answered: true, others: vec![] };
    assert!(next.apply(&mut listed));
    assert_eq!(listed.previous_jobs[0].delivery_method.as_deref(), Some("E-MAIL"));
    assert_eq!(listed.delivery_method, None);
}

#[test]
fn other_endpoint_can_confirm_a_move_but_not_absence() {
    let elsewhere = Destination { endpoint: "https://another.example.com".to_owned(), ..destination() };
    let at = |read| {
        outstanding().with(|it| {
            it.read = read;
            it.object.realms = resolved_realms(Fact::Known(elsewhere.clone()));
        })
    };
    assert_eq!(reason(&next(&desired(), &at(read(None)))), Reason::EndpointChanged);
    let mut found = at(read(Some(job("job"))));
    let Step::Record(change) = next(&desired(), &found) else { panic!() };
    assert!(change.apply(&mut found.status));
    assert_eq!(found.status.endpoint.as_deref(), Some("https://another.example.com"));
    assert_eq!(reason(&next(&desired(), &found)), Reason::LinkSent);
}

#[test]
fn unwritable_status_delays_the_next_write() {
    let opened = CredentialBindingJob { state: Some(JobState::LinkOpened), ..job("job") };
    let step = next(
        &desired(),
        &outstanding().with(|it| {
            it.read = read(Some(opened));
            it.object.unwritable = Some(unwritable());
        }),
    );
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::StatusNotStored, Requeue::After(Duration::from_secs(40))));
}
