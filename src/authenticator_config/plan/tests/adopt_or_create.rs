//! Rule `adopt_or_create`: adopt the marked configuration, or write the create record ahead.

use super::*;

#[test]
fn facts_are_fetched_in_order() {
    let unresolved = fresh().with(|it| {
        it.object.realms = resolved_realms(Fact::Unknown);
        it.listed = Fact::Unknown;
    });
    assert_eq!(next(&fresh().with(|it| it.object.fresh = false)), Step::Refresh);
    assert_eq!(next(&unresolved), resolve_realm());
    assert_eq!(
        next(&unresolved.with(|it| it.object.realms = resolved_realms(at(realm_ids())))),
        Step::Fetch(Query::Configs)
    );
    assert_eq!(next(&listed(&[ours("a")])), read("a"));
}

#[test]
fn marked_configuration_is_adopted_before_conditions_are_set() {
    for current in [ours("a"), changed("a")] {
        let observed = listed(std::slice::from_ref(&current)).reading("a", Some(current));
        assert_eq!(recorded(next(&observed)), (take("a", None), None));
    }
}

#[test]
fn equal_configuration_is_preferred_then_the_lowest_id() {
    for (configs, taken) in [
        (vec![ours("b"), ours("a")], "a"),
        (vec![changed("a"), ours("b")], "b"),
        (vec![changed("b"), changed("a")], "a"),
    ] {
        assert_eq!(next(&listed(&configs)), read(taken), "{configs:?}");
    }
}

#[test]
fn next_candidate_is_read_if_the_list_was_wrong() {
    let both = || listed(&[ours("a"), ours("b")]);
    for wrong in [None, Some(marked_by_another("a")), Some(RemoteConfig { display_name: None, ..ours("a") })] {
        assert_eq!(next(&both().reading("a", wrong.clone())), read("b"), "{wrong:?}");
        let observed = both().reading("a", wrong).reading("b", Some(changed("b")));
        assert_eq!(recorded(next(&observed)), (beside(take("b", None), &["a"]), None));
    }
}

#[test]
fn duplicates_are_named_when_one_is_adopted() {
    let strangers = [marked_by_another("d"), RemoteConfig { display_name: None, ..ours("e") }];
    let configs = [vec![changed("a"), ours("c"), ours("b")], strangers.to_vec()].concat();
    let observed = listed(&configs).reading("b", Some(ours("b")));
    assert_eq!(recorded(next(&observed)).0, beside(take("b", None), &["c", "a"]));
    let doubtful = in_doubt(&configs, 0).reading("b", Some(ours("b")));
    assert_eq!(recorded(next(&doubtful)).0, beside(take("b", Some("nonce")), &["c", "a"]));
}

#[test]
fn unmarked_or_mismatched_configurations_are_not_candidates() {
    let unmarked = RemoteConfig { display_name: Some("Hosted web".to_owned()), ..ours("a") };
    let mut embedded = ours("b");
    embedded.config.get_or_insert_default().insert("type".to_owned(), serde_json::json!("embedded"));
    for configs in [vec![], vec![unmarked, embedded, marked_by_another("c")]] {
        assert!(matches!(next(&listed(&configs)), Step::WriteAhead(..)), "{configs:?}");
    }
}

#[test]
fn create_record_is_written_ahead_with_its_timeout() {
    let Step::WriteAhead(written, phase) = next(&listed(&[])) else { panic!("no record is written ahead") };
    assert_eq!(*written, record("nonce"), "one second more than a request, to write the record");
    assert!(matches!(phase, Phase::InDoubt(why) if why.reason == Reason::Creating));
}

#[test]
fn configuration_is_created_if_all_listed_ones_are_not_found() {
    assert!(matches!(next(&listed(&[ours("a")]).reading("a", None)), Step::WriteAhead(..)));
}

#[test]
fn failed_fact_is_reported_and_nothing_is_created() {
    for (failure, until) in [(down(), Requeue::Backoff(None)), (refused(), RESYNC)] {
        let reason = failure.why.reason;
        let mut unread = listed(&[ours("a")]);
        unread.read.insert("a".to_owned(), Fact::Failed(failure.clone()));
        let unlisted = listed(&[]).with(|it| it.listed = Fact::Failed(failure.clone()));
        let unresolved = listed(&[]).with(|it| it.object.realms = resolved_realms(Fact::Failed(failure)));
        for observed in [unread, unlisted, unresolved] {
            assert_eq!(end_of(&next(&observed)), (reason, until), "{observed:?}");
        }
    }
    let delayed = Failure { after: Some(Duration::from_secs(7)), ..down() };
    let step = next(&listed(&[]).with(|it| it.listed = Fact::Failed(delayed)));
    assert_eq!(end_of(&step).1, Requeue::Backoff(Some(Duration::from_secs(7))));
}

#[test]
fn shutdown_prevents_create_but_not_adoption() {
    let step = next(&listed(&[]).with(|it| it.object.may_call_service = false));
    assert_eq!(end_of(&step), (Reason::Creating, Requeue::Backoff(None)));
    let step = next(&listed(&[ours("a")]).reading("a", Some(ours("a"))).with(|it| it.object.may_call_service = false));
    assert_eq!(recorded(step).0, take("a", None));
}

#[test]
fn removed_configuration_is_recreated_only_in_its_realm() {
    let status = AuthenticatorConfigStatus { id: None, ..recorded_status() };
    assert!(matches!(next(&listed(&[]).with(|it| it.status = status.clone())), Step::WriteAhead(..)));
    let moved = listed(&[]).with(|it| {
        it.status = status;
        it.object.realms = resolved_realms(at(other_realm()));
    });
    assert_eq!(end_of(&next(&moved)), (Reason::RealmChanged, RESYNC));
}

#[test]
fn rate_limited_object_keeps_conditions_unless_new() {
    let destination = Fact::Failed(Failure::not_its_turn(Duration::from_secs(7)));
    let mut waiting = fresh().with(|it| it.object.realms = resolved_realms(destination));
    waiting.status.observed_generation = None;
    let late = Requeue::AtTurn(Duration::from_secs(607));
    assert_eq!(end_of(&next(&waiting)), (Reason::RateLimited, late));
    waiting.status.observed_generation = Some(1);
    assert_eq!(requeue_keeping_conditions(&next(&waiting)), late);
}
