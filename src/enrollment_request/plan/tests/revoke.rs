//! Rule `revoke`: active links that must be revoked.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::REVOKE;
use crate::api::enrollment_request::PreviousJob;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::step::{Action, JobRef, Query};
use crate::enrollment_request::testing::{concluded, job, send};

pub(super) fn reference(id: &str) -> JobRef {
    JobRef { endpoint: Some(ENDPOINT.to_owned()), ..JobRef::new("9ca7716e846cfa97", id) }
}

pub(super) fn previous(id: &str, state: &str) -> PreviousJob {
    let JobRef { identity_id, job_id: id, endpoint, .. } = reference(id);
    let state = Some(state.to_owned());
    let (expired, adopted_through_observe, delivery_method) = (None, None, None);
    PreviousJob { id, identity_id, endpoint, state, expired, adopted_through_observe, delivery_method }
}

/// A request with an active link, known for the settle time.
pub(super) fn settled() -> Known {
    fresh().with(|it| {
        it.status = concluded();
        it.job_known_for = TIMES.settle;
        it.object.realms = resolved_realms(known_destination());
    })
}

/// Recent refusals to revoke these jobs.
pub(super) fn refused(jobs: &[&str]) -> BTreeMap<String, String> {
    jobs.iter().map(|job| ((*job).to_owned(), format!("{job}: 403"))).collect()
}

/// The job is not found by its id, and a list of its identity's jobs confirms that.
pub(super) fn not_found(mut observed: Known, job: &str) -> Known {
    observed.revoked.insert(job.to_owned());
    observed.read.insert(job.to_owned(), None);
    let recognized = Fact::Known(Recognized { identity: true, config: false });
    observed.recognized.insert("9ca7716e846cfa97".to_owned(), recognized);
    observed.listed.insert(job.to_owned(), Fact::Known(false));
    observed
}

pub(super) fn revoked_job(id: &str) -> CredentialBindingJob {
    CredentialBindingJob { state: Some("REVOKED".into()), ..job(id) }
}

fn revoked() -> Desired {
    Desired { revoked: true, ..desired() }
}

#[test]
fn job_is_revoked_then_read_then_recorded() {
    for desired in [revoked(), deleting()] {
        let mut observed = settled();
        observed.object.fresh = false;
        assert_eq!(next(&desired, &observed), Step::Refresh);
        observed.object.fresh = true;
        assert_eq!(next(&desired, &observed), Step::Act(Action::Revoke(provider_ref(), reference("job"))));
        observed.revoked.insert("job".to_owned());
        assert_eq!(next(&desired, &observed), Step::Fetch(Query::Job(provider_ref(), reference("job"))));
        observed.read.insert("job".to_owned(), read(revoked_job("job")));
        let Step::Record(change) = next(&desired, &observed) else { panic!() };
        assert!(change.apply(&mut observed.status));
        let phase = change.phase(&observed.input(&desired));
        assert!(
            matches!(phase, Some(Phase::Revoked { asked: true, .. })) != desired.lifecycle.is_deleting(),
            "{phase:?}"
        );
    }
}

#[test]
fn accepted_revocation_is_polled_until_it_shows() {
    let mut observed = settled();
    observed.revoked.insert("job".to_owned());
    observed.read.insert("job".to_owned(), read(job("job")));
    let step = next(&revoked(), &observed);
    assert!(matches!(phase_of(&step), Phase::Progressing(_)));
    assert_eq!(requeue_of(&step), Requeue::Backoff(None));
}

#[test]
fn earlier_link_is_revoked_only_after_the_next_send() {
    let mut observed = settled();
    observed.status.previous_jobs = vec![previous("expired", "EXPIRED"), previous("old", "LINK_SENT")];
    assert_eq!(next(&desired(), &observed), Step::Act(Action::Revoke(provider_ref(), reference("old"))));
    observed = not_found(observed, "old");
    let Step::Record(change) = next(&desired(), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    assert_eq!(observed.status.previous_jobs, [previous("expired", "EXPIRED")]);
    let raised = Desired { attempt: 2, ..desired() };
    let pending = prepared().with(|it| it.status = concluded());
    assert!(
        matches!(next(&raised, &pending), Step::WriteAhead(..)),
        "the old link stays active until the new one is sent"
    );
}

#[test]
fn job_in_a_final_state_is_not_revoked() {
    for state in ["COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
        let status = EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() };
        let observed = settled().with(|it| it.status = status);
        assert!(!matches!(next(&revoked(), &observed), Step::Act(Action::Revoke(..))), "{state}");
        assert_eq!(next(&deleting(), &observed), Step::RemoveFinalizer { leftover: None }, "{state}");
    }
}

