//! The resend annotation requests another email for an inactive link.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::RESEND;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::testing::{concluded, job};

/// A request with an expired link, and all facts that a send requires.
fn expired() -> Known {
    let status = EnrollmentRequestStatus { state: Some("EXPIRED".to_owned()), ..concluded() };
    prepared().with(|it| it.status = status)
}

fn with_resend(value: &str) -> Desired {
    Desired { annotation_actions: actions(RESEND, value), ..desired() }
}

#[test]
fn resend_after_expiry_keeps_the_attempt() {
    let mut observed = expired();
    observed.status.attempt = Some(3);
    let Step::WriteAhead(record, _) = next(&with_resend("job/EXPIRED"), &observed) else { panic!("not sent") };
    assert_eq!(
        (record.attempt, record.resend_of.as_deref()),
        (3, Some("job")),
        "the attempt of the status, not of the spec"
    );
    observed.status.send = Some(*record);
    let conclude =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("next")), answered: true, others: vec![] };
    assert!(conclude.apply(&mut observed.status));
    let status = &observed.status;
    assert_eq!((status.attempt, status.job_id.as_deref()), (Some(3), Some("next")));
    let earlier: Vec<_> = status.previous_jobs.iter().map(|it| (it.id.as_str(), it.state.as_deref())).collect();
    assert_eq!(earlier, [("job", Some("EXPIRED"))]);
    assert!(!is_pending(&with_resend("job/EXPIRED"), status), "the annotation is handled");
    observed.status.state = Some("EXPIRED".to_owned());
    assert!(!is_pending(&with_resend("job/EXPIRED"), &observed.status), "it applies to no other job");
}

#[test]
fn resend_requires_current_job_and_state() {
    for value in ["job/LINK_SENT", "job/REVOKED", "another/EXPIRED", "job", ""] {
        assert!(matches!(next(&with_resend(value), &expired()), Step::Fetch(_)), "{value}: the job is polled");
    }
    let active = prepared().with(|it| it.status = concluded());
    for value in ["job/EXPIRED", "job/LINK_SENT"] {
        assert!(matches!(next(&with_resend(value), &active), Step::Fetch(_)), "{value}: the link is active");
    }
}

#[test]
fn raised_attempt_supersedes_the_resend() {
    let Step::WriteAhead(record, _) = next(&Desired { attempt: 2, ..with_resend("job/EXPIRED") }, &expired()) else {
        panic!("not sent")
    };
    assert_eq!((record.attempt, record.resend_of), (2, None));
}

#[test]
fn resend_requires_a_fresh_object_and_no_revocation() {
    let revoked = Desired { revoked: true, ..with_resend("job/EXPIRED") };
    assert!(!is_pending(&revoked, &expired().status));
    assert_eq!(next(&with_resend("job/EXPIRED"), &expired().with(|it| it.object.fresh = false)), Step::Refresh);
    let in_deletion = with_resend("job/EXPIRED").with(|it| it.lifecycle.deleted_at = Some(now()));
    assert!(!matches!(next(&in_deletion, &expired()), Step::WriteAhead(..)));
}

#[test]
fn blocked_resend_is_reported_for_a_settled_generation() {
    let seen = EnrollmentRequestStatus { observed_generation: Some(1), ..expired().status };
    let held_back = Failure::not_its_turn(Duration::from_secs(5));
    let observed = expired().with(|it| {
        it.status = seen;
        it.object.realms = resolved_realms(Fact::Failed(held_back));
    });
    assert_eq!(reason(&next(&with_resend("job/EXPIRED"), &observed)), Reason::RateLimited);
    assert!(matches!(next(&desired(), &observed), Step::End(End { phase: None, .. })));
}
