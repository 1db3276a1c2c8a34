//! Correct: the configuration is known, and is brought to what the spec says.

use serde_json::json;

use super::*;

/// After a change of the spec that nobody has looked at yet.
fn next_of_generation_2(observed: &Observed) -> Step {
    plan(&Desired { generation: 2, ..desired() }, observed, &TIMES)
}

#[test]
fn what_this_process_has_brought_to_this_generation_costs_no_call() {
    let left = Duration::from_secs(7);
    let step = next(&Observed { compared: Some(left), destination: Fact::Unknown, fresh: false, ..made(None) });
    assert_eq!(waits(&step), (Reason::Available, Until::After(left)), "until it is time to compare again");
}

#[test]
fn otherwise_the_realm_is_opened_and_the_configuration_read() {
    assert_eq!(next(&Observed { destination: Fact::Unknown, ..made(None) }), ask_realm());
    assert_eq!(next(&Observed { read: Default::default(), ..made(None) }), read("4e129fc8"));
}

#[test]
fn where_nothing_differs_there_is_nothing_to_do() {
    assert_eq!(waits(&next(&made(Some(ours("4e129fc8"))))), (Reason::Available, RESYNC));
}

#[test]
fn what_differs_is_changed_once() {
    let differs = || made(Some(changed("4e129fc8")));
    let Step::Patch(id, patch) = next(&differs()) else { panic!("nothing is changed") };
    assert_eq!(id, "4e129fc8");
    assert_eq!(json!(patch), json!({"config": {"type": "hosted_web", "trusted_origins": ["https://a.example.com"]}}));
    let step = next(&Observed { patched: Some(Ok(())), ..differs() });
    assert_eq!(waits(&step), (Reason::Available, RESYNC));
}

#[test]
fn one_whose_mark_somebody_took_out_gets_it_back() {
    let current = RemoteConfig { display_name: Some("Hosted web".to_owned()), ..ours("4e129fc8") };
    let Step::Patch(_, patch) = next(&made(Some(current))) else { panic!("nothing is changed") };
    assert_eq!(json!(patch), json!({"display_name": desired().display_name}));
}

#[test]
fn a_change_that_did_not_succeed_is_said_whatever_was_said_before() {
    for (trouble, until) in [(down(), Until::Backoff(None)), (refused(), RESYNC)] {
        let reason = trouble.phase.why().reason;
        let observed = Observed { patched: Some(Err(trouble)), ..made(Some(changed("4e129fc8"))) };
        assert_eq!(waits(&next(&observed)), (reason, until));
    }
}

#[test]
fn the_operator_that_is_ending_changes_nothing() {
    let step = next(&Observed { may_write: false, ..made(Some(changed("4e129fc8"))) });
    assert_eq!(waits(&step), (Reason::Correcting, Until::Backoff(None)));
}

#[test]
fn what_is_gone_is_forgotten_and_made_again() {
    let mut observed = made(None);
    assert_eq!(next(&observed), Step::Learn(Question::Configs), "a 404 alone is not believed");
    let unsaid = Observed { listed: Fact::Failed(down()), ..made(None) };
    assert!(matches!(next(&unsaid), Step::Wait(Wait { say: None, .. })), "the row stays");
    let disagreeing = Observed { listed: list(&[ours("4e129fc8")], 0), ..made(None) };
    assert!(matches!(next(&disagreeing), Step::Wait(Wait { say: None, until: RESYNC })));
    observed.listed = list(&[ours("another")], 0);
    let (change, reason) = recorded(next(&observed));
    assert_eq!((&change, reason), (&Change::Forget { id: "4e129fc8".to_owned() }, None));
    assert!(change.apply(&mut observed.status));
    observed.listed = Fact::Unknown;
    assert_eq!(next(&observed), Step::Learn(Question::Configs));
}

#[test]
fn what_bears_anothers_mark_is_not_touched() {
    let step = next(&made(Some(strangers("4e129fc8"))));
    assert!(matches!(said(&step), Phase::Blocked(_)));
    assert_eq!(waits(&step), (Reason::ConfigurationInUse, RESYNC));
    let stranger = Mark::of("demo", "identity", "another").to_string();
    let message = said(&step).why().message.clone();
    assert!(message.contains(&stranger) && message.contains("take the mark out of the display name"), "{message}");
}

