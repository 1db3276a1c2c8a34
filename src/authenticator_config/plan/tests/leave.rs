//! Leave: an object in deletion takes its configuration with it.

use super::*;

#[test]
fn an_object_for_which_nothing_was_made_is_let_go() {
    assert_eq!(next_in_deletion(&fresh()), RELEASE);
    assert_eq!(next_in_deletion(&Observed { fresh: false, may_write: false, ..fresh() }), RELEASE);
}

#[test]
fn an_object_that_only_others_hold_is_left_to_them() {
    let step = next_in_deletion(&Observed { finalizer: false, ..made(Some(ours("4e129fc8"))) });
    assert_eq!(step, Step::Wait(Wait { say: None, until: Until::Change }));
}

#[test]
fn the_realm_is_opened_and_the_configuration_read_before_it_is_deleted() {
    let unopened = Observed { destination: Fact::Unknown, ..made(None) };
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
    assert_eq!(next_in_deletion(&made(Some(strangers("4e129fc8")))), RELEASE);
    assert_eq!(next_in_deletion(&made(None)), Step::Learn(Question::Configs), "a 404 alone is not believed");
    let gone = |configs: &[RemoteConfig]| next_in_deletion(&Observed { listed: list(configs, 0), ..made(None) });
    assert!(matches!(gone(&[ours("4e129fc8")]), Step::Wait(_)));
    assert_eq!(gone(&[ours("another")]), RELEASE);
}

#[test]
fn one_that_is_to_stay_is_not_even_looked_at() {
    let observed = Observed { destination: Fact::Unknown, ..made(None) };
    let step = plan(&deleting().orphaned_by(true), &observed, &TIMES);
    let Step::Release { left: Some(Left::Kept(kept)) } = step else { panic!("{step:?}") };
    assert!(kept.contains("configuration 4e129fc8 stays"), "{kept}");
    let nothing = plan(&deleting().orphaned_by(true), &fresh(), &TIMES);
    assert_eq!(nothing, Step::Release { left: None }, "nothing was made");
}

#[test]
fn once_it_is_deleted_the_object_is_let_go() {
    let deleted = |current| Observed { deleted: Some(Ok(())), ..made(current) };
    assert_eq!(next_in_deletion(&deleted(None)), RELEASE);
    // A success alone is not believed, whoever answered so; and one that is never carried out holds nothing up for ever.
    let mut observed = deleted(Some(ours("4e129fc8")));
    assert!(matches!(said(&next_in_deletion(&observed)), Phase::Deleting { blocked: true, .. }));
    observed.patience = Duration::ZERO;
    assert!(matches!(next_in_deletion(&observed), Step::Release { left: Some(Left::Behind(_)) }));
}

