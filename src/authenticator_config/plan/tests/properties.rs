//! Properties of every plan, over all combinations of a few values for each fact.

use super::*;
use crate::api::conditions::conditions;
use crate::api::phase::why;

/// Every combination of spec, status and facts, without a ticket.
fn all() -> Vec<(Desired, Known)> {
    let forgotten = AuthenticatorConfigStatus { id: None, ..recorded_status() };
    let statuses = [AuthenticatorConfigStatus::default(), in_doubt_status(), recorded_status(), forgotten];
    let outcomes =
        [None, created(Outcome::Done(ours("4e129fc8"))), created(Outcome::NotDone(down())), created(Outcome::InDoubt)];
    let lists = [Fact::Unknown, list(&[], 91), list(&[ours("4e129fc8")], 0)];
    let reads = [
        None,
        Some(Fact::Known(None)),
        Some(Fact::Known(Some(changed("4e129fc8")))),
        Some(Fact::Known(Some(marked_by_another("4e129fc8")))),
    ];
    let destinations = [Fact::Unknown, at(realm_ids()), at(other_realm())];
    let (desired, deleting) = (desired(), deleting());
    let named = Desired { resource_id: Some("4e129fc8".to_owned()), ..desired.clone() };
    let observing = Desired { observe: true, ..named.clone() };
    let in_deletion =
        |desired: &Desired| desired.clone().with(|it| it.lifecycle.deleted_at = deleting.lifecycle.deleted_at);
    let desired = [&desired, &named, &observing].map(|desired| [desired.clone(), in_deletion(desired)]);
    let mut all = Vec::new();
    for status in &statuses {
        for created in &outcomes {
            for listed in &lists {
                for read in &reads {
                    for destination in &destinations {
                        for bits in 0..32_u32 {
                            let bit = |n: u32| bits & (1 << n) != 0;
                            let observed = fresh().with(|it| {
                                it.status = status.clone();
                                (it.object.fresh, it.object.finalizer, it.object.may_call_service) =
                                    (bit(0), bit(1), bit(2));
                                it.compared = (bit(3) && status.id.is_some()).then_some(TIMES.resync);
                                // Reuses bit 0: freshness and referrers are independent.
                                it.referrers = Fact::Known(if bit(0) { vec!["jane".to_owned()] } else { Vec::new() });
                                it.object.realms = resolved_realms(destination.clone());
                                it.listed = listed.clone();
                                it.read = read.iter().map(|read| ("4e129fc8".to_owned(), read.clone())).collect();
                                it.object.sent = created.clone();
                                it.object.refusal = (bit(3) && status.id.is_none()).then(|| "409: no".to_owned());
                            });
                            // The outcome of a create does not depend on `resourceID`.
                            let specs = if created.is_some() { &desired[..1] } else { &desired[..] };
                            all.extend(specs.iter().map(|spec| (spec[usize::from(bit(4))].clone(), observed.clone())));
                        }
                    }
                }
            }
        }
    }
    all
}

/// The members of [`all`] whose step matches `about`, each with its step. At least one must match.
fn steps(about: impl Fn(&Step) -> bool) -> Vec<(Desired, Known, Step)> {
    let steps: Vec<_> = all()
        .into_iter()
        .map(|(desired, observed)| {
            let step = next_of(&desired, &observed);
            (desired, observed, step)
        })
        .filter(|(.., step)| about(step))
        .collect();
    assert!(!steps.is_empty(), "no step matches: the property is vacuous");
    steps
}

#[test]
fn shutdown_starts_no_remote_write() {
    for (_, observed, step) in steps(|step| {
        matches!(step, Step::WriteAhead(..) | Step::Act(Action::Patch(..)) | Step::Act(Action::Delete(_)) | Step::Send)
    }) {
        assert!(observed.object.may_call_service, "{step:?} for {observed:?}");
    }
}

#[test]
fn create_record_requires_all_preconditions() {
    for (desired, observed, step) in steps(|step| matches!(step, Step::WriteAhead(..))) {
        assert!(!desired.lifecycle.is_deleting(), "not in deletion: {observed:?}");
        assert!(observed.object.finalizer && observed.object.fresh, "{observed:?}");
        assert_eq!(observed.status.create, None, "not while a create is in doubt: {observed:?}");
        assert_eq!(observed.status.id, None, "not if one is recorded: {observed:?}");
        assert!(matches!(observed.listed, Fact::Known(_)), "not without a list: {observed:?}");
        assert!(matches!(step, Step::WriteAhead(record, _) if record.id == observed.object.nonce));
    }
}

