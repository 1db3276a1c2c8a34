//! Rule `finalize`: the deletion of an object deletes its configuration.

use super::*;

#[test]
fn finalizer_is_removed_if_nothing_was_created() {
    assert_eq!(next_in_deletion(&fresh()), REMOVE_FINALIZER);
    assert_eq!(
        next_in_deletion(&fresh().with(|it| {
            it.object.fresh = false;
            it.object.may_call_service = false;
        })),
        REMOVE_FINALIZER
    );
}

#[test]
fn object_with_only_other_finalizers_is_left_alone() {
    let step = next_in_deletion(&existing(Some(ours("4e129fc8"))).with(|it| it.object.finalizer = false));
    assert_eq!(step, Step::End(End::keeping_conditions(Requeue::OnChange)));
}

#[test]
fn configuration_is_read_before_it_is_deleted() {
    let unresolved = existing(None).with(|it| it.object.realms = resolved_realms(Fact::Unknown));
    let unread = existing(None).with(|it| it.read = Default::default());
    assert_eq!(next_in_deletion(&unresolved), resolve_realm());
    assert_eq!(next_in_deletion(&unread), read("4e129fc8"));
    for current in [ours("4e129fc8"), changed("4e129fc8")] {
        assert_eq!(next_in_deletion(&existing(Some(current))), Step::Act(Action::Delete("4e129fc8".to_owned())));
    }
}

#[test]
fn configuration_without_mark_is_still_deleted() {
    let current = RemoteConfig { display_name: Some("Hosted web".to_owned()), ..ours("4e129fc8") };
    assert_eq!(next_in_deletion(&existing(Some(current))), Step::Act(Action::Delete("4e129fc8".to_owned())));
}

#[test]
fn missing_or_foreign_configuration_is_not_deleted() {
    assert_eq!(next_in_deletion(&existing(Some(marked_by_another("4e129fc8")))), REMOVE_FINALIZER);
    assert_eq!(next_in_deletion(&existing(None)), Step::Fetch(Query::Configs), "a 404 needs a list to confirm it");
    let missing = |configs: &[RemoteConfig]| next_in_deletion(&existing(None).with(|it| it.listed = list(configs, 0)));
    assert!(matches!(missing(&[ours("4e129fc8")]), Step::End(_)));
    assert_eq!(missing(&[ours("another")]), REMOVE_FINALIZER);
}

#[test]
fn orphaned_configuration_is_not_read() {
    let observed = existing(None).with(|it| it.object.realms = resolved_realms(Fact::Unknown));
    let step = next_of(&deleting().with(|it| it.lifecycle.orphan = true), &observed);
    let Step::RemoveFinalizer { leftover: Some(Leftover::Retained(kept)) } = step else { panic!("{step:?}") };
    assert!(kept.contains("configuration 4e129fc8 stays"), "{kept}");
    let nothing = next_of(&deleting().with(|it| it.lifecycle.orphan = true), &fresh());
    assert_eq!(nothing, Step::RemoveFinalizer { leftover: None }, "nothing was created");
}

#[test]
fn finalizer_is_removed_after_delete_is_confirmed() {
    let deleted = |current| existing(current).with(|it| it.deleted = Some(Ok(())));
    assert_eq!(next_in_deletion(&deleted(None)), REMOVE_FINALIZER);
    // A success needs a read to confirm it. A delete that never takes effect blocks for the grace period only.
    let mut observed = deleted(Some(ours("4e129fc8")));
    assert!(matches!(phase_of(&next_in_deletion(&observed)), Phase::Deleting { blocked: true, .. }));
    observed.object.grace_remaining = Duration::ZERO;
    assert!(matches!(next_in_deletion(&observed), Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(_)) }));
}

