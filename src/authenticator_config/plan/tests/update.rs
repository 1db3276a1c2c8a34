//! Rule `update`: patch the recorded configuration to match the spec.

use serde_json::json;

use super::*;
use crate::authenticator_config::observed::Patched;

/// The next step after a change of the spec that is not reconciled yet.
fn next_of_generation_2(observed: &Known) -> Step {
    next_of(&desired().with(|it| it.lifecycle.generation = 2), observed)
}

#[test]
fn compared_generation_makes_no_call() {
    let left = Duration::from_secs(7);
    let compared = existing(None).with(|it| {
        it.compared = Some(left);
        it.object.fresh = false;
    });
    let unresolved = existing(None).with(|it| {
        it.compared = Some(left);
        it.object.realms = resolved_realms(Fact::Unknown);
    });
    assert_eq!(next(&unresolved), resolve_realm(), "only whether its settings are allowed is checked");
    let step = next(&compared);
    assert_eq!(end_of(&step), (Reason::Available, Requeue::After(left)), "until the next comparison");
}

#[test]
fn realm_and_configuration_are_read_otherwise() {
    assert_eq!(next(&existing(None).with(|it| it.object.realms = resolved_realms(Fact::Unknown))), resolve_realm());
    assert_eq!(next(&existing(None).with(|it| it.read = Default::default())), read("4e129fc8"));
}

#[test]
fn equal_configuration_is_not_patched() {
    assert_eq!(end_of(&next(&existing(Some(ours("4e129fc8"))))), (Reason::Available, RESYNC));
}

#[test]
fn drift_is_patched_once() {
    let differs = || existing(Some(changed("4e129fc8")));
    let Step::Act(Action::Patch(id, patch)) = next(&differs()) else { panic!("not a patch") };
    assert_eq!(id, "4e129fc8");
    assert_eq!(json!(patch), json!({"config": {"type": "hosted_web", "trusted_origins": ["https://a.example.com"]}}));
    let step = next(&differs().with(|it| it.patched = Some(Ok(None))));
    assert_eq!(end_of(&step), (Reason::Available, RESYNC));
}

#[test]
fn object_is_refreshed_before_patch_and_delete() {
    let cached = || existing(Some(changed("4e129fc8"))).with(|it| it.object.fresh = false);
    assert_eq!(next(&cached()), Step::Refresh);
    assert_eq!(next_in_deletion(&cached()), Step::Refresh);
}

#[test]
fn missing_mark_is_restored() {
    let current = RemoteConfig { display_name: Some("Hosted web".to_owned()), ..ours("4e129fc8") };
    let Step::Act(Action::Patch(_, patch)) = next(&existing(Some(current))) else { panic!("not a patch") };
    assert_eq!(json!(patch), json!({"display_name": desired().display_name}));
}

#[test]
fn failed_patch_is_reported() {
    for (failure, until) in [(down(), Requeue::Backoff(None)), (refused(), RESYNC)] {
        let reason = failure.why.reason;
        let observed = existing(Some(changed("4e129fc8"))).with(|it| it.patched = Some(Err(failure)));
        assert_eq!(end_of(&next(&observed)), (reason, until));
    }
}

#[test]
fn shutdown_prevents_patch() {
    let step = next(&existing(Some(changed("4e129fc8"))).with(|it| it.object.may_call_service = false));
    assert_eq!(end_of(&step), (Reason::Updating, Requeue::Backoff(None)));
}

#[test]
fn missing_configuration_is_forgotten_and_recreated() {
    let mut observed = existing(None);
    assert_eq!(next(&observed), Step::Fetch(Query::Configs), "a 404 needs a list to confirm it");
    let unlisted = existing(None).with(|it| it.listed = Fact::Failed(down()));
    assert!(matches!(next(&unlisted), Step::End(End { phase: None, .. })), "conditions are kept");
    let disagreeing = existing(None).with(|it| it.listed = list(&[ours("4e129fc8")], 0));
    assert!(matches!(next(&disagreeing), Step::End(End { phase: None, requeue: RESYNC, .. })));
    observed.listed = list(&[ours("another")], 0);
    let (change, reason) = recorded(next(&observed));
    assert_eq!((&change, reason), (&Change::Forget { id: "4e129fc8".to_owned() }, None));
    assert!(change.apply(&mut observed.status));
    observed.listed = Fact::Unknown;
    assert_eq!(next(&observed), Step::Fetch(Query::Configs));
}

#[test]
fn configuration_marked_by_another_object_is_not_patched() {
    let step = next(&existing(Some(marked_by_another("4e129fc8"))));
    assert!(matches!(phase_of(&step), Phase::Blocked(_)));
    assert_eq!(end_of(&step), (Reason::ConfigurationInUse, Requeue::Backoff(None)));
    let other_mark = OwnershipMark::of("demo", "identity", "another").to_string();
    let message = phase_of(&step).why().message.clone();
    assert!(message.contains(&other_mark) && message.contains("remove the mark from the display name"), "{message}");
}

#[test]
fn configuration_of_another_type_is_not_patched() {
    let mut embedded = ours("4e129fc8");
    embedded.config.get_or_insert_default().insert("type".to_owned(), json!("embedded"));
    let step = next(&existing(Some(embedded)));
    assert!(matches!(phase_of(&step), Phase::Refused(_)));
    assert_eq!(end_of(&step), (Reason::TypeMismatch, RESYNC));
}

