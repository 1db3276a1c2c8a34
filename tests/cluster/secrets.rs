//! The Secret is watched: what becomes of it counts at once, whatever the pauses are, and takes no email with it.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use harness::simulator::{Identity, Recorded};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, JANE, Operator, conditions, eventually, never_by_itself, patch, reason, wait_for,
};

/// How many requests there are while the token is replaced.
const MANY: usize = 30;
/// How often it is.
const ROTATIONS: usize = 3;

const STALLED: &str = "Stalled=True Ready=False";

/// A fixture where an AuthenticatorConfig and a request wait for a Secret that is not there, and will not look again by
/// themselves.
async fn waiting_for_a_secret() -> (Fixture, Operator) {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let operator = fixture.start_with(never_by_itself).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.config_says("SecretNotFound").await;
    assert_eq!(conditions(&config), STALLED);
    // The first look begins the grace period and comes back soon; the second finds that it is over.
    let looked_at = wait_for(fixture.configs(), CONFIG, "is looked at again", |config: &AuthenticatorConfig| {
        config.status.as_ref().and_then(|status| status.observed_generation) == Some(2)
    });
    patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
    looked_at.await;
    (fixture, operator)
}

#[tokio::test]
async fn a_secret_that_comes_late_counts_at_once() {
    let (fixture, _operator) = waiting_for_a_secret().await;
    fixture.create_secret(&fixture.token).await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_secret_that_changes_counts_at_once() {
    let (fixture, _operator) = waiting_for_a_secret().await;
    fixture.create_secret("of-another-time").await;
    fixture.config_says("Unauthorized").await;
    fixture.set_token(&fixture.token).await;
    fixture.request_says("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn a_secret_that_goes_is_not_used_any_more() {
    let (fixture, _operator) = Fixture::ready_with(never_by_itself).await;
    fixture.delete_secret().await;
    // The watch tells it at once, which is not yet. Nobody has the id of the requests until then.
    for number in 0..1000 {
        let name = format!("request-{number}");
        fixture.create_request_of(&name, "nobody").await;
        let stalled = |request: &EnrollmentRequest| conditions(request) == STALLED;
        let request = wait_for(fixture.requests(), &name, "is stalled", stalled).await;
        if reason(&request) == "SecretNotFound" {
            break;
        }
        assert_eq!(reason(&request), "IdentityNotFound");
    }
    fixture.create_request().await;
    fixture.request_says("SecretNotFound").await;
    let about_jane = |call: &Recorded| call.path.contains(&format!("identities/{JANE}"));
    assert!(!fixture.realm.requests().iter().any(about_jane));
}

#[tokio::test]
async fn a_token_that_is_replaced_under_load_loses_no_enrolment_and_sends_none_twice() {
    let (fixture, _operator) = Fixture::ready().await;
    let identities: Vec<String> = (0..MANY).map(|number| format!("identity-{number}")).collect();
    for identity in &identities {
        fixture.realm.add_identity(Identity::active(identity, &format!("{identity}@example.com")));
    }
    let create = async {
        for identity in &identities {
            fixture.create_request_of(identity, identity).await;
        }
    };
    // The service forgets the old token before the Secret has the new one, each time at a moment when some are out.
    let rotate = async {
        for rotation in 1..=ROTATIONS {
            let sent = MANY * rotation / (ROTATIONS + 1);
            eventually("some are out", || fixture.realm.outbox().len() >= sent).await;
            let token = format!("{}-{rotation}", fixture.token);
            fixture.realm.set_token(&token);
            fixture.set_token(&token).await;
        }
    };
    tokio::join!(create, rotate);
    for identity in &identities {
        fixture.named_request_says(identity, "LinkSent").await;
    }
    let mut mailed: Vec<String> = fixture.realm.outbox().into_iter().map(|email| email.identity_id).collect();
    mailed.sort();
    let mut all = identities.clone();
    all.sort();
    assert_eq!(mailed, all, "one each");
}