#[test]
fn create_requires_a_ticket_and_a_ticket_is_used_first() {
    for (desired, observed, step) in steps(|_| true) {
        assert_ne!(step, Step::Send, "{observed:?}");
        assert_eq!(next_of(&desired, &observed.with(|it| it.object.ticket = true)), Step::Send);
    }
}

#[test]
fn patch_and_delete_target_the_recorded_id_only_if_owned() {
    let read = Fact::Known(Some(changed("4e129fc8")));
    for (desired, observed, step) in
        steps(|step| matches!(step, Step::Act(Action::Patch(..)) | Step::Act(Action::Delete(_))))
    {
        let (id, is_deletion) = match &step {
            Step::Act(Action::Patch(id, _)) => (id, false),
            Step::Act(Action::Delete(id)) => (id, true),
            other => panic!("{other:?}"),
        };
        assert_eq!(Some(id), observed.status.id.as_ref());
        assert_eq!(desired.lifecycle.is_deleting(), is_deletion);
        assert_eq!(observed.read.get(id), Some(&read), "{step:?}");
        assert_eq!(observed.object.realms, resolved_realms(at(realm_ids())), "{step:?}");
        assert!(!desired.observe, "an observed configuration is not written: {step:?}");
        assert!(observed.object.fresh, "the cache may be stale: {step:?}");
        assert!(!is_deletion || observed.referrers == Fact::Known(Vec::new()), "{step:?} despite referrers");
    }
}

#[test]
fn spec_with_resource_id_creates_nothing() {
    for (desired, ..) in steps(|step| matches!(step, Step::WriteAhead(..))) {
        assert_eq!(desired.resource_id, None);
    }
}

#[test]
fn finalizer_is_removed_only_if_nothing_can_remain() {
    let gone_or_anothers = [Fact::Known(None), Fact::Known(Some(marked_by_another("4e129fc8")))];
    for (desired, observed, step) in steps(|step| matches!(step, Step::RemoveFinalizer { .. })) {
        assert!(desired.lifecycle.is_deleting() && observed.object.finalizer, "{step:?}");
        assert_eq!(observed.status.create, None, "{observed:?}");
        if let (Some(id), false) = (&observed.status.id, desired.observe) {
            assert!(observed.read.get(id).is_some_and(|read| gone_or_anothers.contains(read)), "{observed:?}");
        }
    }
}

#[test]
fn other_realm_than_recorded_is_not_used() {
    for (_, observed, step) in steps(|step| matches!(step, Step::WriteAhead(..) | Step::Fetch(Query::Configs))) {
        let of_status = observed.status.realm_id.as_deref();
        let of_record = observed.status.create.as_ref().map(|record| record.realm_id.as_str());
        let own = of_record.or(of_status);
        let Some(Ok(realm)) = observed.object.realms.get(&provider_ref()) else { panic!("{step:?} without a realm") };
        assert!(own.is_none_or(|own| own == realm.destination.realm.realm_id), "{step:?} for {observed:?}");
    }
}

#[test]
fn recorded_changes_change_the_status() {
    for (_, observed, step) in steps(|step| matches!(step, Step::Record(..))) {
        let Step::Record(change) = step else { panic!("{step:?}") };
        // The outcome of a create is recorded once and then dropped.
        if !matches!(observed.object.sent, Some(Sent { outcome: Outcome::Done(_), .. })) {
            assert!(change.apply(&mut observed.status.clone()), "{change:?} for {observed:?}");
        }
    }
}

#[test]
fn conditions_do_not_affect_the_plan() {
    let available = Phase::Available(why(Reason::Available, "x"));
    let noise = conditions(&available, 7, &[], jiff::Timestamp::UNIX_EPOCH);
    let in_doubt = conditions(&Phase::InDoubt(why(Reason::Creating, "x")), 1, &[], jiff::Timestamp::UNIX_EPOCH);
    for (desired, mut observed, step) in steps(|_| true) {
        for mut other in [noise.clone(), in_doubt.clone()] {
            other.reverse();
            observed.status.conditions = other;
            assert_eq!(next_of(&desired, &observed), step);
        }
    }
}