#[test]
fn refused_revocation_does_not_stop_polling() {
    let observed = settled().with(|it| it.revoke_refused = refused(&["job"]));
    assert_eq!(next(&revoked(), &observed), Step::Fetch(Query::Job(provider_ref(), reference("job"))));
}

#[test]
fn refused_revocation_is_retried_at_resync_interval() {
    let complete = EnrollmentRequestStatus {
        state: Some("COMPLETE".to_owned()),
        previous_jobs: vec![previous("old", "LINK_SENT")],
        ..concluded()
    };
    let step = next(
        &desired(),
        &settled().with(|it| {
            it.status = complete;
            it.revoke_refused = refused(&["old"]);
        }),
    );
    assert!(matches!(phase_of(&step), Phase::Complete(_)));
    assert_eq!(requeue_of(&step), Requeue::After(TIMES.resync));
}

#[test]
fn outage_delays_revocation_and_shutdown_prevents_it() {
    let step = next(&deleting(), &settled().with(|it| it.job_failures = [("job".to_owned(), failure())].into()));
    assert!(matches!(phase_of(&step), Phase::Deleting { blocked: false, .. }));
    assert!(matches!(next(&revoked(), &settled().with(|it| it.object.may_call_service = false)), Step::End(_)));
}

/// A request with an active link and two active links of earlier attempts.
pub(super) fn three_links() -> Known {
    let mut observed = settled();
    observed.status.previous_jobs = vec![previous("b", "LINK_SENT"), previous("c", "LINK_OPENED")];
    observed
}

#[test]
fn failed_revocation_does_not_block_other_jobs() {
    let raised = Desired { attempt: 2, ..desired() };
    for stuck in ["b", "c"] {
        let other = if stuck == "b" { "c" } else { "b" };
        let mut refused_one = three_links().with(|it| it.revoke_refused = refused(&[stuck]));
        let mut failing = three_links().with(|it| it.job_failures = [(stuck.to_owned(), failure())].into());
        let mut accepted = three_links();
        accepted.revoked.insert(stuck.to_owned());
        let still_out = CredentialBindingJob {
            state: Some(if stuck == "b" { "LINK_SENT" } else { "LINK_OPENED" }.into()),
            ..job(stuck)
        };
        accepted.read.insert(stuck.to_owned(), read(still_out));
        for observed in [&mut refused_one, &mut failing, &mut accepted] {
            for desired in [desired(), deleting(), raised.clone()] {
                assert_eq!(
                    next(&desired, observed),
                    Step::Act(Action::Revoke(provider_ref(), reference(other))),
                    "{desired:?}"
                );
            }
            let current = not_found(std::mem::take(observed), other);
            let Step::Record(change) = next(&deleting(), &current) else { panic!() };
            let mut current = current;
            assert!(change.apply(&mut current.status));
            assert_eq!(
                next(&deleting(), &current),
                Step::Act(Action::Revoke(provider_ref(), reference("job"))),
                "the current job too"
            );
        }
    }
}

