//! A realm with configurations of other clusters: what it stops, and what continues.

use super::*;
use crate::authenticator_config::mark::OwnershipMark;
use crate::reconcile::RealmRules;

/// A check that finds configurations with the marks of these clusters, and some without a mark.
fn finding(clusters: &[&str]) -> RealmCheck {
    let marked = clusters.iter().map(|cluster| OwnershipMark::of(cluster, "identity", "hosted-web").to_string());
    let unmarked = ["Hosted web", "(east)", "(east abc)"].map(str::to_owned);
    RealmCheck { display_names: Some(marked.chain(unmarked).collect()), ..passed() }
}

fn shared() -> RealmRules {
    RealmRules { is_shared: true, ..RealmRules::default() }
}

/// Begins a reconcile of the provider config with these rules.
fn begin(healths: &Healths, realm: RealmRules) -> Health {
    let restrictions = Restrictions { realm, ..Restrictions::default() };
    healths.begin(&key(), 1, "tenant", &TokenClaims::default(), restrictions)
}

fn check(healths: &Healths, check: &RealmCheck) -> Health {
    healths.checked(&key(), 1, check, Instant::now(), INTERVAL).unwrap()
}

fn reason(failure: Option<&Failure>) -> Option<Reason> {
    failure.map(|failure| failure.why.reason)
}

#[tokio::test]
async fn other_cluster_stops_what_is_new_and_nothing_else() {
    let (healths, gate, _) = admitted();
    let rules = RealmRules::default();
    let health = check(&healths, &finding(&["demo", "east"]));
    assert!(health.is_accepted() && !health.is_ready());
    assert_eq!(reason(health.realm_in_use()), Some(Reason::RealmInUse));
    assert_eq!(healths.ready(), [(key(), false)]);
    for purpose in [SEND, POLL, CREATE] {
        assert!(healths.admit(&key(), 1, purpose, true).await.is_ok(), "objects may still poll, revoke and delete");
    }
    assert_eq!(reason(healths.realm_in_use(&key(), 1, &rules).as_ref()), Some(Reason::RealmInUse));
    for operation in [CREATE_JOB, CREATE_CONFIG] {
        assert_eq!(
            gate.begin(operation),
            Err(Held::Stopped("ProviderConfig team/own is not Ready (RealmInUse)".to_owned()))
        );
    }
    for scope in ["credential-binding-jobs:revoke", "authenticator-configs:delete", "authenticator-configs:update"] {
        assert_eq!(gate.begin(Operation::by_scope(scope)), Ok(()), "{scope}");
    }
    assert!(!healths.release_waiting(&key()));
}

#[test]
fn objects_continue_when_the_marks_vanish_or_the_rules_allow_them() {
    let (healths, _, _) = admitted();
    let wait = |rules: &RealmRules| healths.realm_in_use(&key(), 1, rules).is_some();
    check(&healths, &finding(&["east"]));
    assert!(wait(&RealmRules::default()) && !healths.release_waiting(&key()));
    check(&healths, &finding(&["demo"]));
    assert!(healths.release_waiting(&key()), "the marks vanished");

    for allowing in [shared(), RealmRules { former_clusters: vec!["east".to_owned()], ..RealmRules::default() }] {
        begin(&healths, RealmRules::default());
        check(&healths, &finding(&["east"]));
        assert!(wait(&RealmRules::default()) && !wait(&allowing), "{allowing:?}");
        assert!(begin(&healths, allowing).is_ready() && healths.release_waiting(&key()), "no check is needed");
    }
    assert!(!begin(&healths, RealmRules::default()).is_ready(), "nor when the rule applies again");
}

#[test]
fn check_that_did_not_read_the_configurations_changes_nothing() {
    let (healths, _, _) = admitted();
    check(&healths, &finding(&["east"]));
    let forbidden = RealmCheck { forbidden: vec![CREATE_CONFIG], ..passed() };
    for unread in [failed(unavailable()), forbidden] {
        assert_eq!(reason(check(&healths, &unread).realm_in_use()), Some(Reason::RealmInUse), "{unread:?}");
    }
}
