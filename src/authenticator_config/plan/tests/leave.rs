//! Leave: an object in deletion takes its configuration with it.

use super::*;

#[test]
fn an_object_for_which_nothing_was_made_is_let_go() {
    assert_eq!(next_in_deletion(&fresh()), Step::Release { left: None });
    assert_eq!(next_in_deletion(&Observed { fresh: false, may_write: false, ..fresh() }), Step::Release { left: None });
}

#[test]
fn an_object_that_only_others_hold_is_left_to_them() {
    let step = next_in_deletion(&Observed { finalizer: false, ..made(Some(ours("4e129fc8"))) });
    assert_eq!(step, Step::Wait(Wait { say: None, until: Until::Change }));
}

#[test]
fn the_realm_is_opened_and_the_configuration_read_before_it_is_deleted() {
    let unopened = Observed { realm: Fact::Unknown, ..made(None) };
    let unread = Observed { read: Default::default(), ..made(None) };
    assert_eq!(next_in_deletion(&unopened), ask_realm());
    assert_eq!(next_in_deletion(&unread), read("4e129fc8"));
    for current in [ours("4e129fc8"), changed("4e129fc8")] {
        assert_eq!(next_in_deletion(&made(Some(current))), Step::Delete("4e129fc8".to_owned()));
    }
}

#[test]
fn one_whose_mark_somebody_took_out_is_still_its_own() {
    let current = RemoteConfig { display_name: Some("Hosted web".to_owned()), ..ours("4e129fc8") };
    assert_eq!(next_in_deletion(&made(Some(current))), Step::Delete("4e129fc8".to_owned()));
}

#[test]
fn an_object_whose_configuration_is_gone_or_anothers_is_let_go_without_a_delete() {
    for current in [None, Some(strangers("4e129fc8"))] {
        assert_eq!(next_in_deletion(&made(current)), Step::Release { left: None });
    }
}

#[test]
fn one_that_is_to_stay_is_not_even_looked_at() {
    let observed = Observed { realm: Fact::Unknown, ..made(None) };
    let step = plan(&deleting().orphaned_by(true), &observed, &TIMES);
    let Step::Release { left: Some(Left::Kept(kept)) } = step else { panic!("{step:?}") };
    assert!(kept.contains("configuration 4e129fc8 stays"), "{kept}");
    let nothing = plan(&deleting().orphaned_by(true), &fresh(), &TIMES);
    assert_eq!(nothing, Step::Release { left: None }, "nothing was made");
}

#[test]
fn once_it_is_deleted_the_object_is_let_go() {
    let step = next_in_deletion(&Observed { deleted: Some(Ok(())), ..made(Some(ours("4e129fc8"))) });
    assert_eq!(step, Step::Release { left: None });
}

#[test]
fn what_holds_up_the_deletion_is_said_without_a_word_about_anything_else() {
    let made = || made(Some(ours("4e129fc8")));
    let backoff = Until::Backoff(None);
    for (observed, reason, until) in [
        (Observed { deleted: Some(Err(refused())), ..made() }, Reason::DeletionBlocked, RESYNC),
        (Observed { deleted: Some(Err(down())), ..made() }, Reason::ServiceUnavailable, backoff),
        (Observed { realm: Fact::Failed(down()), ..made() }, Reason::ServiceUnavailable, backoff),
        (Observed { realm: Fact::Known(elsewhere()), ..made() }, Reason::DeletionBlocked, RESYNC),
        (Observed { may_write: false, ..made() }, Reason::Deleting, backoff),
        (in_doubt(&[], 0), Reason::CreateInDoubt, Until::After(Duration::from_secs(31))),
        (Observed { listed: Fact::Failed(down()), ..in_doubt(&[], 0) }, Reason::ServiceUnavailable, backoff),
        (Observed { realm: Fact::Known(elsewhere()), ..in_doubt(&[], 0) }, Reason::DeletionBlocked, RESYNC),
    ] {
        let step = next_in_deletion(&observed);
        assert!(matches!(said(&step), Phase::Deleting { .. }), "{step:?}");
        assert_eq!(waits(&step), (reason, until), "{observed:?}");
    }
    let step = next_in_deletion(&Observed { deleted: Some(Err(refused())), ..made() });
    let message = said(&step).why().message.clone();
    assert!(message.ends_with("in Beyond Identity: an application still uses it"), "{message}");
}

#[test]
fn a_create_in_doubt_is_settled_first_and_what_it_made_is_deleted() {
    let mut observed = in_doubt(&[ours("a")], 0).reading("a", Some(ours("a")));
    let (change, _) = recorded(next_in_deletion(&observed));
    assert!(change.apply(&mut observed.status));
    assert_eq!(next_in_deletion(&observed), Step::Delete("a".to_owned()));

    let mut observed = in_doubt(&[], 91);
    let (change, _) = recorded(next_in_deletion(&observed));
    assert!(change.apply(&mut observed.status));
    assert_eq!(next_in_deletion(&observed), Step::Release { left: None });
}
