//! A request that this version cannot decode.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::enrollment_request::testing::{concluded, job, send};

fn undecodable() -> Desired {
    // By this, if it counted, a link would be revoked, and an email sent.
    Desired { undecodable: Some("in spec.x y was expected".to_owned()), revoked: true, attempt: 7, ..desired() }
}

fn with(status: EnrollmentRequestStatus) -> Observed {
    Observed { status, ..prepared() }
}

#[test]
fn nothing_is_done_by_it_whatever_its_status_is_and_it_waits_for_a_change() {
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..concluded() };
    for observed in [with(EnrollmentRequestStatus::default()), with(concluded()), with(in_doubt), Observed::default()] {
        let step = next(&undecodable(), &observed);
        assert!(matches!(said(&step), Phase::Refused(why) if why.reason == Reason::NotDecodable));
        assert!(matches!(step, Step::Wait(Wait { until: Until::Change, .. })), "{step:?}");
    }
}

#[test]
fn what_came_of_a_send_is_written_down_all_the_same() {
    let standing = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let told = Observed { sent: sent(Outcome::Done(job("job"))), ..with(standing.clone()) };
    assert!(matches!(next(&undecodable(), &told), Step::Record(_)));
    let refused = Observed { sent: sent(Outcome::NotDone(trouble())), ..with(standing.clone()) };
    assert!(matches!(next(&undecodable(), &refused), Step::Withdraw { .. }));
    let unknown = Observed { sent: sent(Outcome::InDoubt), ..with(standing) };
    assert_eq!(reason(&next(&undecodable(), &unknown)), Reason::NotDecodable);
}

#[test]
fn its_deletion_goes_by_the_status() {
    let leaving = Desired { deleting: true, ..undecodable() };
    let observed = Observed { job_known_for: TIMES.settle, ..with(concluded()) };
    assert!(matches!(next(&leaving, &observed), Step::Revoke(..)));
    let kept = Desired { orphan: true, ..leaving.clone() };
    assert!(matches!(next(&kept, &observed), Step::Release { left: Some(Left::Kept(_)) }));
    assert_eq!(next(&leaving, &with(EnrollmentRequestStatus::default())), Step::Release { left: None });
}