#[test]
fn blocked_deletion_reports_its_cause_only() {
    let existing = || existing(Some(ours("4e129fc8")));
    let backoff = Requeue::Backoff(None);
    for (observed, reason, until) in [
        (existing().with(|it| it.deleted = Some(Err(refused()))), Reason::DeletionBlocked, RESYNC),
        (existing().with(|it| it.deleted = Some(Err(down()))), Reason::ServiceUnavailable, backoff),
        (
            existing().with(|it| it.object.realms = resolved_realms(Fact::Failed(down()))),
            Reason::ServiceUnavailable,
            backoff,
        ),
        (existing().with(|it| it.object.realms = resolved_realms(at(other_realm()))), Reason::DeletionBlocked, RESYNC),
        (existing().with(|it| it.object.may_call_service = false), Reason::Deleting, backoff),
        (in_doubt(&[], 0), Reason::CreateInDoubt, Requeue::After(Duration::from_secs(31))),
        (in_doubt(&[], 0).with(|it| it.listed = Fact::Failed(down())), Reason::ServiceUnavailable, backoff),
        (
            in_doubt(&[], 0).with(|it| it.object.realms = resolved_realms(at(other_realm()))),
            Reason::DeletionBlocked,
            RESYNC,
        ),
        (
            existing().with(|it| it.object.realms = resolved_realms(Fact::Failed(blocked()))),
            Reason::DeletionBlocked,
            backoff,
        ),
        (existing().with(|it| it.referrers = Fact::Failed(down())), Reason::ServiceUnavailable, backoff),
    ] {
        let step = next_in_deletion(&observed);
        assert!(matches!(phase_of(&step), Phase::Deleting { .. }), "{step:?}");
        assert_eq!(end_of(&step), (reason, until), "{observed:?}");
    }
    let step = next_in_deletion(&existing().with(|it| it.deleted = Some(Err(refused()))));
    let message = phase_of(&step).why().message.clone();
    assert!(message.ends_with("in Beyond Identity yet: an application still uses it"), "{message}");
}

#[test]
fn blocked_deletion_is_retried_by_end_of_grace_period() {
    let remaining = Duration::from_secs(20);
    let observed = existing(Some(ours("4e129fc8"))).with(|it| {
        it.deleted = Some(Err(refused()));
        it.object.grace_remaining = remaining;
    });
    assert_eq!(end_of(&next_in_deletion(&observed)), (Reason::DeletionBlocked, Requeue::After(remaining)));
}

#[test]
fn finalizer_is_removed_after_grace_period_with_a_report() {
    let existing = || existing(Some(ours("4e129fc8")));
    let not_deleted =
        "Finalizer removed after the grace period, but authenticator configuration 4e129fc8 is not deleted";
    let doubt = "Finalizer removed after the grace period, but it is not known whether the authenticator \
                 configuration was created";
    for (observed, begin, end) in [
        (existing().with(|it| it.deleted = Some(Err(refused()))), not_deleted, "an application still uses it"),
        (existing().with(|it| it.object.realms = resolved_realms(Fact::Failed(blocked()))), not_deleted, "no Secret"),
        (existing().with(|it| it.object.realms = resolved_realms(at(other_realm()))), not_deleted, ""),
        (in_doubt(&[], 0).with(|it| it.object.realms = resolved_realms(Fact::Failed(blocked()))), doubt, "no Secret"),
    ] {
        let step = next_in_deletion(&observed.with(|it| it.object.grace_remaining = Duration::ZERO));
        let Step::RemoveFinalizer { leftover: Some(Leftover::NotRemoved(left)) } = step else {
            panic!("no leftover is reported: {step:?}")
        };
        assert!(left.starts_with(begin) && left.ends_with(end), "{left}");
    }
}

#[test]
fn outage_and_referrers_block_deletion_without_limit() {
    let existing = || existing(Some(ours("4e129fc8"))).with(|it| it.object.grace_remaining = Duration::ZERO);
    let referrers = Fact::Known(vec!["jane".to_owned()]);
    for observed in [
        existing().with(|it| it.deleted = Some(Err(down()))),
        existing().with(|it| it.object.realms = resolved_realms(Fact::Failed(down()))),
        existing().with(|it| it.referrers = referrers),
    ] {
        assert!(
            matches!(phase_of(&next_in_deletion(&observed)), Phase::Deleting { blocked: false, .. }),
            "{observed:?}"
        );
    }
}