#[test]
fn what_holds_up_the_deletion_is_said_without_a_word_about_anything_else() {
    let made = || made(Some(ours("4e129fc8")));
    let backoff = Until::Backoff(None);
    for (observed, reason, until) in [
        (Observed { deleted: Some(Err(refused())), ..made() }, Reason::DeletionBlocked, RESYNC),
        (Observed { deleted: Some(Err(down())), ..made() }, Reason::ServiceUnavailable, backoff),
        (Observed { destination: Fact::Failed(down()), ..made() }, Reason::ServiceUnavailable, backoff),
        (Observed { destination: at(elsewhere()), ..made() }, Reason::DeletionBlocked, RESYNC),
        (Observed { may_write: false, ..made() }, Reason::Deleting, backoff),
        (in_doubt(&[], 0), Reason::CreateInDoubt, Until::After(Duration::from_secs(31))),
        (Observed { listed: Fact::Failed(down()), ..in_doubt(&[], 0) }, Reason::ServiceUnavailable, backoff),
        (Observed { destination: at(elsewhere()), ..in_doubt(&[], 0) }, Reason::DeletionBlocked, RESYNC),
        (Observed { destination: Fact::Failed(blocked()), ..made() }, Reason::DeletionBlocked, backoff),
        (Observed { users: Fact::Failed(down()), ..made() }, Reason::ServiceUnavailable, backoff),
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
fn what_blocks_a_deletion_is_tried_again_when_the_grace_period_is_over_at_the_latest() {
    let patience = Duration::from_secs(20);
    let observed = Observed { deleted: Some(Err(refused())), patience, ..made(Some(ours("4e129fc8"))) };
    assert_eq!(waits(&next_in_deletion(&observed)), (Reason::DeletionBlocked, Until::After(patience)));
}

#[test]
fn when_the_grace_period_is_over_the_object_is_let_go_and_it_is_said_what_is_left() {
    let made = || made(Some(ours("4e129fc8")));
    let standing = "it was let go although the authenticator configuration 4e129fc8 is still to be deleted";
    let doubt = "it was let go although it is not known whether the authenticator configuration was made";
    for (observed, begin, end) in [
        (Observed { deleted: Some(Err(refused())), ..made() }, standing, "an application still uses it"),
        (Observed { destination: Fact::Failed(blocked()), ..made() }, standing, "no Secret"),
        (Observed { destination: at(elsewhere()), ..made() }, standing, ""),
        (Observed { destination: Fact::Failed(blocked()), ..in_doubt(&[], 0) }, doubt, "no Secret"),
    ] {
        let step = next_in_deletion(&Observed { patience: Duration::ZERO, ..observed });
        let Step::Release { left: Some(Left::Behind(left)) } = step else { panic!("nothing is said: {step:?}") };
        assert!(left.starts_with(begin) && left.ends_with(end), "{left}");
    }
}

#[test]
fn an_outage_holds_up_a_deletion_for_as_long_as_it_lasts_and_so_do_users() {
    let made = || Observed { patience: Duration::ZERO, ..made(Some(ours("4e129fc8"))) };
    let users = Fact::Known(vec!["jane".to_owned()]);
    for observed in [
        Observed { deleted: Some(Err(down())), ..made() },
        Observed { destination: Fact::Failed(down()), ..made() },
        Observed { users, ..made() },
    ] {
        assert!(matches!(said(&next_in_deletion(&observed)), Phase::Deleting { blocked: false, .. }), "{observed:?}");
    }
}

#[test]
fn it_waits_for_those_who_refer_to_it_before_anything_is_asked_of_the_service() {
    let used_by = |users: &[&str]| {
        let users = Fact::Known(users.iter().map(|user| (*user).to_owned()).collect());
        Observed { users, destination: Fact::Unknown, read: Default::default(), ..made(None) }
    };
    let unknown = Observed { users: Fact::Unknown, ..used_by(&[]) };
    assert_eq!(next_in_deletion(&unknown), Step::Learn(Question::Users));
    assert_eq!(next_in_deletion(&used_by(&[])), ask_realm());
    for (users, named) in [
        (&["jane"][..], "referred to by EnrollmentRequest jane:"),
        (&["a", "b", "c"], "referred to by EnrollmentRequest a, b, c:"),
        (&["a", "b", "c", "d"], "referred to by EnrollmentRequest a, b, c and others:"),
    ] {
        let step = next_in_deletion(&used_by(users));
        assert_eq!(waits(&step), (Reason::InUse, RESYNC));
        assert!(said(&step).why().message.contains(named), "{step:?}");
    }
    let nothing = Observed { status: AuthenticatorConfigStatus::default(), ..used_by(&["jane"]) };
    assert_eq!(next_in_deletion(&nothing), RELEASE, "there is nothing that they could use");
}

#[test]
fn orphan_and_observe_let_go_at_once_whoever_refers_to_it() {
    let used = || Observed { users: Fact::Unknown, destination: Fact::Unknown, may_write: false, ..made(None) };
    let kept = plan(&Desired { orphan: true, ..deleting() }, &used(), &TIMES);
    assert!(matches!(kept, Step::Release { left: Some(Left::Kept(_)) }), "{kept:?}");
    assert_eq!(plan(&Desired { observe: true, ..deleting() }, &used(), &TIMES), RELEASE);
}

#[test]
fn what_is_left_has_to_be_in_every_list_first_or_the_next_of_that_name_would_make_another() {
    let orphan = |observed: &Observed| plan(&Desired { orphan: true, ..deleting() }, observed, &TIMES);
    let young = || Observed { known_for: Duration::from_secs(10), ..made(None) };
    for observed in [young(), Observed { listed: list(&[ours("4e129fc8")], 0), ..young() }] {
        assert_eq!(waits(&orphan(&observed)), (Reason::Deleting, Until::After(Duration::from_secs(50))));
    }
    let doubt = orphan(&in_doubt(&[], 0));
    assert_eq!(waits(&doubt).0, Reason::CreateInDoubt, "and a create in doubt is settled first");
}

#[test]
fn a_create_in_doubt_is_settled_first_and_what_it_made_is_deleted() {
    let mut observed = in_doubt(&[ours("a")], 0).reading("a", Some(ours("a")));
    observed.users = Fact::Known(Vec::new());
    let (change, _) = recorded(next_in_deletion(&observed));
    assert!(change.apply(&mut observed.status));
    assert_eq!(next_in_deletion(&observed), Step::Delete("a".to_owned()));

    let mut observed = in_doubt(&[], 91);
    let (change, _) = recorded(next_in_deletion(&observed));
    assert!(change.apply(&mut observed.status));
    assert_eq!(next_in_deletion(&observed), RELEASE);
}

#[test]
fn where_the_status_cannot_be_written_a_deletion_goes_on_by_what_was_found() {
    let found = || in_doubt(&[ours("4e129fc8")], 0).reading("4e129fc8", Some(ours("4e129fc8")));
    assert!(matches!(next_in_deletion(&found()), Step::Record(..)));
    let kept = Observed { unwritable: Some(unwritable()), ..found() };
    assert_eq!(waits(&next(&kept)), (Reason::StatusNotStored, Until::After(Duration::from_secs(40))));
    let users = Fact::Known(Vec::new());
    let unwritable = Observed { unwritable: Some(unwritable()), users, ..found() };
    assert_eq!(next_in_deletion(&unwritable), Step::Delete("4e129fc8".to_owned()));
    let mut gone = Observed { deleted: Some(Ok(())), ..unwritable }.reading("4e129fc8", None);
    assert!(matches!(next_in_deletion(&gone), Step::Wait(_)), "another one may still show");
    gone.listed = list(&[ours("4e129fc8")], 500);
    assert_eq!(next_in_deletion(&gone), RELEASE);
}

#[test]
fn one_of_which_cannot_be_read_whether_it_is_only_observed_stays_and_that_is_told() {
    let undecodable = Desired { observe: true, undecodable: Some("managementPolicy".to_owned()), ..deleting() };
    let step = plan(&undecodable, &made(None), &TIMES);
    assert!(matches!(step, Step::Release { left: Some(Left::Kept(what)) } if what.contains("4e129fc8")));
}