#[test]
fn what_is_of_another_type_is_not_touched() {
    let mut embedded = ours("4e129fc8");
    embedded.config.get_or_insert_default().insert("type".to_owned(), json!("embedded"));
    let step = next(&made(Some(embedded)));
    assert!(matches!(said(&step), Phase::Refused(_)));
    assert_eq!(waits(&step), (Reason::TypeMismatch, RESYNC));
}

#[test]
fn what_somebody_has_to_mend_is_tried_again_when_the_grace_period_is_over_then_at_the_resync_interval() {
    let soon = Duration::from_secs(20);
    for (patience, until) in [(TIMES.grace, RESYNC), (soon, Until::After(soon)), (Duration::ZERO, RESYNC)] {
        let step = next(&Observed { patience, ..made(Some(strangers("4e129fc8"))) });
        assert_eq!(waits(&step), (Reason::ConfigurationInUse, until));
    }
}

#[test]
fn for_a_namespace_that_is_no_longer_allowed_nothing_is_changed_and_a_settled_object_keeps_its_row() {
    let not_allowed = || Some(Phase::Blocked(why(Reason::NamespaceNotAllowed, "no")));
    let settled = Observed { not_allowed: not_allowed(), ..made(Some(ours("4e129fc8"))) };
    assert_eq!(waits(&next(&settled)), (Reason::Available, RESYNC));
    let drifted = Observed { not_allowed: not_allowed(), ..made(Some(changed("4e129fc8"))) };
    assert_eq!(next(&drifted), Step::Wait(Wait { say: None, until: RESYNC }));
    assert_eq!(waits(&next_of_generation_2(&drifted)).0, Reason::NamespaceNotAllowed);
}

#[test]
fn in_another_realm_nothing_is_read_or_written_and_that_is_said() {
    let step = next(&Observed { destination: at(elsewhere()), ..made(Some(changed("4e129fc8"))) });
    assert_eq!(waits(&step), (Reason::RealmChanged, RESYNC));
}

#[test]
fn a_look_that_failed_is_said_only_of_a_spec_that_nobody_has_looked_at() {
    let unopened = Observed { destination: Fact::Failed(down()), ..made(None) };
    let mut unread = made(None);
    unread.read.insert("4e129fc8".to_owned(), Fact::Failed(down()));
    for observed in [unopened, unread] {
        let until = Until::Backoff(None);
        assert_eq!(next(&observed), Step::Wait(Wait { say: None, until }), "a settled object keeps its row");
        assert_eq!(waits(&next_of_generation_2(&observed)), (Reason::ServiceUnavailable, until));
    }
    let blocked = Observed { destination: Fact::Failed(blocked()), ..made(None) };
    assert_eq!(next(&blocked), Step::Wait(Wait { say: None, until: RESYNC }), "who mends it wakes it");
    assert_eq!(waits(&next_of_generation_2(&blocked)).0, Reason::SecretNotFound);
}

#[test]
fn at_another_endpoint_a_configuration_is_not_believed_to_be_gone_and_one_that_is_found_there_has_moved() {
    let elsewhere = || Fact::Known(Destination { realm: home(), endpoint: "https://another.example.com".to_owned() });
    let known = || AuthenticatorConfigStatus { endpoint: Some(ENDPOINT.to_owned()), ..made(None).status };
    let gone = Observed { destination: elsewhere(), status: known(), listed: list(&[], 0), ..made(None) };
    assert_eq!(waits(&next(&gone)).0, Reason::EndpointChanged);
    assert!(matches!(said(&next_in_deletion(&gone)), Phase::Deleting { blocked: true, .. }));
    let mut found = Observed { destination: elsewhere(), status: known(), ..made(Some(ours("4e129fc8"))) };
    let (change, _) = recorded(next(&found));
    assert!(change.apply(&mut found.status));
    assert_eq!(found.status.endpoint.as_deref(), Some("https://another.example.com"));
}