#[test]
fn blocked_update_backs_off_until_grace_period_then_resyncs() {
    let backoff = Requeue::Backoff(None);
    for (remaining, until) in [(TIMES.grace, backoff), (Duration::from_secs(1), backoff), (Duration::ZERO, RESYNC)] {
        let step =
            next(&existing(Some(marked_by_another("4e129fc8"))).with(|it| it.object.grace_remaining = remaining));
        assert_eq!(end_of(&step), (Reason::ConfigurationInUse, until));
    }
}

#[test]
fn disallowed_namespace_keeps_settled_conditions_and_patches_nothing() {
    let not_allowed = || Some(Failure::blocked(Reason::NamespaceNotAllowed, "no"));
    let settled = existing(Some(ours("4e129fc8"))).with(|it| it.realm().permissions.not_allowed = not_allowed());
    assert_eq!(end_of(&next(&settled)), (Reason::Available, RESYNC));
    let drifted = existing(Some(changed("4e129fc8"))).with(|it| it.realm().permissions.not_allowed = not_allowed());
    assert_eq!(requeue_keeping_conditions(&next(&drifted)), RESYNC);
    assert_eq!(end_of(&next_of_generation_2(&drifted)).0, Reason::NamespaceNotAllowed);
}

#[test]
fn other_realm_is_reported_and_not_accessed() {
    let step =
        next(&existing(Some(changed("4e129fc8"))).with(|it| it.object.realms = resolved_realms(at(other_realm()))));
    assert_eq!(end_of(&step), (Reason::RealmChanged, RESYNC));
}

#[test]
fn failed_read_is_reported_for_a_new_generation_only() {
    let unresolved = existing(None).with(|it| it.object.realms = resolved_realms(Fact::Failed(down())));
    let mut unread = existing(None);
    unread.read.insert("4e129fc8".to_owned(), Fact::Failed(down()));
    for observed in [unresolved, unread] {
        let until = Requeue::Backoff(None);
        assert_eq!(requeue_keeping_conditions(&next(&observed)), until, "a settled object keeps its conditions");
        assert_eq!(end_of(&next_of_generation_2(&observed)), (Reason::ServiceUnavailable, until));
    }
    let blocked = existing(None).with(|it| it.object.realms = resolved_realms(Fact::Failed(blocked())));
    assert_eq!(requeue_keeping_conditions(&next(&blocked)), RESYNC, "a fix enqueues the object");
    assert_eq!(end_of(&next_of_generation_2(&blocked)).0, Reason::SecretNotFound);
}

#[test]
fn other_endpoint_can_confirm_a_move_but_not_absence() {
    let other_endpoint =
        || Fact::Known(Destination { realm: realm_ids(), endpoint: "https://another.example.com".to_owned() });
    let status = || AuthenticatorConfigStatus { endpoint: Some(ENDPOINT.to_owned()), ..existing(None).status };
    let missing = existing(None).with(|it| {
        it.object.realms = resolved_realms(other_endpoint());
        it.status = status();
        it.listed = list(&[], 0);
    });
    assert_eq!(end_of(&next(&missing)).0, Reason::EndpointChanged);
    assert!(matches!(phase_of(&next_in_deletion(&missing)), Phase::Deleting { blocked: true, .. }));
    let mut found = existing(Some(ours("4e129fc8"))).with(|it| {
        it.object.realms = resolved_realms(other_endpoint());
        it.status = status();
    });
    let (change, _) = recorded(next(&found));
    assert!(change.apply(&mut found.status));
    assert_eq!(found.status.endpoint.as_deref(), Some("https://another.example.com"));
}

#[test]
fn value_that_the_answer_shows_otherwise_is_recorded_with_a_note() {
    let with = |origin: &str| {
        let mut config = ours("4e129fc8");
        config.config.get_or_insert_default().insert("trusted_origins".to_owned(), json!([origin]));
        config
    };
    let kept = with("https://b.example.com");
    let mut known = existing(Some(changed("4e129fc8")));
    let Step::Act(Action::Patch(_, sent)) = next(&known) else { panic!("not a patch") };
    known = known.reading("4e129fc8", Some(kept.clone())).with(|it| {
        it.patched = Some(Ok(Some(Patched { sent: *sent, shown: kept.clone() })));
    });
    let (change, reason) = recorded(next(&known));
    let Change::OtherValues { note: Some(note), .. } = &change else { panic!("no note: {change:?}") };
    assert!(note.contains("[\"https://a.example.com\"] and is kept as [\"https://b.example.com\"]"), "{note}");
    assert_eq!(reason, None);
    assert!(change.apply(&mut known.status));
    assert_eq!(end_of(&next(&known)), (Reason::Available, RESYNC), "it is recorded once");

    let later = existing(Some(kept)).with(|it| it.status = known.status.clone());
    assert_eq!(end_of(&next(&later)), (Reason::Available, RESYNC), "and not sent again");
    let another = existing(Some(with("https://c.example.com"))).with(|it| it.status = known.status.clone());
    assert!(matches!(next(&another), Step::Act(Action::Patch(..))), "another writer's value is drift");
    assert!(Change::Forget { id: "4e129fc8".to_owned() }.apply(&mut known.status));
    assert_eq!(known.status.other_values, []);
    assert!(!change.apply(&mut known.status), "it is about another configuration");
}

#[test]
fn value_that_is_only_read_is_drift() {
    let known = existing(Some(changed("4e129fc8"))).with(|it| it.patched = Some(Ok(None)));
    assert_eq!(end_of(&next(&known)), (Reason::Available, RESYNC), "the answer does not show the configuration");
    assert!(matches!(next(&existing(Some(changed("4e129fc8")))), Step::Act(Action::Patch(..))));
}
