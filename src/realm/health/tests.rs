//! Tests of the health: what stops calls, when checks are due, and who continues afterwards.

mod realm;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::state::{Health, Purpose};
use super::verdict::{Subject, TokenClaims, Verdict, of_check, of_error};
use super::{HealthGate, Healths, Restrictions};
use crate::api::{ProviderConfigKey, ProviderConfigKind, Reason};
use crate::beyond_identity::{
    CREATE_CONFIG, CREATE_JOB, Doubt, Error, Gate, Held, NotSent, Operation, RealmCheck, Refusal,
};
use crate::reconcile::{Failure, FailureKind, KindName};

const INTERVAL: Duration = Duration::from_secs(600);
const SEND: Purpose = Purpose { kind: KindName::EnrollmentRequest, is_new: true };
const POLL: Purpose = Purpose { kind: KindName::EnrollmentRequest, is_new: false };
const CREATE: Purpose = Purpose { kind: KindName::AuthenticatorConfig, is_new: true };

fn key() -> ProviderConfigKey {
    ProviderConfigKey {
        kind: ProviderConfigKind::ProviderConfig,
        namespace: Some("team".to_owned()),
        name: "own".to_owned(),
    }
}

fn refused(cause: Refusal) -> Error {
    Error::Refused { cause, message: "GET it was refused".to_owned() }
}

