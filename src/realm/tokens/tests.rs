//! The rules of the token cache on a clock of the test, and one request for all callers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::state::{CallRefusal, Decision, TokenState};
use super::{Issuer, Tokens};
use crate::api::{ProviderConfigKey, ProviderConfigKind, Reason};
use crate::beyond_identity::{ApiToken, ClientCredentials, Endpoint, IssuedToken, Region, TokenEndpoint};
use crate::reconcile::Failure;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn issued(token: &str, lifetime: Duration) -> IssuedToken {
    IssuedToken { token: ApiToken::parse(token.as_bytes()).unwrap(), lifetime, scopes: None }
}

fn outage() -> Failure {
    Failure::transient(Reason::ServiceUnavailable, "outage")
}

fn refusal() -> Failure {
    Failure::blocked(Reason::TokenRequestRefused, "refused")
}

/// A state, and the time since its first token was requested.
struct Case {
    state: TokenState,
    start: Instant,
}

impl Case {
    /// A state with a token that lasts an hour.
    fn with_token() -> Self {
        let mut case = Self { state: TokenState::default(), start: Instant::now() };
        case.issue(0, 3600);
        case
    }

    fn issue(&mut self, at: u64, lifetime: u64) {
        self.state.issued(issued("hunter2", seconds(lifetime)), self.start + seconds(at), Timestamp::UNIX_EPOCH);
    }

    fn fail(&mut self, at: u64, why: Failure) -> bool {
        self.state.failed(why, self.start + seconds(at))
    }

    /// Whether the next call has another token after this refusal.
    fn refuse(&mut self, at: u64, number: u64, refusal: CallRefusal) -> bool {
        self.state.refused(number, refusal, self.start + seconds(at))
    }

    /// The decision at this time, as one word, with the number of the token.
    fn decide(&self, at: u64) -> String {
        match self.state.decide(self.start + seconds(at)) {
            Decision::Use(token) => format!("use {}", token.number),
            Decision::Renew(token) => format!("renew {}", token.number),
            Decision::Request => "request".to_owned(),
            Decision::Fail(why) => format!("{} {}", why.why.message, why.after.unwrap().as_secs()),
        }
    }
}

#[test]
fn token_is_renewed_before_it_expires() {
    assert!(matches!(TokenState::default().decide(Instant::now()), Decision::Request));
    let case = Case::with_token();
    let decisions = [0, 3299, 3300, 3569, 3570, 3600].map(|at| case.decide(at));
    assert_eq!(decisions, ["use 1", "use 1", "renew 1", "renew 1", "request", "request"]);
    // Of a short life, the last fifth is for the renewal.
    let mut case = Case::with_token();
    case.issue(0, 100);
    assert_eq!([79, 80, 94, 95].map(|at| case.decide(at)), ["use 2", "renew 2", "renew 2", "request"]);
    // The longest accepted life overflows no clock.
    case.issue(0, 100 * 24 * 3600);
    assert_eq!(case.decide(99 * 24 * 3600), "use 3");
}

#[test]
fn failed_renewal_keeps_the_token_until_it_expires() {
    for why in [outage(), refusal()] {
        let mut case = Case::with_token();
        assert!(case.fail(3300, why.clone()));
        assert_eq!([3300, 3301, 3569].map(|at| case.decide(at)), ["use 1", "renew 1", "renew 1"]);
        assert!(!case.fail(3569, why.clone()), "not news");
        assert_eq!([3570, 3571].map(|at| case.decide(at)), [format!("{} 1", why.why.message), "request".to_owned()]);
        case.issue(3600, 3600);
        assert_eq!(case.decide(3600), "use 2");
    }
}

#[test]
fn failure_answers_for_a_growing_time() {
    let mut case = Case { state: TokenState::default(), start: Instant::now() };
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        case.fail(0, outage());
        assert_eq!(case.decide(0), format!("outage {pause}"));
        assert_eq!(case.decide(pause), "request");
    }
    case.fail(0, Failure { after: Some(seconds(300)), ..outage() });
    assert_eq!(case.decide(0), "outage 300", "the service asks for a longer time");
    case.issue(0, 10);
    case.fail(9, outage());
    assert_eq!(case.decide(10), "request", "a success ends the row");
}

#[test]
fn refused_token_is_renewed_once_and_at_most_each_minute() {
    for refused in [CallRefusal::Unauthorized, CallRefusal::Forbidden] {
        let mut case = Case::with_token();
        assert!(case.refuse(10, 1, refused));
        assert!(case.refuse(10, 1, refused), "another call with the same token");
        assert_eq!(case.decide(10), "request");
        case.issue(10, 3600);
        assert_eq!(case.decide(10), "use 2");
        // A late refusal of the first token says nothing about the second.
        assert!(case.refuse(11, 1, refused));
        assert_eq!(case.decide(11), "use 2");
        // The second one is refused, too, as for a missing scope.
        assert!(!case.refuse(11, 2, refused), "the same token serves the next call");
        assert_eq!([11, 69, 70].map(|at| case.decide(at)), ["use 2", "use 2", "request"]);
        case.issue(70, 3600);
        assert!(!case.refuse(71, 3, refused));
        assert_eq!([71, 129, 130].map(|at| case.decide(at)), ["use 3", "use 3", "request"]);
        assert!(case.refuse(130, 3, refused));
        // The refusal does not prolong its life.
        let mut case = Case::with_token();
        case.refuse(3599, 1, refused);
        case.issue(3599, 10);
        case.refuse(3599, 2, refused);
        assert_eq!(case.decide(3609), "request");
    }
}

