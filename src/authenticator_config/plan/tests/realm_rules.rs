//! Configurations of other clusters in the realm, and those of clusters that this one replaces.

use super::*;
use crate::reconcile::RealmRules;

const ID: &str = "4e129fc8";

/// A configuration with the mark of this object in the cluster `east`.
fn of_east(id: &str) -> RemoteConfig {
    let name = OwnershipMark::of("east", "identity", "hosted-web").behind(Some("Hosted web"));
    RemoteConfig { display_name: Some(name), ..ours(id) }
}

/// With a provider config of these rules.
fn ruled(known: Known, is_shared: bool, former: &[&str]) -> Known {
    let former_clusters = former.iter().map(|cluster| (*cluster).to_owned()).collect();
    known.with(|it| it.realm().permissions.realm = RealmRules { is_shared, former_clusters })
}

#[test]
fn nothing_is_created_beside_another_cluster_unless_the_realm_is_shared() {
    let one_list = |it: &mut Known| {
        let Fact::Known(list) = &mut it.listed else { panic!("not listed") };
        list.lists = 1;
    };
    for known in [listed(&[of_east("a")]), listed(&[of_east("a")]).with(one_list)] {
        let step = next(&ruled(known, false, &[]));
        assert!(matches!(phase_of(&step), Phase::Blocked(_)));
        assert_eq!(end_of(&step), (Reason::RealmInUse, Requeue::Backoff(None)));
        assert!(phase_of(&step).why().message.contains("the cluster east"), "{step:?}");
    }
    assert!(matches!(next(&ruled(listed(&[of_east("a")]), true, &[])), Step::WriteAhead(..)));
    let theirs = marked_by_another("b");
    assert!(matches!(next(&listed(&[theirs])), Step::WriteAhead(..)), "another object of this cluster");
}

#[test]
fn configuration_of_a_former_cluster_is_adopted_after_one_of_this_cluster() {
    let known = ruled(listed(&[of_east("a")]), false, &["east"]).reading("a", Some(of_east("a")));
    assert_eq!(recorded(next(&known)), (take("a", None), None));
    let known = ruled(listed(&[of_east("a"), changed("b")]), false, &["east"]);
    assert_eq!(next(&known), read("b"));
}

#[test]
fn mark_of_a_former_cluster_is_replaced_at_the_next_update() {
    let step = next(&ruled(existing(Some(of_east(ID))), false, &["east"]));
    assert!(matches!(step, Step::Act(Action::Patch(_, patch)) if patch.display_name == Some(desired().display_name)));
    let step = next(&ruled(existing(Some(of_east(ID))), false, &["west"]));
    assert_eq!(end_of(&step).0, Reason::ConfigurationInUse);
}

#[test]
fn deletion_includes_the_mark_of_a_former_cluster() {
    let deletes = Step::Act(Action::Delete(ID.to_owned()));
    assert_eq!(next_in_deletion(&ruled(existing(Some(of_east(ID))), false, &["east"])), deletes);
    assert_eq!(next_in_deletion(&ruled(existing(Some(of_east(ID))), false, &[])), REMOVE_FINALIZER);
}

#[test]
fn create_in_doubt_is_not_settled_by_a_former_cluster() {
    let known = ruled(in_doubt(&[of_east("a")], 0), false, &["east"]).reading("a", Some(of_east("a")));
    assert_eq!(end_of(&next(&known)).0, Reason::CreateInDoubt);
}