#[test]
fn earlier_links_are_revoked_while_the_next_attempt_is_blocked() {
    let raised = Desired { attempt: 2, ..desired() };
    let suspended = Fact::Known(Some(identity(r#"{"primary_email_address": "jane@example.com"}"#, "suspended")));
    let mut observed = prepared().with(|it| {
        it.status = three_links().status;
        it.identity = suspended;
    });
    assert_eq!(next(&raised, &observed), Step::Act(Action::Revoke(provider_ref(), reference("b"))));
    observed.revoke_refused = refused(&["b", "c"]);
    let step = next(&raised, &observed);
    assert_eq!(
        (reason(&step), requeue_of(&step)),
        (Reason::IdentityNotActive, Requeue::Backoff(None)),
        "refused revocations do not block the attempt"
    );
}

#[test]
fn revocation_by_404_requires_a_list_of_a_recognized_service() {
    for (desired, settles) in [(deleting(), Step::RemoveFinalizer { leftover: None }), (revoked(), Step::Refresh)] {
        let mut observed = not_found(settled(), "job");
        observed.recognized.clear();
        observed.listed.clear();
        assert!(matches!(next(&desired, &observed), Step::Fetch(Query::Recognize(..))));
        let recognize = |identity, config| Fact::Known(Recognized { identity, config });
        let id = || "9ca7716e846cfa97".to_owned();
        observed.recognized.insert(id(), recognize(true, false));
        assert_eq!(next(&desired, &observed), Step::Fetch(Query::IsListed(provider_ref(), reference("job"))));
        observed.listed.insert("job".to_owned(), Fact::Known(true));
        assert!(matches!(next(&desired, &observed), Step::End(_)), "the job is still listed");
        observed.listed.insert("job".to_owned(), Fact::Failed(failure()));
        assert!(matches!(next(&desired, &observed), Step::End(_)));
        observed.listed.insert("job".to_owned(), Fact::Known(false));
        let then = next(&desired, &observed);
        assert!(then == settles || (!desired.lifecycle.is_deleting() && reason(&then) == Reason::Revoked), "{then:?}");
        observed.recognized.insert(id(), recognize(false, true));
        observed.listed.clear();
        assert!(next(&desired, &observed) == then, "a removed identity has no jobs");
        observed.recognized.insert(id(), recognize(false, false));
        let step = next(&desired, &observed);
        assert!(phase_of(&step).why().message.contains("may be another service"), "{step:?}");
    }
}

#[test]
fn too_many_active_links_block_a_send() {
    let raised = Desired { attempt: 2, ..desired() };
    let with = |count: usize| {
        let ids: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let mut observed = prepared().with(|it| it.status = concluded());
        observed.status.previous_jobs = ids.iter().map(|id| previous(id, "LINK_SENT")).collect();
        observed.revoke_refused = refused(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        next(&raised, &observed)
    };
    assert!(matches!(with(15), Step::WriteAhead(..)), "16 links including the current one");
    let step = with(16);
    assert!(matches!(phase_of(&step), Phase::Blocked(why) if why.reason == Reason::TooManyActiveLinks));
}

#[test]
fn unneeded_send_slot_is_released_by_a_refresh() {
    let cached = settled().with(|it| {
        it.object.fresh = false;
        it.holds_send_slot = true;
    });
    assert_eq!(next(&desired(), &cached), Step::Refresh);
    assert!(!matches!(next(&desired(), &cached.with(|it| it.object.fresh = true)), Step::Refresh));
}

/// The API server refuses a status with more than 64 previous jobs, and the outcome of a send would be lost.
#[test]
fn previous_jobs_stay_within_the_schema_when_expired_links_cannot_be_revoked() {
    let mut status = concluded();
    for attempt in 0..80 {
        status.expired = Some(true);
        status.send = Some(send());
        let (send_id, job) = ("nonce".to_owned(), Box::new(job(&attempt.to_string())));
        assert!(Change::Conclude { send_id, job, answered: true, others: vec![] }.apply(&mut status));
        assert!(status.previous_jobs.len() <= 16, "{attempt}: {}", status.previous_jobs.len());
    }
    assert!(
        status.previous_jobs.iter().all(|job| job.state.as_deref() == Some("LINK_SENT")),
        "no service revoked them"
    );
}

#[test]
fn previous_jobs_are_bounded_but_keep_active_links() {
    let mut status = concluded();
    status.previous_jobs = (0..16).map(|n| previous(&n.to_string(), "EXPIRED")).collect();
    status.previous_jobs[15].state = Some("LINK_SENT".to_owned());
    status.send = Some(send());
    let conclude =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("next")), answered: true, others: vec![] };
    assert!(conclude.apply(&mut status));
    let ids: Vec<_> = status.previous_jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.len(), 17, "one link is active");
    assert_eq!((ids[0], ids[16]), ("job", "15"));
    status.previous_jobs[16].state = Some("REVOKED".to_owned());
    status.send = Some(send());
    assert!(conclude.apply(&mut status), "the same job concludes again");
    assert_eq!(status.previous_jobs.len(), 17, "a job is not added to its own history");
    status.send = Some(send());
    let after =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("after")), answered: true, others: vec![] };
    assert!(after.apply(&mut status));
    assert_eq!(status.previous_jobs.len(), 16);
}

