//! Rate limits of the service: they apply to the whole tenant, its namespaces share the rate fairly, and each request
//! still sends one email.

use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, HasStatus};
use futures::future::join_all;
use harness::simulator::{Effect, Identity, Operation, Outcome, Quota, RealmHandle, Reply, Rule, Tells};
use kube::api::DeleteParams;

use crate::fixture::{
    CONFIG, Fixture, History, JANE, REQUEST, conditions, eventually, message, poll_often, wait_until_deleted,
};

/// In seconds; longer than any test takes.
const NEVER: u64 = 3600;

/// The number of the tenant's calls that were answered with 429, and the number of all its calls.
fn calls(realm: &RealmHandle) -> (usize, usize) {
    let all = realm.requests_of_tenant();
    (all.iter().filter(|call| call.outcome == Outcome::Answered(429)).count(), all.len())
}

/// Answers the next call of this operation with 429, and a `Retry-After` longer than the test takes.
fn rate_limit_next(realm: &RealmHandle, operation: Operation) {
    let reply = Reply::too_many_requests(Some(NEVER));
    realm.fault(Rule::new(Effect::Answer(reply)).on(operation).once());
}

/// Creates requests of these names, each for its own identity.
async fn create_requests(fixture: &Fixture, names: &[String]) {
    for name in names {
        let identity = format!("{}-{name}", fixture.namespace);
        fixture.realm.add_identity(Identity::active(&identity, &format!("{identity}@example.com")));
        fixture.create_request_of(name, &identity).await;
    }
}

/// Waits until Ready of all requests has this reason.
async fn all_have_reason(fixture: &Fixture, names: &[String], wanted: &str) -> Vec<EnrollmentRequest> {
    join_all(names.iter().map(|name| fixture.wait_for_request_named(name, wanted))).await
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("request-{n}")).collect()
}

#[tokio::test]
async fn rate_limit_applies_to_one_whole_tenant() {
    let (fixture, elsewhere) = (Fixture::new().await, Fixture::new().await);
    let (beside, realm_beside) = (fixture.other_namespace().await, fixture.with_another_realm().await);
    let other_tenant = elsewhere.reconciled_by(&fixture).await;
    let _operator = fixture
        .start_with(|settings| {
            settings.watch_namespaces =
                [&fixture, &beside, &other_tenant].map(|fixture| fixture.namespace.clone()).to_vec();
        })
        .await;
    for fixture in [&fixture, &beside, &other_tenant] {
        fixture.create_config().await;
        fixture.wait_for_config("Available").await;
    }
    rate_limit_next(&fixture.realm, Operation::GetIdentity);
    fixture.create_request().await;
    fixture.wait_for_request("RateLimited").await;
    assert_eq!(calls(&fixture.realm).0, 1);
    let before = calls(&fixture.realm).1;

    // Another object, kind, namespace and realm: each is RateLimited, and no call is made for it.
    fixture.create_request_of("another", "somebody").await;
    let waiting = fixture.wait_for_request_named("another", "RateLimited").await;
    assert_eq!(conditions(&waiting), "Reconciling=True Ready=False");
    assert_eq!(
        message(&waiting),
        "The service limits the request rate of the tenant; this object is queued until it may send requests"
    );
    beside.create_request().await;
    beside.wait_for_request("RateLimited").await;
    realm_beside.create_config_named("in-another-realm").await;
    realm_beside.wait_for_config_named("in-another-realm", "RateLimited").await;
    other_tenant.create_request().await;
    other_tenant.wait_for_request("LinkSent").await;
    assert_eq!(calls(&fixture.realm).1, before, "no call is made");
    assert_eq!(fixture.realm.outbox(), []);
    assert_eq!(elsewhere.realm.outbox().len(), 1);
}

