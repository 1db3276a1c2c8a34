//! A configuration that the spec names by its id: taken over, or only observed.

use super::*;

const ID: &str = "4e129fc8";

fn managed() -> Desired {
    Desired { resource_id: Some(ID.to_owned()), ..desired() }
}

fn observing() -> Desired {
    Desired { observe: true, ..managed() }
}

/// A new object in an open realm that has this under the id.
fn named(current: Option<RemoteConfig>) -> Observed {
    Observed { destination: at(home()), ..fresh() }.reading(ID, current)
}

fn somebodys() -> RemoteConfig {
    RemoteConfig { display_name: Some("Theirs".to_owned()), ..ours(ID) }
}

fn not_allowed() -> Option<Phase> {
    Some(Phase::Blocked(why(Reason::ResourceIDNotAllowed, "no")))
}

#[test]
fn it_is_read_by_its_id_and_taken_without_a_list() {
    for desired in [managed(), observing()] {
        let unread = Observed { destination: at(home()), ..fresh() };
        assert_eq!(plan(&desired, &Observed { destination: Fact::Unknown, ..fresh() }, &TIMES), ask_realm());
        assert_eq!(plan(&desired, &unread, &TIMES), read(ID));
        for current in [somebodys(), ours(ID)] {
            assert_eq!(recorded(plan(&desired, &named(Some(current)), &TIMES)), (take(ID, None), None));
        }
    }
}

#[test]
fn what_is_managed_gets_the_mark_and_what_is_observed_does_not() {
    let step = plan(&managed(), &made(Some(somebodys())), &TIMES);
    assert!(matches!(step, Step::Patch(_, patch) if patch.display_name == Some(desired().display_name)));
    for current in [somebodys(), changed(ID), strangers(ID)] {
        let step = plan(&observing(), &made(Some(current)), &TIMES);
        assert_eq!(waits(&step), (Reason::Available, RESYNC), "and it may be shared");
    }
}

#[test]
fn one_that_is_not_there_is_not_made() {
    for desired in [managed(), observing()] {
        let step = plan(&desired, &named(None), &TIMES);
        assert!(matches!(said(&step), Phase::Blocked(_)));
        assert_eq!(waits(&step), (Reason::ConfigurationNotFound, RESYNC));
        // Nor is it made again.
        let mut gone = Observed { listed: list(&[], 0), ..made(None) };
        let (change, _) = recorded(plan(&desired, &gone, &TIMES));
        assert!(change.apply(&mut gone.status));
        assert_eq!(waits(&plan(&desired, &gone, &TIMES)).0, Reason::ConfigurationNotFound);
    }
}

#[test]
fn anothers_is_not_taken_but_may_be_observed() {
    let step = plan(&managed(), &named(Some(strangers(ID))), &TIMES);
    assert!(matches!(said(&step), Phase::Blocked(_)));
    assert_eq!(waits(&step), (Reason::ConfigurationInUse, RESYNC));
    assert!(said(&step).why().message.contains(&Mark::of("demo", "identity", "another").to_string()));
    assert_eq!(recorded(plan(&observing(), &named(Some(strangers(ID))), &TIMES)), (take(ID, None), None));
}

#[test]
fn one_of_another_type_is_neither_taken_nor_observed() {
    let mut console = somebodys();
    console.config.get_or_insert_default().insert("type".to_owned(), serde_json::json!("console"));
    for desired in [managed(), observing()] {
        let step = plan(&desired, &named(Some(console.clone())), &TIMES);
        assert!(matches!(said(&step), Phase::Refused(_)));
        assert_eq!(waits(&step), (Reason::TypeMismatch, RESYNC));
    }
}

#[test]
fn where_the_provider_config_does_not_allow_it_nothing_is_read_taken_changed_or_deleted() {
    let unread = Observed { no_resource_ids: not_allowed(), destination: at(home()), ..fresh() };
    assert_eq!(waits(&plan(&managed(), &unread, &TIMES)), (Reason::ResourceIDNotAllowed, RESYNC));
    assert_eq!(plan(&observing(), &unread, &TIMES), read(ID), "it may be observed");
    assert_eq!(next(&unread), Step::Learn(Question::Configs), "it is about nothing else");

    let taken = Observed { no_resource_ids: not_allowed(), ..made(Some(changed(ID))) };
    let changed = Desired { generation: 2, ..managed() };
    assert_eq!(waits(&plan(&changed, &taken, &TIMES)).0, Reason::ResourceIDNotAllowed);
    assert_eq!(plan(&managed(), &taken, &TIMES), Step::Wait(Wait { say: None, until: RESYNC }));
    let deleted = Desired { deleted_at: deleting().deleted_at, ..managed() };
    assert_eq!(waits(&plan(&deleted, &taken, &TIMES)).0, Reason::DeletionBlocked);
    let overdue = Observed { patience: Duration::ZERO, ..taken };
    assert!(matches!(plan(&deleted, &overdue, &TIMES), Step::Release { left: Some(_) }));
}

#[test]
fn for_a_namespace_that_is_not_allowed_none_is_taken() {
    let not_allowed = Some(Phase::Blocked(why(Reason::NamespaceNotAllowed, "no")));
    let observed = Observed { not_allowed, ..named(Some(somebodys())) };
    for desired in [managed(), observing()] {
        assert_eq!(waits(&plan(&desired, &observed, &TIMES)).0, Reason::NamespaceNotAllowed);
    }
}