#[test]
fn revoke_annotation_revokes_only_the_named_job() {
    let annotated = |job: &str| Desired { annotation_actions: actions(REVOKE, job), ..desired() };
    assert_eq!(next(&annotated("job"), &settled()), Step::Act(Action::Revoke(provider_ref(), reference("job"))));
    assert_eq!(next(&annotated("another"), &settled()), Step::Fetch(Query::Job(provider_ref(), reference("job"))));
    for state in ["COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
        let status = EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() };
        assert!(
            !matches!(next(&annotated("job"), &settled().with(|it| it.status = status)), Step::Act(Action::Revoke(..))),
            "{state}"
        );
    }
    assert!(!to_revoke(&annotated("job"), &concluded()).is_empty() && is_pending(&annotated("job"), &concluded()));
    assert!(to_revoke(&annotated("another"), &concluded()).is_empty());

    let mut observed = settled();
    observed.revoked.insert("job".to_owned());
    observed.read.insert("job".to_owned(), read(revoked_job("job")));
    let Step::Record(change) = next(&annotated("job"), &observed) else { panic!() };
    assert!(change.apply(&mut observed.status));
    let phase = change.phase(&observed.input(&annotated("job")));
    assert!(matches!(phase, Some(Phase::Revoked { asked: true, .. })), "{phase:?}");
}

#[test]
fn revoke_annotation_precedes_a_raised_attempt() {
    let both = Desired { annotation_actions: actions(REVOKE, "job"), attempt: 2, ..desired() };
    let mut observed = prepared().with(|it| it.status = concluded());
    assert_eq!(next(&both, &observed), Step::Act(Action::Revoke(provider_ref(), reference("job"))));
    observed.revoke_refused = refused(&["job"]);
    assert!(matches!(next(&both, &observed), Step::WriteAhead(..)), "a refused revocation does not block the send");
    let in_doubt = settled().with(|it| it.status = EnrollmentRequestStatus { send: Some(send()), ..concluded() });
    assert!(!matches!(next(&both, &in_doubt), Step::Act(Action::Revoke(..))), "doubt is settled first");
}

#[test]
fn blocked_revocation_of_an_earlier_link_does_not_stop_polling() {
    let blocked = Failure::blocked(Reason::Unauthorized, "401");
    let mut observed = settled();
    observed.status.previous_jobs = vec![previous("old", "LINK_SENT")];
    observed.job_failures = [("old".to_owned(), blocked)].into();
    assert_eq!(next(&desired(), &observed), Step::Act(Action::CannotRevoke(reference("old"), "401".to_owned())));
    observed.revoke_refused = refused(&["old"]);
    assert!(matches!(next(&desired(), &observed), Step::Fetch(Query::Job(..))), "the current job is polled");
}

#[test]
fn revoking_an_expired_link_does_not_delay_deletion() {
    let mut observed = settled().with(|it| it.revoke_refused = refused(&["old"]));
    observed.status.state = Some("COMPLETE".to_owned());
    observed.status.previous_jobs = vec![PreviousJob { expired: Some(true), ..previous("old", "LINK_SENT") }];
    assert_eq!(next(&deleting(), &observed), Step::RemoveFinalizer { leftover: None });
    observed.revoke_refused.clear();
    let Step::Act(Action::Revoke(_, job)) = next(&deleting(), &observed) else { panic!() };
    assert!(job.expired);
}
