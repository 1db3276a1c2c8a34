//! Faults: whether the request is carried out, and what the client receives.

use std::time::{Duration, Instant};

use harness::simulator::{Effect, Job, Operation, Outcome, Reply, Rule};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{Api, JANE, jobs_of, start};

/// Long enough that a busy machine polls before it has passed.
const SOON: Duration = Duration::from_secs(2);

async fn eventually(condition: impl Fn() -> bool) {
    timeout(Duration::from_secs(20), async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

async fn enrol(api: &Api) -> reqwest::Result<reqwest::Response> {
    api.send(Method::POST, &jobs_of(JANE), Some(api.enrolment())).await
}

/// Checks for an error after sending: no status, and not a connection error.
#[track_caller]
fn assert_no_answer(result: reqwest::Result<reqwest::Response>) {
    let error = result.expect_err("an answer was received");
    assert!(error.status().is_none() && error.is_request() && !error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn lost_answer_comes_after_the_effect() {
    let api = Api::new();
    let rule = api.realm.fault(Rule::new(Effect::LoseAnswer).on(Operation::CreateJob).once());
    // Also with a connection that is already open.
    assert_eq!(api.get(&jobs_of(JANE)).await.0, 200);
    assert_no_answer(enrol(&api).await);
    assert_eq!((api.realm.outbox().len(), api.realm.jobs().len(), api.realm.fired(rule)), (1, 1, 1));
    assert_eq!(api.realm.requests_of(Operation::CreateJob)[0].outcome, Outcome::Dropped);
    assert_eq!(enrol(&api).await.unwrap().status(), 200);
    assert_eq!((api.realm.outbox().len(), api.realm.fired(rule)), (2, 1));
}

#[tokio::test]
async fn lost_answer_sends_no_byte() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let api = Api::new();
    api.realm.fault(Rule::new(Effect::LoseAnswer));
    let mut stream = tokio::net::TcpStream::connect(api.realm.url().trim_start_matches("http://")).await.unwrap();
    let path = format!("/v1/tenants/tenant/realms/{}/identities/{JANE}", api.realm.realm());
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    assert_eq!(api.realm.requests()[0].outcome, Outcome::Dropped);
}

#[tokio::test]
async fn truncated_answer_comes_after_the_effect() {
    let api = Api::new();
    api.realm.fault(Rule::new(Effect::CutAnswer).on(Operation::CreateJob).times(20));
    for emails in 1..=20 {
        let mut response = enrol(&api).await.unwrap();
        assert_eq!((response.status().as_u16(), api.realm.outbox().len()), (200, emails));
        let promised = usize::try_from(response.content_length().unwrap()).unwrap();
        let half = response.chunk().await.unwrap().unwrap();
        assert_eq!(half.len(), promised / 2);
        assert!(half.starts_with(b"{"));
        assert!(response.chunk().await.is_err());
    }
    for (body, read) in [(Reply::empty(200), 0), (Reply::unavailable(), 1), (Reply::text(200, "text/plain", "a"), 0)] {
        let status = body.status;
        api.realm.fault(Rule::new(Effect::Answer(body.cut_off())).on(Operation::GetIdentity).once());
        let mut response = api.send(Method::GET, &format!("identities/{JANE}"), None).await.unwrap();
        assert_eq!(response.status(), status);
        for _ in 0..read {
            assert!(response.chunk().await.unwrap().is_some());
        }
        assert!(response.chunk().await.is_err());
    }
    assert_eq!(api.get(&format!("identities/{JANE}")).await.0, 200);
}

#[tokio::test]
async fn lost_request_has_no_effect() {
    let api = Api::new();
    api.realm.fault(Rule::new(Effect::LoseRequest).once());
    assert_no_answer(enrol(&api).await);
    assert_eq!(api.realm.jobs(), []);
}

#[tokio::test]
async fn paused_realm_drops_requests_until_resumed() {
    let (api, other) = (Api::new(), Api::new());
    api.realm.pause();
    for _ in 0..3 {
        assert_no_answer(enrol(&api).await);
    }
    assert_eq!(other.get("authenticator-configs").await.0, 200, "another realm still answers");
    api.realm.resume();
    assert_eq!(enrol(&api).await.unwrap().status(), 200);
    assert_eq!(api.realm.outbox().len(), 1);
    assert_eq!(api.realm.requests().len(), 4);
}

#[tokio::test]
async fn error_comes_before_or_after_the_effect() {
    let api = Api::new();
    api.realm.fault(Rule::new(Effect::unavailable()).once());
    let (status, body) = crate::parts(enrol(&api).await.unwrap()).await;
    assert_eq!((status, &body["code"]), (503, &json!("service_unavailable")));
    assert_eq!(api.realm.outbox(), []);
    api.realm.fault(Rule::new(Effect::HappenThenAnswer(Reply::internal_error())).once());
    assert_eq!(enrol(&api).await.unwrap().status(), 500);
    assert_eq!(api.realm.outbox().len(), 1);
    assert_eq!(api.realm.requests_of(Operation::CreateJob)[1].outcome, Outcome::Answered(500));
}

#[tokio::test]
async fn any_answer_is_possible() {
    let api = Api::new();
    let odd = Reply::json(201, &json!({"id": "x"})).header("date", "yesterday");
    for (reply, status, header, body) in [
        (odd, 201, ("date", Some("yesterday")), json!({"id": "x"})),
        (Reply::too_many_requests(Some(7)), 429, ("retry-after", Some("7")), Value::Null),
        (Reply::too_many_requests(None), 429, ("retry-after", None), Value::Null),
        (Reply::garbage(), 200, ("content-type", Some("text/html")), Value::Null),
        (Reply::proxy_page(404), 404, ("content-type", Some("text/html")), Value::Null),
        (Reply::gateway_error(403, "no"), 403, ("content-type", Some("application/json")), json!({"message": "no"})),
        (Reply::empty(302).header("location", "/elsewhere"), 302, ("location", Some("/elsewhere")), Value::Null),
    ] {
        api.realm.fault(Rule::new(Effect::Answer(reply)).once());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let url = format!("{}/v1/tenants/tenant/realms/{}/x", api.realm.url(), api.realm.realm());
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.headers().get(header.0).map(|value| value.to_str().unwrap()), header.1);
        let (answered, answer) = crate::parts(response).await;
        assert_eq!(answered, status);
        if !body.is_null() {
            assert_eq!(answer, body);
        }
    }
}

#[tokio::test]
async fn delayed_effect_outlives_the_client() {
    let api = Api::new();
    let emails = || api.realm.outbox().len();
    let outcome = || api.realm.requests()[0].outcome;
    let rule = api.realm.fault(Rule::new(Effect::Delay(SOON)));
    tokio::select! {
        answer = enrol(&api) => panic!("unexpected answer: {answer:?}"),
        () = eventually(|| !api.realm.requests().is_empty()) => {}
    }
    assert_eq!((emails(), outcome()), (0, Outcome::Pending));
    eventually(|| emails() == 1 && outcome() == Outcome::Answered(200)).await;

    api.realm.remove_fault(rule);
    api.realm.fault(Rule::new(Effect::HappenLate(SOON)).once());
    assert_no_answer(enrol(&api).await);
    assert_eq!(emails(), 1);
    eventually(|| emails() == 2).await;

    api.realm.fault(Rule::new(Effect::DelayAnswer(SOON)).once());
    let started = Instant::now();
    let (response, ()) = tokio::join!(enrol(&api), async {
        eventually(|| emails() == 3).await;
        assert!(started.elapsed() < SOON);
    });
    assert!(response.is_ok() && started.elapsed() >= SOON);
}

#[tokio::test]
async fn rules_match_by_operation_method_and_id() {
    let api = Api::new();
    let effect = || Effect::Answer(Reply::empty(599));
    let third = api.realm.fault(Rule::new(effect()).on(Operation::ListConfigs).skip(2).times(2));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(api.get("authenticator-configs").await.0);
    }
    assert_eq!(statuses, [200, 200, 599, 599, 200, 200]);
    assert_eq!(api.realm.fired(third), 2);

    api.realm.fault(Rule::new(effect()).method("POST"));
    assert_eq!(api.post("authenticator-configs", json!({})).await.0, 599);
    assert_eq!(api.get("authenticator-configs").await.0, 200);
    api.realm.fault(Rule::new(effect()).about(JANE));
    assert_eq!(api.get(&jobs_of(JANE)).await.0, 599);
    assert_eq!(api.get(&jobs_of("joe")).await.0, 200);
    api.realm.clear_faults();
    assert_eq!(api.get(&jobs_of(JANE)).await.0, 200);
}

#[tokio::test]
async fn lists_lag_shorten_and_shift_pages() {
    let api = Api::new();
    for _ in 0..10 {
        api.realm.add_job(Job::email(JANE, "config"));
    }
    let path = format!("{}?page_size=4", jobs_of(JANE));
    let all = api.pages(&path, "credential_binding_jobs").await;
    assert_eq!(all.len(), 10);

    api.realm.fault(Rule::new(Effect::ShortPages(1)).on(Operation::ListJobs));
    let before = api.realm.requests().len();
    assert_eq!(api.pages(&path, "credential_binding_jobs").await, all);
    assert_eq!(api.realm.requests().len() - before, 10);
    api.realm.clear_faults();

    api.realm.fault(Rule::new(Effect::ShiftPages).on(Operation::ListJobs));
    let mut shifted = api.pages(&path, "credential_binding_jobs").await;
    assert_eq!(shifted.len(), 10);
    shifted.sort();
    shifted.dedup();
    assert_eq!(shifted.len(), 9, "one item is missing, and one is there twice");
    api.realm.clear_faults();

    let late = Instant::now();
    api.realm.fault(Rule::new(Effect::LagList(SOON)).on(Operation::ListJobs));
    let newest = Job::email(JANE, "config");
    api.realm.add_job(newest.clone());
    while !api.pages(&path, "credential_binding_jobs").await.contains(&newest.id) {
        assert_eq!(api.get(&format!("{}/{}", jobs_of(JANE), newest.id)).await.0, 200, "a GET does not lag");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(late.elapsed() >= SOON);
}

#[tokio::test]
async fn drop_closes_the_listener() {
    let simulator = start(0).unwrap();
    let url = simulator.url();
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 401);
    assert_eq!(simulator.requests().len(), 1);
    drop(simulator);
    assert!(reqwest::get(&url).await.unwrap_err().is_connect());
}