#[tokio::test]
async fn waiting_request_is_written_once_and_settled_ones_never() {
    let (fixture, _operator) = Fixture::ready_with(poll_often).await;
    fixture.create_request().await;
    let settled = fixture.wait_for_request("LinkSent").await;
    let config = fixture.wait_for_config("Available").await;
    rate_limit_next(&fixture.realm, Operation::GetJob);
    eventually("a poll of the job is rate limited", || calls(&fixture.realm).0 == 1).await;
    let before = calls(&fixture.realm).1;

    fixture.realm.add_identity(Identity::active("new", "new@example.com"));
    let history = History::of(&fixture.requests(), "new").await;
    fixture.create_request_of("new", "new").await;
    history.first_with_reason("RateLimited").await;
    // Further triggers do not write the same status again.
    for value in ["one", "two"] {
        fixture.annotate_request("new", value).await;
        fixture.annotate_request(REQUEST, value).await;
    }
    fixture.create_request_of("newer", JANE).await;
    fixture.wait_for_request_named("newer", "RateLimited").await;
    let statuses = |history: &History<EnrollmentRequest>| {
        let mut all: Vec<_> = history.versions().into_iter().filter_map(|version| version.status).collect();
        all.dedup();
        all.into_iter().filter(|status| status.observed_generation == Some(1)).count()
    };
    assert_eq!(statuses(&history), 1);
    let now = fixture.wait_for_request("LinkSent").await;
    assert_eq!(now.status, settled.status);
    assert_eq!(fixture.wait_for_config("Available").await.metadata.resource_version, config.metadata.resource_version);
    assert_eq!(calls(&fixture.realm).1, before);
}

#[tokio::test]
async fn rate_limited_send_clears_its_record_and_waits() {
    let (fixture, _operator) = Fixture::ready().await;
    let history = History::of(&fixture.requests(), REQUEST).await;
    let busy = Reply::too_many_requests(Some(2));
    fixture.realm.fault(Rule::new(Effect::Answer(busy)).on(Operation::CreateJob).once());
    fixture.create_request().await;
    let waiting = history.first_with_reason("RateLimited").await;
    assert_eq!(waiting.status.as_ref().unwrap().send, None, "the send is not in doubt");
    fixture.wait_for_request("LinkSent").await;
    let all = fixture.realm.requests_of_tenant();
    let at = all.iter().position(|call| call.outcome == Outcome::Answered(429)).unwrap();
    assert!(all.len() > at + 1, "calls continue after the delay");
    assert!(all[at + 1].time.duration_since(all[at].time).as_secs() >= 2, "no call before the delay ends");
    assert_eq!(fixture.realm.outbox().len(), 1);
}

#[tokio::test]
async fn server_error_with_retry_after_limits_the_tenant() {
    let (fixture, _operator) = Fixture::ready().await;
    let reply = Reply::unavailable().header("retry-after", &NEVER.to_string());
    fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(Operation::GetIdentity).once());
    fixture.create_request().await;
    fixture.wait_for_request("ServiceUnavailable").await;
    let before = calls(&fixture.realm).1;
    fixture.create_request_of("another", "somebody").await;
    fixture.wait_for_request_named("another", "RateLimited").await;
    assert_eq!(calls(&fixture.realm).1, before);
}

#[tokio::test]
async fn one_call_finds_out_whether_a_pause_is_over() {
    let (fixture, _operator) = Fixture::ready().await;
    let reply = Reply::unavailable().header("retry-after", "2");
    let fault = fixture.realm.fault(Rule::new(Effect::Answer(reply)).on(Operation::GetIdentity));
    let names = names(6);
    create_requests(&fixture, &names).await;
    // The calls of the first pause may have begun together.
    let (first, pauses) = (names.len(), 4);
    let calls = || fixture.realm.requests_of(Operation::GetIdentity);
    eventually("four more pauses are over", || calls().len() >= first + pauses).await;
    let mut times: Vec<_> = calls().into_iter().map(|call| call.time).collect();
    times.sort();
    for pair in times[times.len() - pauses..].windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_secs() >= 2, "{times:?}");
    }
    fixture.realm.remove_fault(fault);
    all_have_reason(&fixture, &names, "LinkSent").await;
    assert_eq!(fixture.mailed().len(), names.len());
}

