//! Doubt: while the record stands nothing is made, and the configuration is looked for by its mark.

use super::*;

#[test]
fn the_record_is_read_fresh_then_its_realm_its_list_and_what_the_list_shows() {
    let unopened = in_doubt(&[], 0).with(|it| {
        it.object.realms = leads(Fact::Unknown);
        it.listed = Fact::Unknown;
    });
    assert_eq!(next(&in_doubt(&[], 500).with(|it| it.object.fresh = false)), Step::Refresh);
    assert_eq!(next(&unopened), ask_realm());
    assert_eq!(next(&unopened.with(|it| it.object.realms = leads(at(home())))), Step::Fetch(Query::Configs));
    assert_eq!(next(&in_doubt(&[changed("a"), ours("b")], 0)), read("b"));
}

#[test]
fn what_shows_at_whatever_age_is_taken_once_it_was_read_by_id() {
    for age in [0, 31, 91] {
        let observed = in_doubt(&[ours("a")], age).reading("a", Some(ours("a")));
        assert_eq!(recorded(next(&observed)), (take("a", Some("nonce")), None), "{age}: it is compared next");
    }
}

#[test]
fn what_the_list_shows_and_is_not_there_when_read_by_id_counts_as_not_shown() {
    for (wrong, age) in [(None, 0), (Some(strangers("a")), 90)] {
        let observed = in_doubt(&[ours("a")], age).reading("a", wrong);
        assert_eq!(waits(&next(&observed)).0, Reason::CreateInDoubt);
    }
    assert_eq!(withdrawn(&next(&in_doubt(&[ours("a")], 91).reading("a", None))), None);
}

#[test]
fn while_none_shows_the_next_look_is_when_the_call_is_over_then_when_all_is_settled() {
    for (age, pause) in [(0, 31), (30, 1), (31, 60), (90, 1)] {
        let step = next(&in_doubt(&[strangers("a")], age));
        assert!(matches!(said(&step), Phase::InDoubt(_)));
        assert_eq!(waits(&step), (Reason::CreateInDoubt, Requeue::After(Duration::from_secs(pause))), "{age}");
    }
}

#[test]
fn when_all_is_settled_and_none_shows_it_was_not_made() {
    assert_eq!(withdrawn(&next(&in_doubt(&[], 91))), None);
}

#[test]
fn a_list_or_a_read_that_failed_settles_nothing() {
    let unlisted = in_doubt(&[], 500).with(|it| it.listed = Fact::Failed(down()));
    let mut unread = in_doubt(&[ours("a")], 500);
    unread.read.insert("a".to_owned(), Fact::Failed(down()));
    for observed in [unlisted, unread] {
        assert_eq!(waits(&next(&observed)), (Reason::ServiceUnavailable, Requeue::Backoff(None)));
    }
}

#[test]
fn another_realm_than_the_records_is_not_searched() {
    let step = next(&in_doubt(&[], 500).with(|it| it.object.realms = leads(at(elsewhere()))));
    assert_eq!(waits(&step), (Reason::RealmChanged, RESYNC));
}

#[test]
fn neither_the_finalizer_nor_the_end_of_the_operator_keeps_it_from_being_settled() {
    let observed = in_doubt(&[], 91).with(|it| {
        it.object.finalizer = false;
        it.object.may_write = false;
    });
    assert_eq!(withdrawn(&next(&observed)), None);
}

#[test]
fn a_create_in_doubt_is_settled_only_at_its_endpoint_and_by_two_lists() {
    let elsewhere = Destination { realm: home(), endpoint: "https://another.example.com".to_owned() };
    let moved = in_doubt(&[], 500).with(|it| it.object.realms = leads(Fact::Known(elsewhere)));
    assert_eq!(waits(&next(&moved)), (Reason::EndpointChanged, RESYNC));
    let mut once = in_doubt(&[], 500);
    let Fact::Known(listed) = &mut once.listed else { panic!() };
    listed.lists = 1;
    assert_eq!(next(&once), Step::Fetch(Query::Configs));
}
