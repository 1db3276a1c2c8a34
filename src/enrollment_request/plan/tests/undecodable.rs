//! A request that this version cannot decode.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::enrollment_request::testing::{concluded, job, send};

fn undecodable() -> Desired {
    // If these fields counted, a link would be revoked and an email sent.
    desired().with(|it| {
        it.lifecycle.undecodable = Some("spec.x: expected y".to_owned());
        it.revoked = true;
        it.attempt = 7;
    })
}

fn with(status: EnrollmentRequestStatus) -> Known {
    prepared().with(|it| it.status = status)
}

#[test]
fn undecodable_spec_waits_for_a_change_in_any_status() {
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..concluded() };
    for observed in [with(EnrollmentRequestStatus::default()), with(concluded()), with(in_doubt), Known::default()] {
        let step = next(&undecodable(), &observed);
        assert!(matches!(phase_of(&step), Phase::Refused(why) if why.reason == Reason::NotDecodable));
        assert!(matches!(step, Step::End(End { requeue: Requeue::OnChange, .. })), "{step:?}");
    }
}

#[test]
fn outcome_of_a_send_is_recorded() {
    let with_record = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let created = with(with_record.clone()).with(|it| it.object.sent = sent(Outcome::Done(job("job"))));
    assert!(matches!(next(&undecodable(), &created), Step::Record(_)));
    let refused = with(with_record.clone()).with(|it| it.object.sent = sent(Outcome::NotDone(failure())));
    assert!(matches!(next(&undecodable(), &refused), Step::Withdraw { .. }));
    let unknown = with(with_record).with(|it| it.object.sent = sent(Outcome::InDoubt));
    assert_eq!(reason(&next(&undecodable(), &unknown)), Reason::NotDecodable);
}

#[test]
fn deletion_follows_the_status() {
    let in_deletion = undecodable().with(|it| it.lifecycle.deleted_at = Some(now()));
    let observed = with(concluded()).with(|it| it.job_known_for = TIMES.settle);
    assert!(matches!(next(&in_deletion, &observed), Step::Act(Action::Revoke(..))));
    let kept = in_deletion.clone().with(|it| it.lifecycle.orphan = true);
    assert!(matches!(next(&kept, &observed), Step::RemoveFinalizer { leftover: Some(Leftover::Retained(_)) }));
    assert_eq!(next(&in_deletion, &with(EnrollmentRequestStatus::default())), Step::RemoveFinalizer { leftover: None });
}