#[tokio::test]
async fn requests_under_quota_send_one_email_with_few_429s() {
    join_all([Tells::Seconds, Tells::Date, Tells::Reset, Tells::Nothing].map(under_a_quota)).await;
}

async fn under_a_quota(tells: Tells) {
    let (fixture, _operator) = Fixture::ready().await;
    let names = names(40);
    let quota = Quota { calls: 30, window: Duration::from_secs(2), tells };
    fixture.realm.set_quota(quota);
    let started = std::time::Instant::now();
    create_requests(&fixture, &names).await;
    all_have_reason(&fixture, &names, "LinkSent").await;
    let (too_many, all) = calls(&fixture.realm);
    let took = started.elapsed();
    println!("{tells:?}: 40 requests took {all} calls, {too_many} of them answered with 429, in {took:?}");
    let mut mailed: Vec<_> = fixture.realm.outbox().into_iter().map(|email| email.identity_id).collect();
    mailed.sort();
    mailed.dedup();
    assert_eq!((mailed.len(), fixture.realm.outbox().len()), (40, 40), "{tells:?}");
    assert!(too_many * 5 < all, "{tells:?}: {too_many} of {all} calls were answered with 429");
    // A busy machine may stay below the quota, so that no call is answered with 429.
    let by_quota = quota.window * (u32::try_from(all).unwrap() / quota.calls);
    assert!(too_many > 0 || took > by_quota, "{tells:?}: no call was answered with 429, in {took:?}");
}

#[tokio::test]
async fn few_requests_do_not_wait_behind_a_busy_namespace() {
    let many = Fixture::new().await;
    let few = many.other_namespace().await;
    let both = [many.namespace.clone(), few.namespace.clone()].to_vec();
    let _operator = many.start_with(|settings| settings.watch_namespaces = both).await;
    for fixture in [&many, &few] {
        fixture.create_config().await;
        fixture.wait_for_config("Available").await;
    }
    let quota = Quota { calls: 12, window: Duration::from_secs(2), tells: Tells::Seconds };
    many.realm.set_quota(quota);
    let (names_of_many, names_of_few) = (names(60), names(4));
    create_requests(&many, &names_of_many).await;
    eventually("the tenant is rate limited", || calls(&many.realm).0 > 0).await;
    create_requests(&few, &names_of_few).await;
    let before = many.realm.outbox().len();
    all_have_reason(&few, &names_of_few, "LinkSent").await;
    let mailed = many.realm.outbox();
    let of_few: Vec<_> = (0..mailed.len()).filter(|at| mailed[*at].identity_id.starts_with(&few.namespace)).collect();
    println!("the few came after {before} emails; theirs were number {of_few:?} of 64");
    // At most the in-flight requests of the many come first, and then one of them for each of the few.
    assert!(of_few.len() == 4 && of_few[3] < before + 16 + 2 * 4, "after {before} emails: {of_few:?}");
}

#[tokio::test]
async fn rate_limited_deletion_continues_after_the_delay() {
    let (fixture, _operator) = Fixture::ready().await;
    let busy = Reply::too_many_requests(Some(1));
    fixture.realm.fault(Rule::new(Effect::Answer(busy)).on(Operation::GetConfig).once());
    let history = History::of(&fixture.configs(), CONFIG).await;
    fixture.configs().delete(CONFIG, &DeleteParams::default()).await.unwrap();
    let waiting = history.first_with_reason("RateLimited").await;
    assert_eq!(conditions(&waiting), "Ready=True", "an object that is being deleted keeps its conditions");
    assert!(!waiting.conditions().is_empty());
    wait_until_deleted(fixture.configs(), CONFIG).await;
    assert_eq!(fixture.realm.configs(), []);
}
