//! An object that this version cannot decode.

use super::*;

fn undecodable() -> Desired {
    Desired { undecodable: Some("in spec.x y was expected".to_owned()), ..desired() }
}

#[test]
fn nothing_is_done_by_it_whatever_its_status_is_and_it_waits_for_a_change() {
    for observed in [fresh(), made(Some(remote())), made(None), in_doubt(&[], 600), Observed::default()] {
        let step = plan(&undecodable(), &observed, &TIMES);
        let Step::Wait(Wait { say: Some(Phase::Refused(why)), until: Until::Change }) = step else {
            panic!("{step:?}")
        };
        assert_eq!(why.reason, Reason::NotDecodable);
    }
}

#[test]
fn its_deletion_goes_by_the_status() {
    let leaving = Desired { deleted_at: Some(jiff::Timestamp::UNIX_EPOCH), ..undecodable() };
    assert_eq!(plan(&leaving, &made(Some(remote())), &TIMES), Step::Delete("4e129fc8".to_owned()));
    let kept = Desired { orphan: true, ..leaving.clone() };
    let step = plan(&kept, &made(Some(remote())), &TIMES);
    assert!(matches!(step, Step::Release { left: Some(Left::Kept(_)) }), "{step:?}");
    assert_eq!(plan(&leaving, &fresh(), &TIMES), Step::Release { left: None });
}