#[test]
fn failed_renewal_of_a_refused_token_is_reported() {
    for (refused, why, expected) in [
        (CallRefusal::Unauthorized, outage(), "outage 1"),
        (CallRefusal::Unauthorized, refusal(), "refused 1"),
        (CallRefusal::Forbidden, refusal(), "refused 1"),
        // The token may lack a scope for one call, and serve all others.
        (CallRefusal::Forbidden, outage(), "use 1"),
    ] {
        let mut case = Case::with_token();
        case.refuse(10, 1, refused);
        case.fail(10, why);
        assert_eq!([10, 11].map(|at| case.decide(at)), [expected, "request"], "{refused:?}");
    }
}

#[test]
fn expiration_is_that_of_the_token_itself_if_it_states_one() {
    let mut case = Case::with_token();
    assert_eq!(case.state.expires_at(), Timestamp::from_second(3600).ok());
    let jwt = format!("e30.{}.c2ln", data_encoding::BASE64URL_NOPAD.encode(br#"{"exp": 1800000000}"#));
    case.state.issued(issued(&jwt, seconds(3600)), case.start, Timestamp::UNIX_EPOCH);
    assert_eq!(case.state.expires_at(), Timestamp::from_second(1_800_000_000).ok());
}

fn key() -> ProviderConfigKey {
    let kind = ProviderConfigKind::ClusterProviderConfig;
    ProviderConfigKey { kind, namespace: None, name: "default".to_owned() }
}

fn issuer(secret: &str) -> Issuer {
    let endpoint = TokenEndpoint {
        auth: Endpoint::of_tokens(Region::US),
        tenant_id: "tenant".to_owned(),
        realm_id: "admin".to_owned(),
        application_id: "application".to_owned(),
        scopes: Vec::new(),
    };
    Issuer { endpoint, client: ClientCredentials::new("client", secret) }
}

/// The number of requests so far.
#[derive(Default)]
struct Requests(AtomicUsize);

impl Requests {
    /// A request that takes a second.
    async fn make(&self, result: Result<IssuedToken, Failure>) -> Result<IssuedToken, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(seconds(1)).await;
        result
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_request() {
    let (tokens, requests, key, issuer) = (Tokens::default(), Requests::default(), key(), issuer("a"));
    for result in [Err(outage()), Ok(issued("hunter2", seconds(3600)))] {
        let before = requests.count();
        let get = || tokens.get(&key, &issuer, requests.make(result.clone()));
        let all = futures::future::join_all((0..500).map(|_| get())).await;
        assert_eq!(requests.count(), before + 1, "{result:?}");
        assert!(all.iter().all(|got| got.is_ok() == result.is_ok()));
        tokio::time::sleep(seconds(1)).await;
    }
}

/// Otherwise each caller would request a token of its own, one after the other.
#[tokio::test(start_paused = true)]
async fn token_that_expires_on_its_way_is_a_failure_of_all_callers() {
    let (tokens, requests, key, issuer) = (Tokens::default(), Requests::default(), key(), issuer("a"));
    let get = || tokens.get(&key, &issuer, requests.make(Ok(issued("hunter2", seconds(1)))));
    let all = futures::future::join_all((0..500).map(|_| get())).await;
    assert_eq!(requests.count(), 1);
    assert!(all.into_iter().all(|got| got.unwrap_err().why.message.starts_with("The token expired before")));
    // The pause doubles, as after other failures.
    for (pause, count) in [(1, 2), (1, 2), (1, 3)] {
        tokio::time::sleep(seconds(pause)).await;
        get().await.unwrap_err();
        assert_eq!(requests.count(), count);
    }
}

#[tokio::test(start_paused = true)]
async fn renewal_delays_only_the_caller_that_makes_it() {
    let (tokens, requests, key, issuer) = (Tokens::default(), Requests::default(), key(), issuer("a"));
    let get = || tokens.get(&key, &issuer, requests.make(Ok(issued("hunter2", seconds(100)))));
    get().await.unwrap();
    tokio::time::sleep(seconds(85)).await;
    let begun = Instant::now();
    let timed = async || {
        get().await.unwrap();
        begun.elapsed()
    };
    let took = tokio::join!(timed(), timed(), timed());
    assert_eq!(took, (seconds(1), seconds(0), seconds(0)));
    assert_eq!(requests.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn cancelled_request_leaves_it_to_the_next_caller() {
    let (tokens, requests, key, issuer) = (Tokens::default(), Requests::default(), key(), issuer("a"));
    let get = || tokens.get(&key, &issuer, requests.make(Ok(issued("hunter2", seconds(100)))));
    tokio::time::timeout(Duration::from_millis(1), get()).await.unwrap_err();
    get().await.unwrap();
    assert_eq!(requests.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn changed_secret_or_spec_requests_another_token_at_once() {
    let (tokens, requests, key) = (Tokens::default(), Requests::default(), key());
    let get = async |issuer: &Issuer, result| tokens.get(&key, issuer, requests.make(result)).await;
    get(&issuer("a"), Err(refusal())).await.unwrap_err();
    let first = get(&issuer("b"), Ok(issued("first", seconds(100)))).await.unwrap();
    assert_eq!(requests.count(), 2, "the failure of another secret does not count");
    let mut another = issuer("b");
    another.endpoint.application_id = "another".to_owned();
    get(&another, Ok(issued("second", seconds(100)))).await.unwrap();
    assert_eq!(requests.count(), 3);
    first.refused(CallRefusal::Unauthorized);
    get(&another, Err(outage())).await.unwrap();
    assert_eq!(requests.count(), 3, "a late refusal of the first token does not affect the second");
}
