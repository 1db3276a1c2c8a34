//! Revoke, and leave: links that are out and should not be.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::enrollment_request::PreviousJob;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::plan::{has_to_revoke, is_anything_owed};
use crate::enrollment_request::step::{JobRef, Question};
use crate::enrollment_request::testing::{concluded, job, send};
use crate::enrollment_request::wishes::REVOKE;

fn reference(id: &str) -> JobRef {
    JobRef { identity_id: "9ca7716e846cfa97".to_owned(), job_id: id.to_owned() }
}

fn previous(id: &str, state: &str) -> PreviousJob {
    let JobRef { identity_id, job_id: id } = reference(id);
    PreviousJob { id, identity_id, state: Some(state.to_owned()) }
}

/// A request whose job is out, known for longer than a list may lag.
fn settled() -> Observed {
    Observed { status: concluded(), job_known_for: TIMES.settle, realm: Fact::Known(home()), ..fresh() }
}

fn dead(id: &str) -> CredentialBindingJob {
    CredentialBindingJob { state: Some("REVOKED".into()), ..job(id) }
}

fn revoked() -> Desired {
    Desired { revoked: true, ..desired() }
}

#[test]
fn a_job_is_revoked_then_read_then_written_down() {
    for desired in [revoked(), deleting()] {
        let mut observed = settled();
        observed.fresh = false;
        assert_eq!(next(&desired, &observed), Step::Refresh);
        observed.fresh = true;
        assert_eq!(next(&desired, &observed), Step::Revoke(reference("job")));
        observed.revoked.insert("job".to_owned());
        assert_eq!(next(&desired, &observed), Step::Learn(Question::Job(reference("job"))));
        observed.read.insert("job".to_owned(), Some(dead("job")));
        let Step::Record(change) = next(&desired, &observed) else { panic!() };
        assert!(change.apply(&mut observed.status));
        let phase = change.phase(&observed.status, &desired);
        assert!(matches!(phase, Some(Phase::Revoked { asked: true, .. })) != desired.deleting, "{phase:?}");
    }
}

#[test]
fn a_job_that_does_not_show_its_revocation_yet_is_asked_about_again() {
    let mut observed = settled();
    observed.revoked.insert("job".to_owned());
    observed.read.insert("job".to_owned(), Some(job("job")));
    let step = next(&revoked(), &observed);
    assert!(matches!(said(&step), Phase::AtWork(_)));
    assert_eq!(until(&step), Until::Backoff(None));
}

#[test]
fn an_earlier_job_whose_link_is_out_is_revoked_once_a_later_one_stands_and_not_before() {
    let mut observed = settled();
    observed.status.previous_jobs = vec![previous("dead", "EXPIRED"), previous("old", "LINK_SENT")];
    assert_eq!(next(&desired(), &observed), Step::Revoke(reference("old")));
    observed.revoked.insert("old".to_owned());
    observed.read.insert("old".to_owned(), None);
    let Step::Record(change) = next(&desired(), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    assert_eq!(observed.status.previous_jobs, [previous("dead", "EXPIRED")]);
    let raised = Desired { attempt: 2, ..desired() };
    let owed = Observed { status: concluded(), ..prepared() };
    assert!(matches!(next(&raised, &owed), Step::WriteAhead(..)), "the old link lives until the new one is sent");
}

#[test]
fn a_job_that_is_not_outstanding_is_left_alone() {
    for state in ["COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
        let status = EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() };
        let observed = Observed { status, ..settled() };
        assert!(!matches!(next(&revoked(), &observed), Step::Revoke(_)), "{state}");
        assert_eq!(next(&deleting(), &observed), Step::Release { left: None }, "{state}");
    }
}

#[test]
fn a_refused_revocation_does_not_hide_how_the_job_gets_on() {
    let observed = Observed { revoke_refused: Some("403".to_owned()), ..settled() };
    assert_eq!(next(&revoked(), &observed), Step::Learn(Question::Job(reference("job"))));
}

#[test]
fn a_refused_revocation_is_tried_again_at_the_resync_interval_however_far_the_next_look_is() {
    let complete = EnrollmentRequestStatus {
        state: Some("COMPLETE".to_owned()),
        previous_jobs: vec![previous("old", "LINK_SENT")],
        ..concluded()
    };
    let step = next(&desired(), &Observed { status: complete, revoke_refused: Some("403".to_owned()), ..settled() });
    assert!(matches!(said(&step), Phase::Complete(_)));
    assert_eq!(until(&step), Until::After(TIMES.resync));
}

#[test]
fn an_outage_is_waited_for_and_nothing_is_revoked_by_a_process_that_is_ending() {
    let step = next(&deleting(), &Observed { job_trouble: Some(trouble()), ..settled() });
    assert!(matches!(said(&step), Phase::Deleting { blocked: false, .. }));
    assert!(matches!(next(&revoked(), &Observed { may_write: false, ..settled() }), Step::Wait(_)));
}

#[test]
fn what_is_orphaned_is_let_go_with_its_link() {
    let orphan = Desired::orphaned_by(deleting(), true);
    let Step::Release { left: Some(Left::Kept(kept)) } = next(&orphan, &settled()) else { panic!() };
    assert!(kept.starts_with("the link of credential binding job job stays valid"), "{kept}");
    let dead =
        Observed { status: EnrollmentRequestStatus { state: Some("EXPIRED".to_owned()), ..concluded() }, ..settled() };
    assert_eq!(next(&orphan, &dead), Step::Release { left: None }, "nothing is left");
}

