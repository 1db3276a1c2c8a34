//! Create: the ticket is used, and what came of it is written down.

use super::*;

/// An object whose record stands, after the call that it announced.
fn after(outcome: Outcome<RemoteConfig>) -> Known {
    in_doubt(&[], 0).with(|it| {
        it.object.sent = created(outcome);
        it.listed = Fact::Unknown;
    })
}

#[test]
fn a_ticket_is_used_before_anything_else() {
    assert_eq!(next(&in_doubt(&[], 0).with(|it| it.object.ticket = true)), Step::Send);
    assert_eq!(next(&fresh().with(|it| it.object.ticket = true)), Step::Send);
}

#[test]
fn what_was_made_is_taken_where_its_record_said() {
    let step = next(&after(Outcome::Done(ours("a"))));
    assert_eq!(recorded(step), (made_of("a"), Some(Reason::Available)));
}

#[test]
fn what_was_made_is_taken_for_its_own_record_only() {
    let mut observed = after(Outcome::Done(ours("a")));
    observed.status.create = Some(record("another"));
    let (change, _) = recorded(next(&observed));
    assert_eq!(change, made_of("a"));
    assert!(!change.apply(&mut observed.status), "so the other record stays");
}

#[test]
fn what_was_surely_not_made_is_withdrawn_and_said() {
    for (failure, until) in [(down(), Requeue::Backoff(None)), (refused(), RESYNC)] {
        let reason = failure.why.reason;
        let mut observed = after(Outcome::NotDone(failure));
        assert_eq!(withdrawn(&next(&observed)), Some(reason));
        observed.status.create = None;
        assert_eq!(waits(&next(&observed)), (reason, until), "and not tried again in this look");
    }
}

#[test]
fn the_record_of_somebody_else_is_not_withdrawn() {
    let mut observed = after(Outcome::NotDone(down()));
    observed.status.create = Some(record("another"));
    assert_eq!(waits(&next(&observed)), (Reason::ServiceUnavailable, Requeue::Backoff(None)));
}

#[test]
fn what_may_have_been_made_is_looked_for_at_once() {
    assert_eq!(next(&after(Outcome::InDoubt)), Step::Fetch(Query::Configs));
}

#[test]
fn a_refusal_is_said_once_the_doubt_is_settled_and_is_no_loop() {
    let refusal = || Some("409: no".to_owned());
    let mut observed = in_doubt(&[], 0).with(|it| it.object.refusal = refusal());
    assert_eq!(waits(&next(&observed)).0, Reason::CreateInDoubt, "first it is looked for");
    observed.listed = list(&[], 91);
    assert_eq!(withdrawn(&next(&observed)), Some(Reason::Refused));
    observed.status.create = None;
    assert_eq!(waits(&next(&observed)), (Reason::Refused, RESYNC));
    observed.object.refusal = None;
    assert!(matches!(next(&observed), Step::WriteAhead(..)), "the next look tries again");
    assert_eq!(next_in_deletion(&fresh().with(|it| it.object.refusal = refusal())), RELEASE, "it holds up no deletion");
}
