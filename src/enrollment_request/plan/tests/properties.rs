//! Properties of every plan, over all combinations of a few values for each fact.

use super::*;
use crate::api::EnrollmentRequestStatus;
use crate::api::RESEND;
use crate::enrollment_request::testing::{concluded, job, send};

/// Every combination of spec, status and facts.
fn all() -> Vec<(Desired, Known)> {
    let statuses = [
        EnrollmentRequestStatus::default(),
        EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() },
        concluded(),
        EnrollmentRequestStatus { send: Some(send()), ..concluded() },
        EnrollmentRequestStatus { state: Some("EXPIRED".to_owned()), ..concluded() },
    ];
    let sents = [None, sent(Outcome::Done(job("job"))), sent(Outcome::NotDone(failure())), sent(Outcome::InDoubt)];
    let ages = [None, Some(0), Some(31), Some(91)];
    let mut all = Vec::new();
    for status in &statuses {
        for outcome in &sents {
            for age in ages {
                for bits in 0..256_u32 {
                    let bit = |n: u32| bits & (1 << n) != 0;
                    let jobs = age.map(|age| listed(if bit(0) { vec![job("job")] } else { Vec::new() }, age));
                    let observed = prepared().with(|it| {
                        it.status = status.clone();
                        it.object.sent = outcome.clone();
                        it.jobs = jobs.map_or(Fact::Unknown, Fact::Known);
                        it.object.fresh = bit(1);
                        it.object.finalizer = bit(2);
                        it.object.may_call_service = bit(3);
                    });
                    let actions = if bit(7) { actions(RESEND, "job/EXPIRED") } else { AnnotationActions::default() };
                    let attempt = 1 + i64::from(bit(6));
                    let desired = desired().with(|it| {
                        it.lifecycle.deleted_at = bit(4).then(now);
                        it.revoked = bit(5);
                        it.attempt = attempt;
                        it.annotation_actions = actions;
                    });
                    all.push((desired, observed));
                }
            }
        }
    }
    assert_eq!(all.len(), 5 * 4 * 4 * 256);
    all
}

#[test]
fn send_record_requires_all_preconditions() {
    let mut written = 0;
    for (desired, observed) in all() {
        if let Step::WriteAhead(record, _) = next(&desired, &observed) {
            written += 1;
            let context = format!("{observed:?}");
            assert!(!desired.lifecycle.is_deleting(), "not in deletion: {context}");
            assert!(
                observed.object.finalizer && observed.object.fresh && observed.object.may_call_service,
                "{context}"
            );
            assert_eq!(observed.status.send, None, "not while a send is in doubt: {context}");
            let again = desired.annotation_actions.resend_of(&observed.status).is_some();
            let raised = observed.status.attempt < Some(desired.attempt);
            assert!(raised || again, "not for a concluded attempt: {context}");
            assert!(!desired.revoked, "not for a revoked request: {context}");
            assert_eq!(observed.reservation, Fact::Known(key()), "{context}");
            assert!(matches!(observed.jobs, Fact::Known(_)), "not without a list: {context}");
            assert_eq!(record.resend_of.is_some(), !raised, "{context}");
            assert_eq!(record.attempt, desired.attempt);
        }
    }
    assert!(written > 0, "no record is written: the property is vacuous");
}

#[test]
fn send_requires_a_ticket_and_a_ticket_is_used_first() {
    for (desired, observed) in all() {
        assert_ne!(next(&desired, &observed), Step::Send, "{observed:?}");
        assert_eq!(next(&desired, &observed.with(|it| it.object.ticket = true)), Step::Send);
    }
}

#[test]
fn request_in_doubt_keeps_its_finalizer() {
    for (desired, observed) in all() {
        if observed.status.send.is_some() {
            assert!(!matches!(next(&desired, &observed), Step::RemoveFinalizer { .. }), "{observed:?}");
        }
    }
}

#[test]
fn conditions_do_not_affect_the_plan() {
    use crate::api::conditions::conditions;
    let noise = conditions(&Phase::Complete(crate::api::phase::why(Reason::Complete, "x")), 7, &[], now());
    for (desired, mut observed) in all() {
        let without = next(&desired, &observed);
        observed.status.conditions = noise.clone();
        let with = next(&desired, &observed);
        assert_eq!(with, without);
        observed.status.conditions.reverse();
        assert_eq!(next(&desired, &observed), without);
    }
}
