//! `status.setFields`: a field is recorded before it is sent, and until it is unset.

use serde_json::json;

use super::*;
use crate::authenticator_config::observed::Patched;
use crate::authenticator_config::plan::field_not_unset;

const ID: &str = "4e129fc8";

/// The spec without origins, in its second generation.
fn without_origins() -> Desired {
    desired().with(|it| {
        it.fields.remove("trusted_origins");
        it.lifecycle.generation = 2;
    })
}

fn recorded_fields(step: Step) -> Vec<String> {
    match step {
        Step::Record(Change::SetFields { id, fields }) if id == ID => fields,
        step => panic!("no fields are recorded: {step:?}"),
    }
}

/// The body of a PATCH.
fn patch_of(step: Step) -> serde_json::Value {
    let Step::Act(Action::Patch(_, patch)) = step else { panic!("not a PATCH: {step:?}") };
    json!(patch)
}

/// The same after a PATCH that was answered with this configuration.
fn answered(known: Known, answer: RemoteConfig) -> Known {
    let patched = Patched { sent: Default::default(), shown: answer.clone() };
    known.reading(ID, Some(answer)).with(|it| it.patched = Some(Ok(Some(patched))))
}

#[test]
fn removed_field_is_recorded_until_the_answer_shows_it_unset() {
    let mut known = existing(Some(ours(ID)));
    let patch = patch_of(next_of(&without_origins(), &known));
    assert_eq!(patch, json!({"config": {"type": "hosted_web", "trusted_origins": []}}));
    for (answer, left) in [
        (changed(ID), &["displayName", "config.authenticationMethods"][..]),
        // It was accepted, and changed nothing.
        (ours(ID), &["displayName", "config.authenticationMethods", "config.trustedOrigins"]),
    ] {
        known = answered(known, answer);
        let step = next_of(&without_origins(), &known);
        if left.len() < 3 {
            assert_eq!(recorded_fields(step), left);
            known.status.set_fields.truncate(2);
            assert_eq!(end_of(&next_of(&without_origins(), &known)), (Reason::Available, RESYNC));
            known.status.set_fields = desired().set_fields();
        } else {
            assert_eq!(end_of(&step), (Reason::Available, RESYNC));
        }
    }
}

#[test]
fn field_is_recorded_before_it_is_sent() {
    let mut known = existing(Some(changed(ID)));
    known.status.set_fields.truncate(2);
    assert_eq!(recorded_fields(next(&known)), desired().set_fields());
    known.status.set_fields = desired().set_fields();
    assert!(patch_of(next(&known))["config"]["trusted_origins"].is_array());
    let cached = existing(Some(ours(ID))).with(|it| {
        it.status.set_fields.clear();
        it.object.fresh = false;
    });
    assert_eq!(next(&cached), Step::Refresh, "the cached spec may be old");
}

#[test]
fn status_of_an_earlier_build_records_what_the_spec_sets_now() {
    let mut known = existing(Some(ours(ID))).with(|it| it.status.set_fields.clear());
    let fields = recorded_fields(next(&known));
    assert_eq!(fields, desired().set_fields());
    assert!(Change::SetFields { id: ID.to_owned(), fields }.apply(&mut known.status));
    assert_eq!(end_of(&next(&known)), (Reason::Available, RESYNC));
}

#[test]
fn field_that_may_not_be_sent_is_not_recorded() {
    let not_allowed = Some(Failure::blocked(Reason::NamespaceNotAllowed, "no"));
    let known = existing(Some(changed(ID))).with(|it| {
        it.status.set_fields.clear();
        it.realm().permissions.not_allowed = not_allowed;
    });
    assert_eq!(
        end_of(&next_of(&desired().with(|it| it.lifecycle.generation = 2), &known)).0,
        Reason::NamespaceNotAllowed
    );
}

#[test]
fn observed_configuration_has_no_set_fields() {
    let known = existing(Some(ours(ID)));
    let observing = without_origins().with(|it| (it.observe, it.resource_id) = (true, Some(ID.to_owned())));
    assert_eq!(end_of(&next_of(&observing, &known)), (Reason::Available, RESYNC));
    assert_eq!(field_not_unset(&known.input(&observing)), None);
}

#[test]
fn recreated_configuration_has_its_own_set_fields() {
    let mut status = recorded_status();
    assert!(Change::Forget { id: ID.to_owned() }.apply(&mut status));
    assert_eq!(status.set_fields, Vec::<String>::new());
    status.create = Some(record("nonce"));
    assert!(created_as("another").apply(&mut status));
    assert_eq!(status.set_fields, desired().set_fields());
    let stale = Change::SetFields { id: ID.to_owned(), fields: Vec::new() };
    assert!(!stale.apply(&mut status), "it is about another configuration");
}

#[test]
fn field_that_is_not_unset_is_reported_until_it_is() {
    let known = existing(None);
    let why = field_not_unset(&known.input(&without_origins())).unwrap();
    assert_eq!(why.reason, Reason::FieldNotUnset);
    assert!(
        why.message.starts_with("config.trustedOrigins was set by this object and is no longer"),
        "{}",
        why.message
    );
    assert_eq!(field_not_unset(&known.input(&desired())), None);
    let undecodable = without_origins().with(|it| it.lifecycle.undecodable = Some("spec".to_owned()));
    assert_eq!(field_not_unset(&known.input(&undecodable)), None, "nobody knows what it sets");
    let bare = without_origins().with(|it| it.fields.retain(|key, _| key == "type"));
    let why = field_not_unset(&known.input(&bare)).unwrap();
    assert!(
        why.message.starts_with("config.authenticationMethods, config.trustedOrigins were set by"),
        "{}",
        why.message
    );
}
