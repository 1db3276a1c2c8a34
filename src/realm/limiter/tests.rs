//! The limiter on a paused clock: which waiters are granted a turn, and which calls a gate admits.

use super::*;
use crate::beyond_identity::{CREATE_JOB, Doubt, Held};
use crate::reconcile::{KindName, ObjectKey};

/// The names of the granted waiters.
type Names = Arc<Mutex<Vec<String>>>;

fn waiter(name: &str) -> ObjectKey {
    ObjectKey { namespace: "namespace".to_owned(), kind: KindName::EnrollmentRequest, name: name.to_owned() }
}

fn recording() -> (Names, EnqueueFn) {
    let granted = Names::default();
    let seen = granted.clone();
    (granted, Arc::new(move |waiter| seen.lock().push(waiter.name.clone())))
}

fn too_many(after: Option<u64>) -> Error {
    let after = after.map(Duration::from_secs);
    Error::Retry { cause: NotSent::TooManyCalls, after, message: "429".to_owned() }
}

fn started() -> Arc<Limiters> {
    let limiters = Arc::new(Limiters::default());
    let granting = limiters.clone();
    tokio::spawn(async move { granting.grant_turns().await });
    limiters
}

#[tokio::test(start_paused = true)]
async fn throttling_applies_to_one_tenant_as_a_whole() {
    let (limiters, (granted, enqueue)) = (started(), recording());
    let admit = |endpoint, tenant, name| limiters.admit(endpoint, tenant, waiter(name), true, enqueue.clone());
    let (one, other) = (admit("https://a", "t", "one").unwrap(), admit("https://a", "t", "other").unwrap());
    one.begin(CREATE_JOB).unwrap();
    one.end(CREATE_JOB, Instant::now(), Some(&too_many(Some(30))));
    assert_eq!(
        other.begin(CREATE_JOB),
        Err(Held::RateLimited(Duration::from_secs(30))),
        "an admitted reconcile makes no call either"
    );
    assert_eq!(admit("https://a", "t", "new").unwrap_err(), Duration::from_secs(30));
    assert_eq!(limiters.waiting(), 3, "for the metric");
    for (endpoint, tenant) in [("https://b", "t"), ("https://a", "u")] {
        admit(endpoint, tenant, "elsewhere").unwrap().begin(CREATE_JOB).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(granted.lock().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*granted.lock(), ["one"], "one call finds out whether the service responds");
    let one = admit("https://a", "t", "one").unwrap();
    assert!(matches!(other.begin(CREATE_JOB), Err(Held::RateLimited(_))));
    one.begin(CREATE_JOB).unwrap();
    one.end(CREATE_JOB, Instant::now(), None);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(*granted.lock(), ["one", "other", "new"], "each waiter once, first in first out");
    assert_eq!(limiters.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_a_server_error_pauses_only() {
    let (limiters, (granted, enqueue)) = (started(), recording());
    let permit = limiters.admit("https://a", "t", waiter("one"), true, enqueue.clone()).unwrap();
    let error = |after| Error::InDoubt { cause: Doubt::Server, status: Some(503), after, message: "503".to_owned() };
    permit.end(CREATE_JOB, Instant::now(), Some(&error(None)));
    permit.begin(CREATE_JOB).unwrap();
    permit.end(CREATE_JOB, Instant::now(), Some(&error(Some(Duration::from_secs(5)))));
    assert_eq!(permit.begin(CREATE_JOB), Err(Held::RateLimited(Duration::from_secs(5))));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(*granted.lock(), ["one"]);
    let permit = limiters.admit("https://a", "t", waiter("one"), true, enqueue).unwrap();
    permit.begin(CREATE_JOB).unwrap();
    permit.end(CREATE_JOB, Instant::now(), None);
    (0..100).for_each(|_| permit.begin(CREATE_JOB).unwrap());
}

#[tokio::test(start_paused = true)]
async fn reconcile_without_a_call_uses_no_turn() {
    let (limiters, (granted, enqueue)) = (started(), recording());
    let permit = limiters.admit("https://a", "t", waiter("first"), true, enqueue.clone()).unwrap();
    permit.end(CREATE_JOB, Instant::now(), Some(&too_many(Some(0))));
    let admit = |name| limiters.admit("https://a", "t", waiter(name), true, enqueue.clone());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*granted.lock(), ["first"]);
    drop(admit("first").unwrap());
    let probe = admit("one").unwrap();
    probe.begin(CREATE_JOB).unwrap();
    probe.end(CREATE_JOB, Instant::now(), None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(admit("one").unwrap());
    let two = admit("two").unwrap();
    two.begin(CREATE_JOB).unwrap();
    drop(two);
    assert_eq!(admit("three").unwrap_err(), Duration::ZERO, "the call used the turn");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*granted.lock(), ["first", "three"]);
}
