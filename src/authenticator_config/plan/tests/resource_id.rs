//! `spec.resourceID`: the configuration is adopted, or only observed.

use super::*;
use crate::api::config_policy::ConfigPolicy;

const ID: &str = "4e129fc8";

fn managed() -> Desired {
    Desired { resource_id: Some(ID.to_owned()), ..desired() }
}

fn observing() -> Desired {
    Desired { observe: true, ..managed() }
}

/// A new object in a resolved realm. A read by id returns this configuration.
fn named(current: Option<RemoteConfig>) -> Known {
    fresh().with(|it| it.object.realms = resolved_realms(at(realm_ids()))).reading(ID, current)
}

fn unmarked() -> RemoteConfig {
    RemoteConfig { display_name: Some("Theirs".to_owned()), ..ours(ID) }
}

fn not_allowed() -> Option<Failure> {
    Some(Failure::blocked(Reason::ResourceIDNotAllowed, "no"))
}

#[test]
fn configuration_is_read_by_id_and_adopted_without_a_list() {
    for desired in [managed(), observing()] {
        let unread = fresh().with(|it| it.object.realms = resolved_realms(at(realm_ids())));
        assert_eq!(
            next_of(&desired, &fresh().with(|it| it.object.realms = resolved_realms(Fact::Unknown))),
            resolve_realm()
        );
        assert_eq!(next_of(&desired, &unread), read(ID));
        for current in [unmarked(), ours(ID)] {
            assert_eq!(recorded(next_of(&desired, &named(Some(current)))), (take(ID, None), None));
        }
    }
}

#[test]
fn only_managed_configuration_gets_the_mark() {
    let step = next_of(&managed(), &existing(Some(unmarked())));
    assert!(matches!(step, Step::Act(Action::Patch(_, patch)) if patch.display_name == Some(desired().display_name)));
    for current in [unmarked(), changed(ID), marked_by_another(ID)] {
        let step = next_of(&observing(), &existing(Some(current)));
        assert_eq!(end_of(&step), (Reason::Available, RESYNC), "several objects may observe it");
    }
}

#[test]
fn missing_configuration_is_not_created() {
    for desired in [managed(), observing()] {
        let step = next_of(&desired, &named(None));
        assert!(matches!(phase_of(&step), Phase::Blocked(_)));
        assert_eq!(end_of(&step), (Reason::ConfigurationNotFound, Requeue::Backoff(None)));
        // A removed configuration is not recreated.
        let mut missing = existing(None).with(|it| it.listed = list(&[], 0));
        let (change, _) = recorded(next_of(&desired, &missing));
        assert!(change.apply(&mut missing.status));
        assert_eq!(end_of(&next_of(&desired, &missing)).0, Reason::ConfigurationNotFound);
    }
}

#[test]
fn configuration_of_another_object_can_only_be_observed() {
    let step = next_of(&managed(), &named(Some(marked_by_another(ID))));
    assert!(matches!(phase_of(&step), Phase::Blocked(_)));
    assert_eq!(end_of(&step), (Reason::ConfigurationInUse, Requeue::Backoff(None)));
    assert!(phase_of(&step).why().message.contains(&OwnershipMark::of("demo", "identity", "another").to_string()));
    assert_eq!(recorded(next_of(&observing(), &named(Some(marked_by_another(ID))))), (take(ID, None), None));
}

#[test]
fn configuration_of_another_type_is_refused() {
    let mut console = unmarked();
    console.config.get_or_insert_default().insert("type".to_owned(), serde_json::json!("console"));
    for desired in [managed(), observing()] {
        let step = next_of(&desired, &named(Some(console.clone())));
        assert!(matches!(phase_of(&step), Phase::Refused(_)));
        assert_eq!(end_of(&step), (Reason::TypeMismatch, RESYNC));
    }
}

#[test]
fn disallowed_resource_id_blocks_every_managed_step() {
    let unread = fresh().with(|it| {
        it.object.realms = resolved_realms(at(realm_ids()));
        it.realm().permissions.no_resource_ids = not_allowed();
    });
    assert_eq!(end_of(&next_of(&managed(), &unread)), (Reason::ResourceIDNotAllowed, Requeue::Backoff(None)));
    assert_eq!(next_of(&observing(), &unread), read(ID), "observing is allowed");
    assert_eq!(next(&unread), Step::Fetch(Query::Configs), "a spec without a resource id is not affected");

    let taken = existing(Some(changed(ID))).with(|it| it.realm().permissions.no_resource_ids = not_allowed());
    let changed = managed().with(|it| it.lifecycle.generation = 2);
    assert_eq!(end_of(&next_of(&changed, &taken)).0, Reason::ResourceIDNotAllowed);
    assert_eq!(requeue_keeping_conditions(&next_of(&managed(), &taken)), RESYNC);
    let deleted = managed().with(|it| it.lifecycle.deleted_at = deleting().lifecycle.deleted_at);
    assert_eq!(end_of(&next_of(&deleted, &taken)).0, Reason::DeletionBlocked);
    let overdue = taken.with(|it| it.object.grace_remaining = Duration::ZERO);
    assert!(matches!(next_of(&deleted, &overdue), Step::RemoveFinalizer { leftover: Some(_) }));
}

#[test]
fn disallowed_namespace_adopts_nothing() {
    let not_allowed = Some(Failure::blocked(Reason::NamespaceNotAllowed, "no"));
    let observed = named(Some(unmarked())).with(|it| it.realm().permissions.not_allowed = not_allowed);
    for desired in [managed(), observing()] {
        assert_eq!(end_of(&next_of(&desired, &observed)).0, Reason::NamespaceNotAllowed);
    }
}

#[test]
fn settings_that_are_not_allowed_block_every_managed_step() {
    let policy =
        || ConfigPolicy { trusted_origins: Some(Vec::new()), types: Some(Vec::new()), ..ConfigPolicy::default() };
    let backoff = Requeue::Backoff(None);
    for observed in [listed(&[]), listed(&[ours("4e129fc8")]), existing(Some(changed("4e129fc8")))] {
        let observed = observed.with(|it| it.realm().permissions.config_policy = Some(policy()));
        assert_eq!(end_of(&next(&observed)), (Reason::ConfigNotAllowed, backoff), "{observed:?}");
    }
    let compared = existing(None).with(|it| it.compared = Some(Duration::from_secs(9)));
    assert_eq!(end_of(&next(&compared)).0, Reason::Available);
    let compared = compared.with(|it| it.realm().permissions.config_policy = Some(policy()));
    assert_eq!(end_of(&next(&compared)), (Reason::ConfigNotAllowed, backoff), "nothing is sent through it");
    let unresolved = compared.with(|it| it.object.realms = resolved_realms(Fact::Failed(down())));
    assert_eq!(end_of(&next(&unresolved)).0, Reason::Available, "a failure to resolve changes nothing");

    let observed = named(Some(unmarked())).with(|it| it.realm().permissions.config_policy = Some(policy()));
    assert_eq!(recorded(next_of(&observing(), &observed)), (take(ID, None), None), "observing is allowed");
    let deleted = existing(Some(ours("4e129fc8"))).with(|it| it.realm().permissions.config_policy = Some(policy()));
    assert!(!matches!(next_in_deletion(&deleted), Step::End(_)), "it is deleted all the same");
}