#[test]
fn a_deletion_that_somebody_has_to_help_waits_for_the_grace_period_and_then_says_what_is_left() {
    let mut observed = Observed { revoke_refused: Some("403".to_owned()), ..settled() };
    let step = next(&deleting(), &observed);
    assert!(matches!(said(&step), Phase::Deleting { why, blocked: true } if why.reason == Reason::DeletionBlocked));
    observed.patience = Duration::ZERO;
    let Step::Release { left: Some(Left::Behind(left)) } = next(&deleting(), &observed) else { panic!() };
    assert!(left.contains("the link of credential binding job job is not revoked yet: 403"), "{left}");
}

#[test]
fn a_request_is_let_go_only_when_a_list_has_shown_its_last_job_or_must_have() {
    let status = EnrollmentRequestStatus { state: Some("REVOKED".to_owned()), ..concluded() };
    let young = || Observed { status: status.clone(), job_known_for: Duration::from_secs(10), ..settled() };
    assert_eq!(next(&deleting(), &young()), Step::Learn(Question::Jobs("9ca7716e846cfa97".to_owned())));
    let hidden = Observed { jobs: Fact::Known(listed(vec![], 0)), ..young() };
    assert_eq!(until(&next(&deleting(), &hidden)), Until::After(Duration::from_secs(50)));
    let shown = Observed { jobs: Fact::Known(listed(vec![dead("job")], 0)), ..young() };
    assert_eq!(next(&deleting(), &shown), Step::Release { left: None });
    let unknown = Observed { jobs: Fact::Failed(trouble()), ..young() };
    assert_eq!(
        until(&next(&deleting(), &unknown)),
        Until::After(Duration::from_secs(50)),
        "no list is needed for ever"
    );
}

#[test]
fn a_request_that_is_being_deleted_is_let_go_once() {
    assert_eq!(next(&deleting(), &fresh()), Step::Release { left: None });
    let without = Observed { finalizer: false, ..settled() };
    assert_eq!(next(&deleting(), &without), Step::Wait(Wait { say: None, until: Until::Change }));
}

#[test]
fn the_earlier_jobs_are_kept_the_newest_first_and_one_whose_link_is_out_for_as_long_as_it_is() {
    let mut status = concluded();
    status.previous_jobs = (0..16).map(|n| previous(&n.to_string(), "EXPIRED")).collect();
    status.previous_jobs[15].state = Some("LINK_SENT".to_owned());
    status.send = Some(send());
    let conclude = Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("next")), others: vec![] };
    assert!(conclude.apply(&mut status));
    let ids: Vec<_> = status.previous_jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.len(), 17, "one of them is out");
    assert_eq!((ids[0], ids[16]), ("job", "15"));
    status.previous_jobs[16].state = Some("REVOKED".to_owned());
    status.send = Some(send());
    assert!(conclude.apply(&mut status), "the same job again");
    assert_eq!(status.previous_jobs.len(), 17, "it does not step back behind itself");
    status.send = Some(send());
    let after = Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("after")), others: vec![] };
    assert!(after.apply(&mut status));
    assert_eq!(status.previous_jobs.len(), 16);
}

#[test]
fn the_job_that_an_annotation_names_is_revoked_and_no_other() {
    let asked = |job: &str| Desired { wishes: wishes(REVOKE, job), ..desired() };
    assert_eq!(next(&asked("job"), &settled()), Step::Revoke(reference("job")));
    assert_eq!(next(&asked("another"), &settled()), Step::Learn(Question::Job(reference("job"))));
    for state in ["COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
        let status = EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() };
        assert!(!matches!(next(&asked("job"), &Observed { status, ..settled() }), Step::Revoke(_)), "{state}");
    }
    assert!(has_to_revoke(&asked("job"), &concluded()) && is_anything_owed(&asked("job"), &concluded()));
    assert!(!has_to_revoke(&asked("another"), &concluded()));

    let mut observed = settled();
    observed.revoked.insert("job".to_owned());
    observed.read.insert("job".to_owned(), Some(dead("job")));
    let Step::Record(change) = next(&asked("job"), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    let phase = change.phase(&observed.status, &asked("job"));
    assert!(matches!(phase, Some(Phase::Revoked { asked: true, .. })), "{phase:?}");
}

#[test]
fn a_link_that_an_annotation_names_dies_before_a_raised_attempt_is_sent_and_does_not_keep_it_from_that() {
    let both = Desired { wishes: wishes(REVOKE, "job"), attempt: 2, ..desired() };
    let mut observed = Observed { status: concluded(), ..prepared() };
    assert_eq!(next(&both, &observed), Step::Revoke(reference("job")));
    observed.revoke_refused = Some("403".to_owned());
    assert!(matches!(next(&both, &observed), Step::WriteAhead(..)), "it cannot be revoked");
    let in_doubt = Observed { status: EnrollmentRequestStatus { send: Some(send()), ..concluded() }, ..settled() };
    assert!(!matches!(next(&both, &in_doubt), Step::Revoke(_)), "the doubt is settled first");
}
