//! Identities that cannot be enrolled yet: the message names the remedy, nothing is sent, and a fix leads to one email.

use harness::simulator::{Identity, Operation, RealmHandle};

use crate::fixture::{Fixture, JANE, conditions, message};

struct Case {
    before: fn(&RealmHandle),
    reason: &'static str,
    sentence: &'static str,
    fix: fn(&RealmHandle),
}

const CASES: [Case; 3] = [
    Case {
        before: |realm| realm.remove_identity(JANE),
        reason: "IdentityNotFound",
        sentence: "Identity jane of spec.identity.id does not exist in the realm; correct that field, or create the \
                   identity in Beyond Identity",
        fix: |realm| realm.add_identity(Identity::active(JANE, "jane@example.com")),
    },
    Case {
        before: |realm| realm.set_identity_status(JANE, "suspended"),
        reason: "IdentityNotActive",
        sentence: "Identity jane of spec.identity.id is suspended, not active; activate it in Beyond Identity",
        fix: |realm| realm.set_identity_status(JANE, "active"),
    },
    Case {
        before: |realm| realm.edit_identity(JANE, |jane| jane.email = None),
        reason: "NoEmailAddress",
        sentence: "Identity jane of spec.identity.id has no primary email address; add one in Beyond Identity",
        fix: |realm| realm.edit_identity(JANE, |jane| jane.email = Some("jane@example.com".to_owned())),
    },
];

#[tokio::test]
async fn request_waits_until_the_identity_can_be_enrolled() {
    futures::future::join_all(CASES.map(|case| async move {
        let (fixture, _operator) = Fixture::ready().await;
        (case.before)(&fixture.realm);
        fixture.create_request().await;
        let request = fixture.wait_for_request(case.reason).await;
        assert_eq!(conditions(&request), "Reconciling=True Ready=False");
        assert_eq!(message(&request), case.sentence);
        assert_eq!(fixture.realm.requests_of(Operation::CreateJob), []);
        (case.fix)(&fixture.realm);
        fixture.wait_for_request("LinkSent").await;
        assert_eq!(fixture.realm.outbox().len(), 1, "{}", case.reason);
        assert_eq!(fixture.calls(Operation::CreateJob), 1, "{}", case.reason);
    }))
    .await;
}

#[tokio::test]
async fn identity_without_status_counts_as_active() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.set_identity_status(JANE, None);
    fixture.create_request().await;
    fixture.wait_for_request("LinkSent").await;
}
