//! Rule `send`: use the ticket and record the outcome.

use super::*;
use crate::enrollment_request::change::Change;
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::testing::{concluded, job, request, send};
use crate::reconcile::WritesAhead;

/// A request with its send record.
fn written() -> Known {
    let mut observed = prepared();
    observed.status.send = Some(send());
    observed
}

fn withdraw(phase: Option<Phase>) -> Step {
    Step::Withdraw { record_id: "nonce".to_owned(), phase }
}

#[test]
fn ticket_is_used_first_even_in_deletion() {
    let observed = written().with(|it| it.object.ticket = true);
    assert_eq!(next(&desired(), &observed), Step::Send);
    assert_eq!(next(&deleting(), &observed), Step::Send);
}

#[test]
fn created_job_concludes_the_attempt() {
    let step = next(&desired(), &written().with(|it| it.object.sent = sent(Outcome::Done(job("job")))));
    let Step::Record(change @ Change::Conclude { .. }) = step else { panic!("{step:?}") };
    let mut status = written().status;
    assert!(change.apply(&mut status));
    assert_eq!((status.attempt, status.job_id.as_deref(), status.send), (Some(1), Some("job"), None));
}

#[test]
fn failed_send_withdraws_its_record_and_backs_off() {
    let not_done = || sent(Outcome::NotDone(Failure { after: Some(Duration::from_secs(7)), ..failure() }));
    assert_eq!(next(&desired(), &written().with(|it| it.object.sent = not_done())), withdraw(Some(failure().phase())));
    let step = next(&desired(), &prepared().with(|it| it.object.sent = not_done()));
    assert_eq!(requeue_of(&step), Requeue::Backoff(Some(Duration::from_secs(7))), "not sent again in this reconcile");
}

#[test]
fn refused_send_is_retried_at_resync_interval() {
    let refused = Failure::refused(Reason::Refused, "no");
    let step = next(&desired(), &prepared().with(|it| it.object.sent = sent(Outcome::NotDone(refused))));
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::Refused, Requeue::After(TIMES.resync)));
}

#[test]
fn send_in_doubt_is_looked_up_and_not_repeated() {
    let observed = written().with(|it| {
        it.object.sent = sent(Outcome::InDoubt);
        it.jobs = Fact::Unknown;
    });
    assert!(matches!(next(&desired(), &observed), Step::Fetch(_)));
}

#[test]
fn refusal_is_reported_after_doubt_is_settled() {
    let jobs = Fact::Known(JobList { lists: 2, ..listed(Vec::new(), 91) });
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
    assert_eq!((reason(&step), requeue_of(&step)), (Reason::Refused, Requeue::After(TIMES.resync)));
}

#[test]
fn conclusion_requires_its_own_record() {
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
fn record_of_another_process_is_kept() {
    let mut observed = written();
    observed.status.send = Some(crate::api::enrollment_request::SendRecord { id: "another".to_owned(), ..send() });
    observed.object.sent = sent(Outcome::NotDone(failure()));
    assert!(matches!(next(&desired(), &observed), Step::End(_)));
    observed.object.sent = sent(Outcome::Done(job("job")));
    let Step::Record(change) = next(&desired(), &observed) else { panic!("the extra job is not recorded") };
    assert!(!change.apply(&mut observed.status));
}
