//! Send: the ticket is used, and what came of it is written down.

use super::*;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::testing::{concluded, job, request, send};
use crate::reconcile::WritesAhead;

/// A request whose record stands.
fn written() -> Known {
    let mut observed = prepared();
    observed.status.send = Some(send());
    observed
}

fn withdraw(phase: Option<Phase>) -> Step {
    Step::Withdraw { record_id: "nonce".to_owned(), phase }
}

#[test]
fn a_ticket_is_used_at_once_even_when_the_request_is_being_deleted() {
    let observed = written().with(|it| it.object.ticket = true);
    assert_eq!(next(&desired(), &observed), Step::Send);
    assert_eq!(next(&deleting(), &observed), Step::Send);
}

#[test]
fn a_job_that_was_made_concludes_the_attempt() {
    let step = next(&desired(), &written().with(|it| it.object.sent = sent(Outcome::Done(job("job")))));
    let Step::Record(change @ Change::Conclude { .. }) = step else { panic!("{step:?}") };
    let mut status = written().status;
    assert!(change.apply(&mut status));
    assert_eq!((status.attempt, status.job_id.as_deref(), status.send), (Some(1), Some("job"), None));
}

#[test]
fn what_was_surely_not_made_is_withdrawn_and_then_backed_off_from() {
    let not_done = || sent(Outcome::NotDone(Failure { after: Some(Duration::from_secs(7)), ..failure() }));
    assert_eq!(next(&desired(), &written().with(|it| it.object.sent = not_done())), withdraw(Some(failure().phase())));
    let step = next(&desired(), &prepared().with(|it| it.object.sent = not_done()));
    assert_eq!(until(&step), Requeue::Backoff(Some(Duration::from_secs(7))), "and not sent again in this look");
}

#[test]
fn a_refusal_is_said_and_tried_again_only_after_the_resync_interval() {
    let refused = Failure::refused(Reason::Refused, "no");
    let step = next(&desired(), &prepared().with(|it| it.object.sent = sent(Outcome::NotDone(refused))));
    assert_eq!((reason(&step), until(&step)), (Reason::Refused, Requeue::After(TIMES.resync)));
}

#[test]
fn an_unclear_answer_is_looked_into_and_never_sent_again() {
    let observed = written().with(|it| {
        it.object.sent = sent(Outcome::InDoubt);
        it.jobs = Fact::Unknown;
    });
    assert!(matches!(next(&desired(), &observed), Step::Fetch(_)));
}

#[test]
fn a_refusal_that_left_a_doubt_is_a_refusal_once_the_doubt_is_settled() {
    let jobs = Fact::Known(Listed { lists: 2, ..listed(Vec::new(), 91) });
    let recognized = Fact::Known(Recognized { identity: true, config: false });
    let recognized = [("9ca7716e846cfa97".to_owned(), recognized)].into();
    let observed = written().with(|it| {
        it.object.refusal = Some("409".to_owned());
        it.jobs = jobs;
        it.recognized = recognized;
    });
    let refused = Phase::Refused(crate::api::phase::why(Reason::Refused, "409"));
    assert_eq!(next(&desired(), &observed), withdraw(Some(refused)));
    let step = next(&desired(), &prepared().with(|it| it.object.refusal = Some("409".to_owned())));
    assert_eq!((reason(&step), until(&step)), (Reason::Refused, Requeue::After(TIMES.resync)));
}

#[test]
fn a_conclusion_applies_only_while_its_own_record_stands() {
    let conclude =
        Change::Conclude { send_id: "nonce".to_owned(), job: Box::new(job("late")), answered: true, others: vec![] };
    let mut another = written().status;
    another.send = Some(crate::api::enrollment_request::SendRecord { id: "another".to_owned(), ..send() });
    for mut status in [concluded(), another] {
        let before = status.clone();
        assert!(!conclude.apply(&mut status));
        let mut object = request("request", status.clone());
        assert!(!object.withdraw("nonce"));
        assert_eq!(status, before);
    }
}

#[test]
fn the_record_of_another_process_is_left_alone() {
    let mut observed = written();
    observed.status.send = Some(crate::api::enrollment_request::SendRecord { id: "another".to_owned(), ..send() });
    observed.object.sent = sent(Outcome::NotDone(failure()));
    assert!(matches!(next(&desired(), &observed), Step::End(_)));
    observed.object.sent = sent(Outcome::Done(job("job")));
    let Step::Record(change) = next(&desired(), &observed) else { panic!("a job too many is told of") };
    assert!(!change.apply(&mut observed.status));
}
