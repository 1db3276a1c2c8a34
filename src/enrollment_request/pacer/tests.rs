//! Who sends when through a provider config with a limit.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::api::ProviderConfigRef;
use crate::reconcile::KindName;

const HOUR: Duration = Duration::from_secs(3600);

fn waiter(namespace: &str, name: impl ToString) -> ObjectKey {
    ObjectKey { namespace: namespace.to_owned(), kind: KindName::EnrollmentRequest, name: name.to_string() }
}

fn provider() -> ProviderConfigKey {
    ProviderConfigRef::default().resolve("")
}

/// A pacer at a virtual time.
struct Paced {
    pacer: SendPacer,
    enqueued: Arc<Mutex<Vec<ObjectKey>>>,
    started: Instant,
    now: Instant,
}

impl Paced {
    fn new() -> Self {
        let enqueued = Arc::new(Mutex::new(Vec::new()));
        let log = enqueued.clone();
        let pacer = SendPacer::new(move |waiter| log.lock().push(waiter.clone()));
        let now = Instant::now();
        pacer.start(now);
        Self { pacer, enqueued, started: now, now }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(i64::try_from((self.now - self.started).as_secs()).unwrap()).unwrap()
    }

    fn take(&self, waiter: &ObjectKey, per_hour: i32) -> Result<(), SendWait> {
        self.pacer.take(&provider(), waiter, per_hour, (self.now, self.time()))
    }

    fn spend(&self, waiter: &ObjectKey) {
        self.pacer.spend(&provider(), waiter, self.now);
    }

    /// The requests that are enqueued by now.
    fn enqueued(&self) -> Vec<ObjectKey> {
        self.pacer.pass(self.now);
        std::mem::take(&mut *self.enqueued.lock())
    }

    /// Whether a request waits for any provider config.
    fn is_waited_for(&self) -> bool {
        self.pacer.state.lock().paces.values().any(Pace::has_waiting)
    }

    fn advance(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    /// The seconds from the start until the likely turn.
    fn likely_after(&self, waiter: &ObjectKey, per_hour: i32) -> i64 {
        self.take(waiter, per_hour).unwrap_err().likely_at.as_second()
    }
}

#[test]
fn first_send_waits_one_interval_after_the_start() {
    let mut paced = Paced::new();
    let a = waiter("a", 0);
    assert_eq!(paced.likely_after(&a, 60), 60);
    assert_eq!(paced.enqueued(), []);
    assert_eq!(paced.advance(Duration::from_secs(61)).enqueued(), std::slice::from_ref(&a));
    assert_eq!(paced.take(&a, 60), Ok(()));
}

#[test]
fn sends_are_an_interval_apart_and_in_order() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    let [a, b, c] = [0, 1, 2].map(|n| waiter("a", n));
    assert_eq!(paced.take(&a, 60), Ok(()));
    assert_eq!(paced.likely_after(&b, 60), 3600 + 60, "after the one that sends now");
    assert_eq!(paced.likely_after(&c, 60), 3600 + 120);
    paced.spend(&a);
    assert_eq!(paced.advance(Duration::from_secs(59)).enqueued(), []);
    assert_eq!(paced.advance(Duration::from_secs(2)).enqueued(), std::slice::from_ref(&b));
    assert!(paced.take(&c, 60).is_err(), "it is not its turn");
    assert_eq!(paced.take(&b, 60), Ok(()));
}

#[test]
fn likely_time_stays_until_it_is_over_or_the_limit_changes() {
    let mut paced = Paced::new();
    let a = waiter("a", 0);
    assert_eq!(paced.likely_after(&a, 6), 600);
    paced.advance(Duration::from_secs(30));
    assert_eq!(paced.likely_after(&a, 6), 600);
    assert_eq!(paced.likely_after(&a, 60), 60, "at once");
    paced.advance(Duration::from_secs(31));
    assert_eq!(paced.enqueued(), [a]);
}

#[test]
fn released_turn_goes_to_the_next_at_once() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    let [a, b] = [0, 1].map(|n| waiter("a", n));
    assert_eq!(paced.take(&a, 60), Ok(()));
    assert!(paced.take(&b, 60).is_err());
    paced.pacer.leave(&a);
    assert_eq!(paced.enqueued(), [b]);
}

#[test]
fn kept_turn_is_used_again_and_lapses() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    let [a, b] = [0, 1].map(|n| waiter("a", n));
    assert_eq!(paced.take(&a, 60), Ok(()));
    assert!(paced.take(&b, 60).is_err());
    paced.pacer.keep(&a, paced.now);
    assert_eq!(paced.advance(Duration::from_secs(59)).enqueued(), []);
    assert_eq!(paced.take(&a, 60), Ok(()), "after a conflict");
    paced.pacer.keep(&a, paced.now);
    assert_eq!(paced.advance(Duration::from_secs(61)).enqueued(), [b], "if its object is gone");
}

#[test]
fn turn_is_held_as_long_as_its_reconcile_runs() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    let [a, b] = [0, 1].map(|n| waiter("a", n));
    assert_eq!(paced.take(&a, 60), Ok(()));
    assert!(paced.take(&b, 60).is_err());
    assert_eq!(paced.advance(10 * HOUR).enqueued(), []);
    paced.spend(&a);
    assert_eq!(paced.enqueued(), [], "the next turn counts from the send");
}

