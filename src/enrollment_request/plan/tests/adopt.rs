//! Rule `adopt`: a request without a previous send adopts an existing job or is skipped.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::enrollment_request::Skipped;
use crate::enrollment_request::change::{Change, NoSendBecause};
use crate::enrollment_request::step::{JobRef, Query};
use crate::enrollment_request::testing::{concluded, job};

/// A new request for an identity with these jobs.
fn with(jobs: Vec<CredentialBindingJob>) -> Known {
    prepared().with(|it| it.jobs = Fact::Known(listed(jobs, 0)))
}

fn in_state(id: &str, state: &str) -> CredentialBindingJob {
    CredentialBindingJob { state: Some(state.into()), ..job(id) }
}

fn enrolled() -> Fact<Option<Identity>> {
    let json = r#"{"id": "9ca7716e846cfa97", "enrollment_status": "ENROLLED",
                   "traits": {"primary_email_address": "jane@example.com"}}"#;
    Fact::Known(Some(serde_json::from_str(json).unwrap()))
}

/// The id of the job that is fetched.
fn fetched(step: &Step) -> &str {
    let Step::Fetch(Query::Job(_, JobRef { job_id, .. })) = step else { panic!("{step:?}") };
    job_id
}

fn adopted(step: &Step) -> &str {
    let Step::Record(Change::ConcludeWithoutSend { by: NoSendBecause::Adopted { read: job, .. }, .. }) = step else {
        panic!("{step:?}")
    };
    &job.item.id
}

fn skipped(step: &Step) -> Skipped {
    let Step::Record(Change::ConcludeWithoutSend { by: NoSendBecause::Skipped(why), .. }) = step else {
        panic!("{step:?}")
    };
    *why
}

#[test]
fn only_listed_jobs_are_remembered_as_dead() {
    let dead = |id: &str| {
        let item = CredentialBindingJob { state: Some("EXPIRED".into()), ..job(id) };
        (id.to_owned(), ReadJob { item, server_time: None })
    };
    let mut observed = prepared().observed;
    observed.read_before = BTreeMap::from([dead("gone"), dead("listed")]);
    observed.jobs = Fact::Known(listed(vec![job("listed")], 0));
    let kept = observed.cannot_be_adopted(&EnrollmentRequestStatus::default(), "EMAIL");
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["listed"]);
}

#[test]
fn active_or_complete_job_is_adopted_after_a_read_by_id() {
    for state in ["LINK_SENT", "LINK_OPENED", "REQUEST_DELIVERED", "COMPLETE", "SOMETHING_NEW"] {
        let mut observed = with(vec![in_state("a", state)]);
        assert_eq!(fetched(&next(&desired(), &observed)), "a", "{state}");
        observed.read.insert("a".to_owned(), read(in_state("a", state)));
        assert_eq!(adopted(&next(&desired(), &observed)), "a", "{state}");
    }
    for state in ["EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
        assert!(matches!(next(&desired(), &with(vec![in_state("a", state)])), Step::WriteAhead(..)), "{state}");
    }
}

#[test]
fn newest_job_is_adopted_first() {
    let mut newer = job("newer");
    newer.create_time = Some("2026-01-01T12:00:03Z".to_owned());
    let timeless = CredentialBindingJob { create_time: None, ..job("timeless") };
    let mut observed = with(vec![timeless, job("older"), newer]);
    assert_eq!(fetched(&next(&desired(), &observed)), "newer");
    observed.read.insert("newer".to_owned(), read(in_state("newer", "EXPIRED")));
    assert_eq!(fetched(&next(&desired(), &observed)), "older");
    observed.read.insert("older".to_owned(), read(in_state("older", "REVOKED")));
    assert_eq!(fetched(&next(&desired(), &observed)), "timeless");
    observed.read.insert("timeless".to_owned(), None);
    let step = next(&desired(), &observed);
    assert_eq!(reason(&step), Reason::InconsistentAnswers, "listed but not found: nothing is sent");
}

#[test]
fn job_of_another_request_or_configuration_is_not_adopted() {
    let elsewhere = CredentialBindingJob { authenticator_config_id: Some("another".to_owned()), ..job("elsewhere") };
    let mut observed = with(vec![job("named-elsewhere"), elsewhere]);
    let Fact::Known(listed) = &mut observed.jobs else { panic!() };
    listed.named_elsewhere.insert("named-elsewhere".to_owned());
    assert!(matches!(next(&desired(), &observed), Step::WriteAhead(..)));
}

