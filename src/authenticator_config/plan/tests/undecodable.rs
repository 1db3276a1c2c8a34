//! An object that this version cannot decode.

use super::*;

fn undecodable() -> Desired {
    desired().with(|it| it.lifecycle.undecodable = Some("spec.x: expected y".to_owned()))
}

#[test]
fn undecodable_spec_waits_for_a_change_in_any_status() {
    for observed in [fresh(), existing(Some(remote())), existing(None), in_doubt(&[], 600), Known::default()] {
        let step = next_of(&undecodable(), &observed);
        let Step::End(End { phase: Some(Phase::Refused(why)), requeue: Requeue::OnChange, .. }) = step else {
            panic!("{step:?}")
        };
        assert_eq!(why.reason, Reason::NotDecodable);
    }
}

#[test]
fn deletion_follows_the_status() {
    let in_deletion = undecodable().with(|it| it.lifecycle.deleted_at = Some(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(next_of(&in_deletion, &existing(Some(remote()))), Step::Act(Action::Delete("4e129fc8".to_owned())));
    let kept = in_deletion.clone().with(|it| it.lifecycle.orphan = true);
    let step = next_of(&kept, &existing(Some(remote())));
    assert!(matches!(step, Step::RemoveFinalizer { leftover: Some(Leftover::Retained(_)) }), "{step:?}");
    assert_eq!(next_of(&in_deletion, &fresh()), Step::RemoveFinalizer { leftover: None });
}
