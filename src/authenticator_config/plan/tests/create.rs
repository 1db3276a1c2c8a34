//! Rule `create`: use the ticket and record the outcome.

use super::*;

/// An object with its record, after the recorded call.
fn after(outcome: Outcome<RemoteConfig>) -> Known {
    in_doubt(&[], 0).with(|it| {
        it.object.sent = created(outcome);
        it.listed = Fact::Unknown;
    })
}

#[test]
fn ticket_is_used_first() {
    assert_eq!(next(&in_doubt(&[], 0).with(|it| it.object.ticket = true)), Step::Send);
    assert_eq!(next(&fresh().with(|it| it.object.ticket = true)), Step::Send);
}

#[test]
fn created_configuration_is_recorded_in_the_realm_of_its_record() {
    let step = next(&after(Outcome::Done(ours("a"))));
    assert_eq!(recorded(step), (created_as("a"), Some(Reason::Available)));
}

#[test]
fn created_configuration_settles_its_own_record_only() {
    let mut observed = after(Outcome::Done(ours("a")));
    observed.status.create = Some(record("another"));
    let (change, _) = recorded(next(&observed));
    assert_eq!(change, created_as("a"));
    assert!(!change.apply(&mut observed.status), "the other record is kept");
}

#[test]
fn failed_create_withdraws_its_record_and_is_reported() {
    for (failure, until) in [(down(), Requeue::Backoff(None)), (refused(), RESYNC)] {
        let reason = failure.why.reason;
        let mut observed = after(Outcome::NotDone(failure));
        assert_eq!(withdrawn(&next(&observed)), Some(reason));
        observed.status.create = None;
        assert_eq!(end_of(&next(&observed)), (reason, until), "not retried in this reconcile");
    }
}

#[test]
fn record_of_another_process_is_not_withdrawn() {
    let mut observed = after(Outcome::NotDone(down()));
    observed.status.create = Some(record("another"));
    assert_eq!(end_of(&next(&observed)), (Reason::ServiceUnavailable, Requeue::Backoff(None)));
}

#[test]
fn create_in_doubt_lists_configurations_at_once() {
    assert_eq!(next(&after(Outcome::InDoubt)), Step::Fetch(Query::Configs));
}

#[test]
fn refusal_is_reported_after_doubt_without_a_loop() {
    let refusal = || Some("409: no".to_owned());
    let mut observed = in_doubt(&[], 0).with(|it| it.object.refusal = refusal());
    assert_eq!(end_of(&next(&observed)).0, Reason::CreateInDoubt, "the configuration is looked up first");
    observed.listed = list(&[], 91);
    assert_eq!(withdrawn(&next(&observed)), Some(Reason::Refused));
    observed.status.create = None;
    assert_eq!(end_of(&next(&observed)), (Reason::Refused, RESYNC));
    observed.object.refusal = None;
    assert!(matches!(next(&observed), Step::WriteAhead(..)), "the next reconcile retries");
    assert_eq!(
        next_in_deletion(&fresh().with(|it| it.object.refusal = refusal())),
        REMOVE_FINALIZER,
        "a refusal does not block deletion"
    );
}
