//! The queue with its driver, on a paused clock.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use kube::ResourceExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::api::EnrollmentRequest;
use crate::enrollment_request::testing::{concluded, request};
use crate::metrics::Metrics;
use crate::reconcile::{Ended, ReconcileResult};

/// A driver with its queue, its cache and a log.
struct Fixture {
    queue: ReconcileQueue<EnrollmentRequest>,
    cached: Arc<Mutex<BTreeSet<String>>>,
    log: Arc<Mutex<Vec<String>>>,
    ending: CancellationToken,
    driver: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

fn result(again: impl Into<Option<Duration>>) -> ReconcileResult {
    ReconcileResult { ended: Ended::Done, requeue_after: again.into() }
}

fn at(name: &str) -> ObjectRef<EnrollmentRequest> {
    ObjectRef::new(name).within("identity")
}

impl Fixture {
    /// Starts a driver with these objects in the cache.
    async fn new<F: Future<Output = ReconcileResult> + Send + 'static>(
        names: &[&str],
        reconcile: impl Fn(&str) -> F + Send + Sync + 'static,
    ) -> Self {
        let cached = Arc::new(Mutex::new(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>()));
        let (log, metrics, ending) =
            (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Metrics::new()), CancellationToken::new());
        let (known, class_log) = (cached.clone(), log.clone());
        let queue = ReconcileQueue::new(Bounds { total: 2, per_provider_config: 2 }, move |object, cause| {
            let class = Class { provider: None, namespace: "identity".to_owned(), priority: Priority::Routine };
            known.lock().contains(&object.name).then(|| {
                class_log.lock().push(format!("{cause:?} {}", object.name));
                class
            })
        });
        let known = cached.clone();
        let driver = Driver {
            controller: "enrollmentrequest",
            queue: queue.clone(),
            get: move |object: &ObjectRef<_>| {
                let mut found = request("uid", concluded());
                found.metadata.name = Some(object.name.clone());
                known.lock().contains(&object.name).then(|| Arc::new(found))
            },
            reconcile: {
                let log = log.clone();
                move |object: Arc<EnrollmentRequest>| {
                    log.lock().push(format!("run {}", object.name_any()));
                    reconcile(&object.name_any())
                }
            },
            metrics: metrics.clone(),
        };
        let driver = tokio::spawn(run(driver, ending.clone()));
        // Lets the driver start and reclassify the empty queue.
        tokio::task::yield_now().await;
        Self { queue, cached, log, ending, driver, metrics }
    }

    /// The log since the last call: each classification and each run.
    async fn take_log(&self) -> Vec<String> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::mem::take(&mut *self.log.lock())
    }
}

#[tokio::test(start_paused = true)]
async fn object_runs_when_enqueued_and_after_its_delay() {
    let fixture = Fixture::new(&["a"], |_| async { result(Duration::from_secs(10)) }).await;
    fixture.queue.enqueue(at("a"));
    fixture.queue.enqueue(at("unknown"));
    assert_eq!(fixture.take_log().await, ["First a", "run a"]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(fixture.take_log().await, [""; 0]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.take_log().await, ["Requeue a", "run a"]);
    fixture.queue.enqueue(at("a"));
    assert_eq!(fixture.take_log().await, ["Change a", "run a"]);
    assert!(fixture.metrics.text().contains("reconcile_total{controller=\"enrollmentrequest\",result=\"success\"} 3"));
    fixture.queue.remove(&at("a"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(fixture.take_log().await, [""; 0], "the object is deleted");
    fixture.queue.enqueue(at("a"));
    assert_eq!(fixture.take_log().await, ["First a", "run a"], "a new object of the same name");
}

#[tokio::test(start_paused = true)]
async fn reconcile_after_a_conflict_is_no_retry() {
    let fixture = Fixture::new(&["a"], |_| async {
        ReconcileResult { ended: Ended::Conflict, requeue_after: Some(Duration::from_millis(100)) }
    })
    .await;
    fixture.queue.enqueue(at("a"));
    fixture.take_log().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.take_log().await, ["Change a", "run a"]);
}

#[tokio::test(start_paused = true)]
async fn deleted_object_does_not_run() {
    let fixture = Fixture::new(&["a", "b", "c"], |_| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        result(None)
    })
    .await;
    ["a", "b", "c"].into_iter().for_each(|name| fixture.queue.enqueue(at(name)));
    fixture.take_log().await;
    fixture.cached.lock().remove("c");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fixture.take_log().await, [""; 0]);
    assert_eq!((fixture.queue.running(), fixture.queue.depth().map(|it| it.1)), (0, [0; 4]));
}

#[tokio::test(start_paused = true)]
async fn panicked_reconcile_is_retried_after_a_minute() {
    let fixture = Fixture::new(&["a", "b"], |name| {
        let panics = name == "a";
        async move { if panics { panic!("reconcile failed") } else { result(None) } }
    })
    .await;
    fixture.queue.enqueue(at("a"));
    assert_eq!(fixture.take_log().await, ["First a", "run a"]);
    fixture.queue.enqueue(at("b"));
    assert_eq!(fixture.take_log().await, ["First b", "run b"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fixture.take_log().await, ["Requeue a", "run a"]);
    let metrics = fixture.metrics.text();
    assert!(metrics.contains("active_workers{controller=\"enrollmentrequest\"} 0"));
    assert!(metrics.contains("reconcile_panics_total{controller=\"enrollmentrequest\"} 2"));
}

#[tokio::test(start_paused = true)]
async fn shutdown_drains_running_reconciles_and_starts_none() {
    let fixture = Fixture::new(&["a", "b", "c"], |_| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        result(Duration::from_secs(1))
    })
    .await;
    ["a", "b", "c"].into_iter().for_each(|name| fixture.queue.enqueue(at(name)));
    fixture.take_log().await;
    fixture.ending.cancel();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!fixture.driver.is_finished());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(fixture.driver.is_finished());
    assert_eq!(fixture.take_log().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn running_reconcile_finishes_after_driver_is_dropped() {
    let ended = Arc::new(Mutex::new(false));
    let flag = ended.clone();
    let fixture = Fixture::new(&["a"], move |_| {
        let flag = flag.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            *flag.lock() = true;
            result(None)
        }
    })
    .await;
    fixture.queue.enqueue(at("a"));
    fixture.take_log().await;
    fixture.driver.abort();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(*ended.lock());
    assert_eq!(fixture.queue.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_objects_are_reclassified_when_the_driver_starts() {
    let log = Arc::<Mutex<Vec<Cause>>>::default();
    let priority = Arc::new(Mutex::new(Priority::Pending));
    let (causes, now) = (log.clone(), priority.clone());
    let queue =
        ReconcileQueue::<EnrollmentRequest>::new(Bounds { total: 1, per_provider_config: 1 }, move |_, cause| {
            causes.lock().push(cause);
            Some(Class { provider: None, namespace: "identity".to_owned(), priority: *now.lock() })
        });
    ["running", "waiting"].into_iter().for_each(|name| queue.enqueue(at(name)));
    *priority.lock() = Priority::Routine;
    let driver = Driver {
        controller: "enrollmentrequest",
        queue: queue.clone(),
        get: |_: &ObjectRef<_>| Some(Arc::new(request("uid", concluded()))),
        reconcile: |_| pending(),
        metrics: Arc::new(Metrics::new()),
    };
    tokio::spawn(run(driver, CancellationToken::new()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(queue.depth().map(|it| it.1), [0, 0, 0, 1]);
    assert_eq!(*log.lock(), [Cause::First; 4]);
}