#[test]
fn unreadable_job_is_not_skipped() {
    let observed = with(vec![job("a")]).with(|it| it.job_failures = [("a".to_owned(), failure())].into());
    assert_eq!(reason(&next(&desired(), &observed)), Reason::ServiceUnavailable);
}

#[test]
fn enrolled_or_revoked_request_is_skipped() {
    let observed = with(vec![]).with(|it| it.identity = enrolled());
    assert_eq!(skipped(&next(&desired(), &observed)), Skipped::AlreadyEnrolled);
    let revoked = Desired { revoked: true, ..desired() };
    assert_eq!(skipped(&next(&revoked, &with(vec![]))), Skipped::Revoked);
    assert_eq!(skipped(&next(&revoked, &observed)), Skipped::Revoked);
    let mut active = with(vec![job("a")]);
    active.read.insert("a".to_owned(), read(job("a")));
    assert_eq!(adopted(&next(&revoked, &active)), "a", "revoked by the next step");
}

#[test]
fn adoption_concludes_the_requested_attempt() {
    let mut observed = with(vec![job("a")]);
    observed.read.insert("a".to_owned(), read(job("a")));
    let desired = Desired { attempt: 4, ..desired() };
    let Step::Record(change) = next(&desired, &observed) else { panic!() };
    let mut status = EnrollmentRequestStatus::default();
    assert!(change.apply(&mut status));
    assert_eq!((status.attempt, status.adopted, status.job_id.as_deref()), (Some(4), Some(true), Some("a")));
    assert!(
        change
            .phase(&Known { status: status.clone(), ..Known::default() }.input(&desired))
            .is_some_and(|phase| phase.why().reason == Reason::Adopted)
    );
    assert!(!change.apply(&mut concluded()), "an attempt concluded meanwhile is kept");
}

#[test]
fn raised_attempt_is_sent_despite_existing_jobs() {
    let observed = with(vec![job("job"), job("a")]).with(|it| {
        it.status = concluded();
        it.identity = enrolled();
    });
    assert!(matches!(next(&Desired { attempt: 2, ..desired() }, &observed), Step::WriteAhead(..)));
}

#[test]
fn expired_link_by_server_clock_is_not_adopted() {
    let expired = CredentialBindingJob { expire_time: Some("2025-12-29T12:00:00Z".to_owned()), ..job("a") };
    assert!(matches!(next(&desired(), &with(vec![expired.clone()])), Step::WriteAhead(..)));
    let timeless = || {
        let mut observed = with(vec![expired.clone()]);
        let Fact::Known(listed) = &mut observed.jobs else { panic!() };
        listed.server_time = None;
        observed
    };
    let mut observed = timeless();
    assert_eq!(fetched(&next(&desired(), &observed)), "a");
    observed.read.insert("a".to_owned(), read(expired.clone()));
    assert!(matches!(next(&desired(), &observed), Step::WriteAhead(..)), "the read has a server time");
    let mut observed = timeless();
    observed.read.insert("a".to_owned(), Some(ReadJob { item: expired.clone(), server_time: None }));
    assert_eq!(adopted(&next(&desired(), &observed)), "a");
    let complete = CredentialBindingJob { state: Some("COMPLETE".into()), ..expired };
    assert_eq!(fetched(&next(&desired(), &with(vec![complete]))), "a", "a passkey does not expire");
}

#[test]
fn candidates_are_read_in_batches_and_never_twice() {
    let ids: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    let mut observed = unlimited(with(ids.iter().map(|id| job(id)).collect()));
    let mut reconciles = 1;
    let step = loop {
        match next(&desired(), &observed) {
            Step::Fetch(Query::Job(_, JobRef { job_id, .. })) => {
                assert!(!observed.read_before.contains_key(&job_id), "{job_id} is read twice");
                observed.read.insert(job_id.clone(), read(in_state(&job_id, "EXPIRED")));
            }
            step @ Step::End(_) => {
                assert!(matches!(phase_of(&step), Phase::Progressing(why) if why.reason == Reason::Sending));
                assert_eq!(requeue_of(&step), Requeue::After(Duration::from_secs(1)));
                assert_eq!(observed.read.len(), 16);
                reconciles += 1;
                let status = observed.status.clone();
                observed.read_before = observed.cannot_be_adopted(&status, "EMAIL");
                observed.read.clear();
            }
            step => break step,
        }
    };
    assert!(matches!(step, Step::WriteAhead(..)), "{step:?}");
    assert_eq!(reconciles, 7);
}
