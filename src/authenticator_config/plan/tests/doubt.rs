//! Rule `doubt`: while a record exists nothing is created, and the configuration is looked up by its mark.

use super::*;

#[test]
fn facts_are_fetched_in_order() {
    let unresolved = in_doubt(&[], 0).with(|it| {
        it.object.realms = resolved_realms(Fact::Unknown);
        it.listed = Fact::Unknown;
    });
    assert_eq!(next(&in_doubt(&[], 500).with(|it| it.object.fresh = false)), Step::Refresh);
    assert_eq!(next(&unresolved), resolve_realm());
    assert_eq!(
        next(&unresolved.with(|it| it.object.realms = resolved_realms(at(realm_ids())))),
        Step::Fetch(Query::Configs)
    );
    assert_eq!(next(&in_doubt(&[changed("a"), ours("b")], 0)), read("b"));
}

#[test]
fn listed_configuration_is_adopted_at_any_age_after_a_read() {
    for age in [0, 31, 91] {
        let observed = in_doubt(&[ours("a")], age).reading("a", Some(ours("a")));
        assert_eq!(recorded(next(&observed)), (take("a", Some("nonce")), None), "{age}: comparison is the next step");
    }
}

#[test]
fn listed_configuration_not_found_by_id_counts_as_absent() {
    for (wrong, age) in [(None, 0), (Some(marked_by_another("a")), 90)] {
        let observed = in_doubt(&[ours("a")], age).reading("a", wrong);
        assert_eq!(end_of(&next(&observed)).0, Reason::CreateInDoubt);
    }
    assert_eq!(withdrawn(&next(&in_doubt(&[ours("a")], 91).reading("a", None))), None);
}

#[test]
fn absent_configuration_is_polled_at_timeout_and_settle_time() {
    for (age, pause) in [(0, 31), (30, 1), (31, 60), (90, 1)] {
        let step = next(&in_doubt(&[marked_by_another("a")], age));
        assert!(matches!(phase_of(&step), Phase::InDoubt(_)));
        assert_eq!(end_of(&step), (Reason::CreateInDoubt, Requeue::After(Duration::from_secs(pause))), "{age}");
    }
}

#[test]
fn record_is_withdrawn_if_absent_after_settle_time() {
    assert_eq!(withdrawn(&next(&in_doubt(&[], 91))), None);
}

#[test]
fn failed_list_or_read_settles_no_doubt() {
    let unlisted = in_doubt(&[], 500).with(|it| it.listed = Fact::Failed(down()));
    let mut unread = in_doubt(&[ours("a")], 500);
    unread.read.insert("a".to_owned(), Fact::Failed(down()));
    for observed in [unlisted, unread] {
        assert_eq!(end_of(&next(&observed)), (Reason::CreateInDoubt, Requeue::Backoff(None)));
        assert!(phase_of(&next(&observed)).why().message.ends_with(": down"), "the doubt is shown with its cause");
    }
}

#[test]
fn other_realm_than_recorded_is_not_searched() {
    let step = next(&in_doubt(&[], 500).with(|it| it.object.realms = resolved_realms(at(other_realm()))));
    assert_eq!(end_of(&step), (Reason::RealmChanged, RESYNC));
}

#[test]
fn doubt_is_settled_without_finalizer_and_during_shutdown() {
    let observed = in_doubt(&[], 91).with(|it| {
        it.object.finalizer = false;
        it.object.may_call_service = false;
    });
    assert_eq!(withdrawn(&next(&observed)), None);
}

#[test]
fn doubt_is_settled_only_at_its_endpoint_by_two_lists() {
    let other_endpoint = Destination { realm: realm_ids(), endpoint: "https://another.example.com".to_owned() };
    let moved = in_doubt(&[], 500).with(|it| it.object.realms = resolved_realms(Fact::Known(other_endpoint)));
    assert_eq!(end_of(&next(&moved)), (Reason::EndpointChanged, RESYNC));
    let mut once = in_doubt(&[], 500);
    let Fact::Known(listed) = &mut once.listed else { panic!() };
    listed.lists = 1;
    assert_eq!(next(&once), Step::Fetch(Query::Configs));
}
