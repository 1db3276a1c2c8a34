//! The gate: it can stop a call before it is sent, and it receives the outcome of every other call.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::server::{Reply, Server, answer, answer_with};
use super::{TIMEOUT, client, new_job};
use crate::beyond_identity::{Error, Gate, Held, NotSent, Operation};

const PAUSE: Duration = Duration::from_secs(7);

/// A gate that admits `calls` calls.
#[derive(Debug)]
struct CountingGate {
    remaining: Mutex<u32>,
    outcomes: Mutex<Vec<Option<u16>>>,
}

impl CountingGate {
    fn of(calls: u32) -> Arc<Self> {
        Arc::new(Self { remaining: Mutex::new(calls), outcomes: Mutex::default() })
    }
}

impl Gate for CountingGate {
    fn begin(&self, _: Operation) -> Result<(), Held> {
        let mut remaining = self.remaining.lock();
        *remaining = remaining.checked_sub(1).ok_or(Held::RateLimited(PAUSE))?;
        Ok(())
    }

    fn end(&self, _: Operation, _: Instant, error: Option<&Error>) {
        self.outcomes.lock().push(error.and_then(Error::status));
    }
}

#[tokio::test]
async fn throttled_call_is_not_sent_and_can_be_retried() {
    let server = Server::start([]).await;
    let client = client(server.address, TIMEOUT).behind(CountingGate::of(0));
    let error = client.create_job("jane", &new_job(), TIMEOUT).await.unwrap_err();
    let Error::Retry { cause: NotSent::TooManyCalls, after, message } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(PAUSE));
    assert_eq!(
        message,
        "POST credential-binding-jobs was not sent because the rate limit of the service is still in effect"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn gate_applies_to_each_page_and_partial_list_fails() {
    let page =
        answer("200 OK", r#"{"credential_binding_jobs": [{"id": "a"}], "total_size": 2, "next_page_token": "t"}"#);
    let server = Server::start([Reply::Keep(page)]).await;
    let gate = CountingGate::of(1);
    let error = client(server.address, TIMEOUT).behind(gate.clone()).list_jobs("jane").await.unwrap_err();
    assert!(matches!(error, Error::Retry { cause: NotSent::TooManyCalls, .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(*gate.outcomes.lock(), [None]);
}

#[tokio::test]
async fn gate_receives_the_outcome_of_each_call() {
    let busy = answer_with("429 Too Many Requests", "retry-after: 7\r\n", "{}");
    let server = Server::start([Reply::Keep(busy), Reply::Keep(answer("503 Unavailable", "{}")), Reply::Reset]).await;
    let gate = CountingGate::of(3);
    let client = client(server.address, TIMEOUT).behind(gate.clone());
    for after in [Some(PAUSE), None, None] {
        assert_eq!(client.identity("jane").await.unwrap_err().after(), after);
    }
    assert_eq!(*gate.outcomes.lock(), [Some(429), Some(503), None]);
}
