//! The Secret is watched: a change takes effect at once, whatever the requeue delay, and no email is lost.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use harness::simulator::{Identity, Recorded};
use serde_json::json;

use crate::fixture::{
    CONFIG, Fixture, JANE, Operator, conditions, eventually, patch, reason, wait_for, without_timers,
};

/// The number of requests that are sent while the token is rotated.
const MANY: usize = 30;
/// The number of rotations.
const ROTATIONS: usize = 3;

const STALLED: &str = "Stalled=True Ready=False";

/// A fixture in which an AuthenticatorConfig and a request wait for a missing Secret, and are not retried by a timer.
async fn waiting_for_secret() -> (Fixture, Operator) {
    let fixture = Fixture::new().await;
    fixture.delete_secret().await;
    let operator = fixture.start_with(without_timers).await;
    fixture.create_config().await;
    fixture.create_request().await;
    let config = fixture.wait_for_config("SecretNotFound").await;
    assert_eq!(conditions(&config), STALLED);
    // The first reconcile starts the grace period and requeues soon. The second finds it ended.
    let reconciled = wait_for(fixture.configs(), CONFIG, "is reconciled again", |config: &AuthenticatorConfig| {
        config.status.as_ref().and_then(|status| status.observed_generation) == Some(2)
    });
    patch(&fixture.configs(), CONFIG, json!({"spec": {"displayName": "Another"}})).await.unwrap();
    reconciled.await;
    (fixture, operator)
}

#[tokio::test]
async fn created_secret_takes_effect_at_once() {
    let (fixture, _operator) = waiting_for_secret().await;
    fixture.create_secret(&fixture.token).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn changed_secret_takes_effect_at_once() {
    let (fixture, _operator) = waiting_for_secret().await;
    fixture.create_secret("of-another-time").await;
    fixture.wait_for_config("Unauthorized").await;
    fixture.set_token(&fixture.token).await;
    fixture.wait_for_request("LinkSent").await;
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn deleted_secret_is_no_longer_used() {
    let (fixture, _operator) = Fixture::ready_with(without_timers).await;
    fixture.delete_secret().await;
    // The watch delivers the deletion with some delay. The requests until then name no existing identity.
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
    fixture.wait_for_request("SecretNotFound").await;
    let about_jane = |call: &Recorded| call.path.contains(&format!("identities/{JANE}"));
    assert!(!fixture.realm.requests().iter().any(about_jane));
}

#[tokio::test]
async fn token_rotation_under_load_sends_one_email_each() {
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
    // The service rejects the old token before the Secret has the new one. Each time, some emails are already sent.
    let rotate = async {
        for rotation in 1..=ROTATIONS {
            let sent = MANY * rotation / (ROTATIONS + 1);
            eventually("some emails are sent", || fixture.realm.outbox().len() >= sent).await;
            let token = format!("{}-{rotation}", fixture.token);
            fixture.realm.set_token(&token);
            fixture.set_token(&token).await;
        }
    };
    tokio::join!(create, rotate);
    for identity in &identities {
        fixture.wait_for_request_named(identity, "LinkSent").await;
    }
    let mut mailed: Vec<String> = fixture.realm.outbox().into_iter().map(|email| email.identity_id).collect();
    mailed.sort();
    let mut all = identities.clone();
    all.sort();
    assert_eq!(mailed, all, "one email for each identity");
}