#[test]
fn deletion_waits_for_referrers_before_any_remote_call() {
    let used_by = |users: &[&str]| {
        let referrers = Fact::Known(users.iter().map(|user| (*user).to_owned()).collect());
        existing(None).with(|it| {
            it.referrers = referrers;
            it.object.realms = resolved_realms(Fact::Unknown);
            it.read = Default::default();
        })
    };
    let unknown = used_by(&[]).with(|it| it.referrers = Fact::Unknown);
    assert_eq!(next_in_deletion(&unknown), Step::Fetch(Query::Referrers));
    assert_eq!(next_in_deletion(&used_by(&[])), resolve_realm());
    for (users, named) in [
        (&["jane"][..], "referenced by EnrollmentRequest jane;"),
        (&["a", "b", "c"], "referenced by EnrollmentRequest a, b, c;"),
        (&["a", "b", "c", "d"], "referenced by EnrollmentRequest a, b, c and others;"),
    ] {
        let step = next_in_deletion(&used_by(users));
        assert_eq!(end_of(&step), (Reason::InUse, RESYNC));
        assert!(phase_of(&step).why().message.contains(named), "{step:?}");
    }
    let nothing = used_by(&["jane"]).with(|it| it.status = AuthenticatorConfigStatus::default());
    assert_eq!(next_in_deletion(&nothing), REMOVE_FINALIZER, "there is no configuration to refer to");
}

#[test]
fn orphan_and_observe_ignore_referrers() {
    let used = || {
        existing(None).with(|it| {
            it.referrers = Fact::Unknown;
            it.object.realms = resolved_realms(Fact::Unknown);
            it.object.may_call_service = false;
        })
    };
    let kept = next_of(&deleting().with(|it| it.lifecycle.orphan = true), &used());
    assert!(matches!(kept, Step::RemoveFinalizer { leftover: Some(Leftover::Retained(_)) }), "{kept:?}");
    assert_eq!(next_of(&Desired { observe: true, ..deleting() }, &used()), REMOVE_FINALIZER);
}

#[test]
fn orphaning_waits_until_every_list_shows_the_configuration() {
    let orphan = |observed: &Known| next_of(&deleting().with(|it| it.lifecycle.orphan = true), observed);
    let young = || existing(None).with(|it| it.known_for = Duration::from_secs(10));
    for observed in [young(), young().with(|it| it.listed = list(&[ours("4e129fc8")], 0))] {
        assert_eq!(end_of(&orphan(&observed)), (Reason::Deleting, Requeue::After(Duration::from_secs(50))));
    }
    let doubt = orphan(&in_doubt(&[], 0));
    assert_eq!(end_of(&doubt).0, Reason::CreateInDoubt, "a create in doubt is settled first");
}

#[test]
fn deletion_settles_a_create_in_doubt_first() {
    let mut observed = in_doubt(&[ours("a")], 0).reading("a", Some(ours("a")));
    observed.referrers = Fact::Known(Vec::new());
    let (change, _) = recorded(next_in_deletion(&observed));
    assert!(change.apply(&mut observed.status));
    assert_eq!(next_in_deletion(&observed), Step::Act(Action::Delete("a".to_owned())));

    let mut observed = in_doubt(&[], 91);
    assert_eq!(withdrawn(&next_in_deletion(&observed)), None);
    observed.status.create = None;
    assert_eq!(next_in_deletion(&observed), REMOVE_FINALIZER);
}

#[test]
fn deletion_continues_if_status_is_unwritable() {
    let found = || in_doubt(&[ours("4e129fc8")], 0).reading("4e129fc8", Some(ours("4e129fc8")));
    assert!(matches!(next_in_deletion(&found()), Step::Record(..)));
    let kept = found().with(|it| it.object.unwritable = Some(unwritable()));
    assert_eq!(end_of(&next(&kept)), (Reason::StatusNotStored, Requeue::After(Duration::from_secs(40))));
    let referrers = Fact::Known(Vec::new());
    let unwritable = found().with(|it| {
        it.object.unwritable = Some(unwritable());
        it.referrers = referrers;
    });
    assert_eq!(next_in_deletion(&unwritable), Step::Act(Action::Delete("4e129fc8".to_owned())));
    let mut missing = unwritable.with(|it| it.deleted = Some(Ok(()))).reading("4e129fc8", None);
    assert!(matches!(next_in_deletion(&missing), Step::End(_)), "another configuration may still appear");
    missing.listed = list(&[ours("4e129fc8")], 500);
    assert_eq!(next_in_deletion(&missing), REMOVE_FINALIZER);
}

#[test]
fn undecodable_management_policy_retains_and_reports() {
    let undecodable = deleting().with(|it| {
        it.observe = true;
        it.lifecycle.undecodable = Some("managementPolicy".to_owned());
    });
    let step = next_of(&undecodable, &existing(None));
    assert!(
        matches!(step, Step::RemoveFinalizer { leftover: Some(Leftover::Retained(what)) } if what.contains("4e129fc8"))
    );
}