#[test]
fn lowered_limit_applies_to_a_granted_turn() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    let [a, b] = [0, 1].map(|n| waiter("a", n));
    assert_eq!(paced.take(&a, 60), Ok(()));
    paced.spend(&a);
    assert!(paced.take(&a, 60).is_err());
    assert!(paced.take(&b, 60).is_err());
    assert_eq!(paced.advance(Duration::from_secs(61)).enqueued(), std::slice::from_ref(&a));
    assert_eq!(paced.likely_after(&a, 6), 3600 + 600);
    assert_eq!(paced.advance(Duration::from_secs(540)).enqueued(), [a], "it keeps its place");
}

#[test]
fn namespaces_take_turns() {
    let mut paced = Paced::new();
    let many: Vec<_> = (0..100).map(|n| waiter("many", n)).collect();
    many.iter().for_each(|it| _ = paced.take(it, 60));
    let few = waiter("few", 0);
    assert_eq!(paced.likely_after(&few, 60), 120, "after one of the other namespace");
    let mut order = Vec::new();
    for _ in 0..4 {
        let next = paced.advance(Duration::from_secs(61)).enqueued().remove(0);
        assert_eq!(paced.take(&next, 60), Ok(()));
        paced.spend(&next);
        order.push(next.namespace);
    }
    assert!(order[..2].contains(&"few".to_owned()), "{order:?}");
}

#[test]
fn provider_configs_have_separate_turns() {
    let mut paced = Paced::new();
    paced.advance(2 * HOUR);
    let (a, other) = (waiter("a", 0), ProviderConfigKey { name: "other".to_owned(), ..provider() });
    assert_eq!(paced.take(&a, 1), Ok(()));
    paced.spend(&a);
    assert!(paced.take(&a, 1).is_err());
    assert_eq!(paced.pacer.take(&other, &a, 1, (paced.now, paced.time())), Ok(()));
    assert!(!paced.is_waited_for(), "it waits for one only");
}

#[test]
fn limit_that_is_set_later_counts_from_the_last_send() {
    let mut paced = Paced::new();
    paced.advance(HOUR);
    paced.spend(&waiter("a", 0));
    assert_eq!(paced.likely_after(&waiter("a", 1), 60), 3600 + 60);
}

#[tokio::test(start_paused = true)]
async fn waiting_request_is_enqueued_by_the_task() {
    let (sender, mut enqueued) = tokio::sync::mpsc::unbounded_channel();
    let pacer = Arc::new(SendPacer::new(move |waiter| _ = sender.send(waiter.clone())));
    let started = Instant::now();
    pacer.start(started);
    let task = pacer.clone();
    tokio::spawn(async move { task.grant_turns().await });
    assert!(pacer.take(&provider(), &waiter("a", 0), 60, (started, Timestamp::UNIX_EPOCH)).is_err());
    assert_eq!(enqueued.recv().await, Some(waiter("a", 0)));
    assert!(started.elapsed() >= Duration::from_secs(60));
}

/// What may happen to a request.
#[derive(Clone, Debug)]
enum Event {
    Reconcile(u8),
    Conflict(u8),
    Leave(u8),
    Restart,
    Wait(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u8..6).prop_map(Event::Reconcile),
        1 => (0_u8..6).prop_map(Event::Conflict),
        1 => (0_u8..6).prop_map(Event::Leave),
        1 => Just(Event::Restart),
        4 => (0_u16..600).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Whatever is reconciled, deleted or restarted, no hour has more sends than the limit, and nobody waits forever.
    #[test]
    fn no_hour_has_more_sends_than_the_limit(
        events in proptest::collection::vec(event(), 1..200),
        per_hour in 1_i32..40,
    ) {
        let mut paced = Paced::new();
        let mut sent: Vec<Instant> = Vec::new();
        let request = |n: u8| waiter(if n.is_multiple_of(2) { "even" } else { "odd" }, n);
        let send = |paced: &Paced, it: &ObjectKey, sent: &mut Vec<Instant>| {
            if paced.take(it, per_hour).is_ok() {
                paced.spend(it);
                sent.push(paced.now);
            }
        };
        for event in events {
            match event {
                Event::Reconcile(n) => send(&paced, &request(n), &mut sent),
                Event::Conflict(n) => {
                    if paced.take(&request(n), per_hour).is_ok() {
                        paced.pacer.keep(&request(n), paced.now);
                    }
                }
                Event::Leave(n) => paced.pacer.leave(&request(n)),
                Event::Restart => {
                    let (now, started) = (paced.now, paced.started);
                    paced = Paced { now, started, ..Paced::new() };
                    paced.pacer.start(now);
                }
                Event::Wait(seconds) => _ = paced.advance(Duration::from_secs(seconds.into())),
            }
            let granted = paced.enqueued();
            granted.iter().for_each(|it| send(&paced, it, &mut sent));
        }
        for window in sent.windows(usize::try_from(per_hour).unwrap() + 1) {
            prop_assert!(*window.last().unwrap() - window[0] > HOUR);
        }
        let before = sent.len();
        let late = request(0);
        send(&paced, &late, &mut sent);
        for _ in 0..20 {
            paced.advance(HOUR);
            let granted = paced.enqueued();
            granted.iter().for_each(|it| send(&paced, it, &mut sent));
        }
        prop_assert!(sent.len() > before);
        prop_assert!(!paced.is_waited_for());
    }
}