fn unavailable() -> Error {
    Error::InDoubt { cause: Doubt::Server, status: Some(503), after: None, message: "GET it failed".to_owned() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An annotation stops all sends.
fn paused() -> Restrictions {
    Restrictions { is_paused: true, ..Restrictions::default() }
}

/// A check without a failure.
fn passed() -> RealmCheck {
    RealmCheck { granted: vec![CREATE_JOB], ..RealmCheck::default() }
}

fn failed(error: Error) -> RealmCheck {
    RealmCheck { failure: Some(error), ..RealmCheck::default() }
}

fn verdict_of(check: &RealmCheck) -> Option<Verdict> {
    of_check(check, Subject { tenant_id: "tenant", claims: &TokenClaims::default() }, at(100))
}

fn refusal(verdict: Option<Verdict>) -> Failure {
    let Some(Verdict::Refused(failure)) = verdict else { panic!("not refused: {verdict:?}") };
    failure
}

/// Health after this check at `now`.
fn checked(check: &RealmCheck, now: Instant) -> Health {
    let mut health = Health::default();
    health.checked(verdict_of(check), check, now, INTERVAL);
    health
}

#[test]
fn each_failure_of_a_check_has_its_reason() {
    for (error, reason, kind) in [
        (refused(Refusal::Unauthorized), Reason::Unauthorized, FailureKind::Blocked),
        (refused(Refusal::UnknownRealm), Reason::RealmNotFound, FailureKind::Blocked),
        (Error::NotFound { message: "404".to_owned() }, Reason::RealmNotFound, FailureKind::Blocked),
        (unavailable(), Reason::ServiceUnavailable, FailureKind::Transient),
    ] {
        let failure = refusal(verdict_of(&failed(error.clone())));
        assert_eq!((failure.why.reason, failure.kind), (reason, kind), "{error:?}");
    }
    assert_eq!(verdict_of(&passed()), Some(Verdict::Accepted));
    let forbidden = RealmCheck { forbidden: vec![CREATE_JOB, CREATE_CONFIG], ..RealmCheck::default() };
    assert_eq!(refusal(verdict_of(&forbidden)).why.reason, Reason::PermissionDenied);
    let partly = RealmCheck { forbidden: vec![CREATE_JOB], ..passed() };
    assert_eq!(verdict_of(&partly), Some(Verdict::Accepted), "one missing scope stops only what needs it");
    let limited = Error::Retry { cause: NotSent::TooManyCalls, after: None, message: "429".to_owned() };
    assert_eq!(verdict_of(&failed(limited)), None, "a rate limit says nothing about the credentials");
}

#[test]
fn token_claims_explain_a_refusal_but_cause_none() {
    let expired = TokenClaims { expires_at: Some(at(99)), tenant_id: Some("another".to_owned()), is_issued: false };
    let foreign = TokenClaims { expires_at: Some(at(101)), tenant_id: Some("another".to_owned()), is_issued: false };
    let ours = TokenClaims { expires_at: Some(at(101)), tenant_id: Some("tenant".to_owned()), is_issued: false };
    let verdict = |error: Error, claims| of_error(&error, Subject { tenant_id: "tenant", claims }, at(100));
    for (claims, reason) in
        [(&expired, Reason::TokenExpired), (&foreign, Reason::TenantMismatch), (&ours, Reason::Unauthorized)]
    {
        assert_eq!(refusal(verdict(refused(Refusal::Unauthorized), claims)).why.reason, reason, "{claims:?}");
    }
    let subject = Subject { tenant_id: "tenant", claims: &expired };
    assert_eq!(of_check(&passed(), subject, at(100)), Some(Verdict::Accepted), "the service decides, not our clock");
}

#[test]
fn refused_credentials_stop_every_call_and_name_the_provider_config() {
    let now = Instant::now();
    let mut health = checked(&failed(refused(Refusal::Unauthorized)), now);
    for purpose in [SEND, POLL, CREATE] {
        let failure = health.admit(&key(), purpose, now).unwrap_err();
        assert_eq!(failure.why.reason, Reason::Unauthorized);
        assert!(failure.why.message.starts_with("ProviderConfig team/own is not Ready: GET it was refused"));
    }
    assert!(!health.release_waiting(now), "nothing may continue yet");
    let due = health.due_at(now);
    health.checked(Some(Verdict::Accepted), &passed(), due, INTERVAL);
    assert!(health.admit(&key(), POLL, due).is_ok());
    assert_eq!([health.release_waiting(due), health.release_waiting(due)], [true, false]);
}

#[test]
fn pause_between_failing_checks_grows_to_a_bound() {
    let pauses = |error: Error| -> Vec<u64> {
        let (mut health, mut now) = (Health::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            health.checked(verdict_of(&failed(error.clone())), &failed(error.clone()), now, INTERVAL);
            pauses.push(health.due_at(now).duration_since(now).as_secs());
            now = health.due_at(now);
        }
        pauses
    };
    assert_eq!(pauses(refused(Refusal::Unauthorized)), [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(pauses(unavailable()), [2, 4, 8, 16, 20, 20, 20, 20], "work continues soon after an outage");
    let asked = Duration::from_secs(300);
    let busy = Error::InDoubt { cause: Doubt::Server, status: Some(503), after: Some(asked), message: String::new() };
    assert_eq!(pauses(busy)[0], 300, "the service asked for it");
}

#[test]
fn refused_object_stops_all_calls_until_an_immediate_check() {
    let now = Instant::now();
    let mut health = checked(&passed(), now);
    assert_eq!(health.due_at(now), now + INTERVAL);
    health.suspect(Some(Verdict::Refused(Failure::blocked(Reason::Unauthorized, "401"))), now);
    assert!(health.admit(&key(), POLL, now).is_err());
    assert_eq!(health.due_at(now), now, "it is checked at once");
    health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
    assert!(health.admit(&key(), SEND, now).is_ok(), "the check decides");
}

#[test]
fn contradicted_objects_stop_nothing_and_are_checked_ever_less_often() {
    let mut now = Instant::now();
    let mut health = checked(&passed(), now);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        health.suspect(Some(Verdict::Refused(Failure::blocked(Reason::Unauthorized, "401"))), now);
        pauses.push(health.due_at(now).duration_since(now).as_secs());
        now = health.due_at(now);
        health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
        assert!(health.admit(&key(), SEND, now).is_ok());
    }
    assert_eq!(pauses, [0, 2, 4, 8, 16, 32, 60]);
    health.suspect(Some(Verdict::Refused(Failure::blocked(Reason::Unauthorized, "401"))), now);
    assert!(health.admit(&key(), SEND, now).is_ok(), "one refused operation must not stop all others again and again");
    now += INTERVAL;
    health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
    health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
    health.suspect(Some(Verdict::Refused(Failure::blocked(Reason::Unauthorized, "401"))), now);
    assert!(health.admit(&key(), SEND, now).is_err(), "a quiet check restores the trust in objects");
}

#[test]
fn outage_of_one_object_is_checked_but_stops_nothing() {
    let now = Instant::now();
    let mut health = checked(&passed(), now);
    health.suspect(Some(Verdict::Refused(Failure::transient(Reason::ServiceUnavailable, "503"))), now);
    assert!(health.admit(&key(), SEND, now).is_ok());
    assert_eq!(health.due_at(now), now);
}

#[test]
fn missing_write_scope_stops_new_work_of_its_kind_and_one_object_tries_again() {
    let now = Instant::now();
    let mut health = checked(&passed(), now);
    let scope = CREATE_CONFIG.scope();
    health.lacks(scope, now);
    let after = |seconds| now + Duration::from_secs(seconds);
    assert!(health.clone().release_waiting(after(5)), "the object that met it continues then");
    let failure = health.admit(&key(), CREATE, now).unwrap_err();
    assert_eq!(failure.why.reason, Reason::MissingScopes);
    assert!(failure.why.message.contains("authenticator-configs:create"), "{failure:?}");
    let others = [SEND, POLL, Purpose { is_new: false, ..CREATE }];
    assert!(others.iter().all(|purpose| health.admit(&key(), *purpose, now).is_ok()));
    health.lacks(scope, after(1));
    assert_eq!(health.next_trial(now), Some(after(5)), "calls that had begun say nothing new");
    assert!(!health.release_waiting(after(4)) && health.release_waiting(after(5)));
    assert!(health.admit(&key(), CREATE, after(5)).is_ok(), "one object tries");
    assert!(health.admit(&key(), CREATE, after(5)).is_err(), "the others wait for it");
    health.lacks(scope, after(6));
    assert_eq!(health.next_trial(now), Some(after(16)), "the pause doubles");
    assert!(health.has(scope));
    assert!(health.release_waiting(after(16)) && health.admit(&key(), CREATE, after(16)).is_ok());
}

#[test]
fn missing_removal_scope_needs_no_trial_and_holds_nobody_back() {
    let now = Instant::now();
    let mut health = checked(&failed(refused(Refusal::Unauthorized)), now);
    assert!(health.admit(&key(), SEND, now).is_err());
    health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
    health.lacks("credential-binding-jobs:revoke", now);
    assert_eq!((health.next_trial(now), health.is_ready()), (None, true));
    assert!(health.release_waiting(now));
}

#[test]
fn missing_read_scope_is_decided_by_the_next_check() {
    let now = Instant::now();
    let forbidden = RealmCheck { forbidden: vec![CREATE_JOB], granted: vec![CREATE_CONFIG], ..RealmCheck::default() };
    let mut health = checked(&forbidden, now);
    assert_eq!(health.missing_scopes().collect::<Vec<_>>(), [CREATE_JOB.scope()]);
    assert!(health.admit(&key(), SEND, now).is_err() && health.admit(&key(), POLL, now).is_ok());
    health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
    assert_eq!(health.missing_scopes().count(), 0);
    assert!(health.release_waiting(now));
}

#[test]
fn read_that_only_one_object_is_refused_stops_the_others_once() {
    let mut now = Instant::now();
    let mut health = checked(&passed(), now);
    let scope = CREATE_JOB.scope();
    health.lacks(scope, now);
    assert!(health.admit(&key(), SEND, now).is_err(), "a check follows at once");
    for _ in 0..3 {
        now = health.due_at(now);
        health.checked(Some(Verdict::Accepted), &passed(), now, INTERVAL);
        health.lacks(scope, now);
        assert!(health.admit(&key(), SEND, now).is_ok(), "the check has granted the scope");
    }
}

/// A gate that admits everything.
#[derive(Debug)]
struct Always;

impl Gate for Always {
    fn begin(&self, _: Operation) -> Result<(), Held> {
        Ok(())
    }

    fn end(&self, _: Operation, _: Instant, _: Option<&Error>) {}
}

/// Healths with one accepted provider config, the gate of an object that was admitted, and the requested checks.
fn admitted() -> (Arc<Healths>, HealthGate<Always>, Arc<Mutex<usize>>) {
    let checks = Arc::new(Mutex::new(0));
    let counted = checks.clone();
    let healths = Healths::new("demo", move |_| *counted.lock() += 1);
    healths.begin(&key(), 1, "tenant", &TokenClaims::default(), Restrictions::default());
    healths.checked(&key(), 1, &passed(), Instant::now(), INTERVAL);
    let gate = HealthGate { gate: Always, healths: healths.clone(), key: key(), version: 1 };
    (healths, gate, checks)
}

#[test]
fn calls_that_have_begun_stop_after_the_first_refusal() {
    let (healths, gate, checks) = admitted();
    gate.begin(CREATE_JOB).unwrap();
    gate.end(CREATE_JOB, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    assert_eq!(
        gate.begin(CREATE_JOB),
        Err(Held::Stopped("ProviderConfig team/own is not Ready (Unauthorized)".to_owned()))
    );
    assert_eq!(*checks.lock(), 1, "a check is requested at once");
    healths.checked(&key(), 1, &passed(), Instant::now(), INTERVAL);
    assert!(healths.release_waiting(&key()), "the stopped object continues");
}

#[test]
fn object_that_met_the_refusal_continues_too() {
    let (healths, gate, _) = admitted();
    gate.end(CREATE_JOB, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    assert!(!healths.release_waiting(&key()), "not checked yet");
    healths.checked(&key(), 1, &passed(), Instant::now(), INTERVAL);
    assert!(healths.release_waiting(&key()));
    gate.end(CREATE_JOB, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    healths.checked(&key(), 1, &passed(), Instant::now(), INTERVAL);
    assert!(!healths.release_waiting(&key()), "the service refuses this object only, which retries by itself");
}

#[test]
fn outcome_of_earlier_credentials_says_nothing() {
    let (healths, gate, checks) = admitted();
    gate.begin(CREATE_JOB).unwrap();
    healths.begin(&key(), 2, "tenant", &TokenClaims::default(), Restrictions::default());
    healths.checked(&key(), 2, &passed(), Instant::now(), INTERVAL);
    gate.end(CREATE_JOB, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    let new = HealthGate { version: 2, ..gate };
    assert_eq!((new.begin(CREATE_JOB), *checks.lock()), (Ok(()), 0));
}

#[test]
fn objects_that_wait_continue_with_new_credentials() {
    let (healths, gate, _) = admitted();
    gate.end(CREATE_JOB, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    assert!(gate.begin(CREATE_JOB).is_err());
    healths.unusable(&key(), &Failure::blocked(Reason::SecretNotFound, "no Secret"), false);
    assert_eq!(healths.ready(), [(key(), false)]);
    healths.begin(&key(), 2, "tenant", &TokenClaims::default(), Restrictions::default());
    assert_eq!((healths.ready(), healths.release_waiting(&key())), (vec![], false), "not checked yet");
    healths.checked(&key(), 2, &passed(), Instant::now(), INTERVAL);
    assert_eq!((healths.ready(), healths.release_waiting(&key())), (vec![(key(), true)], true));
}

#[test]
fn refused_removal_stops_no_other_call() {
    let (_, gate, checks) = admitted();
    let revoke = Operation::by_scope("credential-binding-jobs:revoke");
    gate.end(revoke, Instant::now(), Some(&refused(Refusal::Unauthorized)));
    assert_eq!((gate.begin(CREATE_JOB), *checks.lock()), (Ok(()), 1));
}

#[test]
fn paused_provider_config_stops_sends_and_creates_only() {
    let (healths, gate, _) = admitted();
    healths.begin(&key(), 1, "tenant", &TokenClaims::default(), paused());
    for operation in [CREATE_JOB, CREATE_CONFIG] {
        assert!(matches!(gate.begin(operation), Err(Held::Stopped(why)) if why.contains("beyondidentity.dev/paused")));
    }
    assert_eq!(gate.begin(Operation::by_scope("credential-binding-jobs:revoke")), Ok(()));
    assert!(!healths.release_waiting(&key()));
    healths.begin(&key(), 1, "tenant", &TokenClaims::default(), Restrictions::default());
    assert!(healths.release_waiting(&key()), "what was stopped continues after the pause");
}

#[test]
fn pause_stops_calls_that_have_begun_also_without_credentials() {
    let (healths, gate, _) = admitted();
    healths.unusable(&key(), &Failure::blocked(Reason::SecretNotFound, "no Secret"), true);
    assert!(matches!(gate.begin(CREATE_JOB), Err(Held::Stopped(why)) if why.contains("beyondidentity.dev/paused")));
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_the_first_check_and_only_what_is_new_waits_longer() {
    let healths = Healths::new("demo", |_| {});
    let begun = Instant::now();
    assert!(healths.admit(&key(), 1, POLL, true).await.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    let failure = healths.admit(&key(), 1, SEND, true).await.unwrap_err();
    assert_eq!((failure.why.reason, failure.kind), (Reason::ServiceUnavailable, FailureKind::Transient));
    let begun = begun + Duration::from_secs(10);
    assert!(healths.admit(&key(), 1, SEND, false).await.is_ok(), "no check is expected where it is not served");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));

    let waiting = {
        let healths = healths.clone();
        tokio::spawn(async move { healths.admit(&key(), 1, SEND, true).await })
    };
    tokio::task::yield_now().await;
    healths.begin(&key(), 1, "tenant", &TokenClaims::default(), Restrictions::default());
    healths.checked(&key(), 1, &failed(refused(Refusal::Unauthorized)), Instant::now(), INTERVAL);
    assert_eq!(waiting.await.unwrap().unwrap_err().why.reason, Reason::Unauthorized);
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
}
