//! Runs the reconciles of one kind, in the order of its queue.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ReconcileQueue;
use crate::beyond_identity::TraceId;
use crate::metrics::Metrics;
use crate::reconcile::times::RETRY_AFTER_BUG;
use crate::reconcile::{Ended, ReconcileResult};

/// The driver of the reconciles of one kind.
pub(crate) struct Driver<K: Resource<DynamicType = ()>, G, R> {
    /// The name of the controller, in metrics.
    pub(crate) controller: &'static str,
    /// The objects and their order.
    pub(crate) queue: ReconcileQueue<K>,
    /// Gets an object from the stores.
    pub(crate) get: G,
    /// Reconciles it.
    pub(crate) reconcile: R,
    /// The metrics of the reconciles.
    pub(crate) metrics: Arc<Metrics>,
}

/// Reconciles the objects of the queue until `ending` is cancelled. Then it starts no more reconciles, and returns when
/// all running ones have ended.
pub(crate) async fn run<K, G, R, F>(driver: Driver<K, G, R>, ending: CancellationToken)
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
    G: Fn(&ObjectRef<K>) -> Option<Arc<K>>,
    R: Fn(Arc<K>) -> F,
    F: Future<Output = ReconcileResult> + Send + 'static,
{
    let queue = &driver.queue;
    queue.reclassify();
    while !ending.is_cancelled() {
        let (next, due) = queue.begin();
        next.into_iter().for_each(|object| driver.start(object));
        let is_due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ending.cancelled() => {}
            () = queue.0.changed.notified() => {}
            () = is_due => {}
        }
    }
    while queue.running() > 0 {
        queue.0.changed.notified().await;
    }
}

impl<K, G, R, F> Driver<K, G, R>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
    G: Fn(&ObjectRef<K>) -> Option<Arc<K>>,
    R: Fn(Arc<K>) -> F,
    F: Future<Output = ReconcileResult> + Send + 'static,
{
    /// Starts the reconcile of an object in its own task. The task completes even if the driver is dropped, and a panic
    /// in it stops no other reconcile.
    fn start(&self, object: ObjectRef<K>) {
        let Self { controller, queue, get, reconcile, metrics } = self;
        let Some(found) = get(&object) else {
            tracing::debug!(%object, "Object is gone; nothing to reconcile");
            // Not removed: a new object of the same name may already be enqueued.
            return queue.done(&object, None, false);
        };
        let reconcile = measured(controller, metrics.clone(), reconcile(found));
        let (controller, queue, metrics) = (*controller, queue.clone(), metrics.clone());
        tokio::spawn(async move {
            let (again, starts_over) = match AssertUnwindSafe(reconcile).catch_unwind().await {
                Ok(ReconcileResult { requeue_after, ended }) => (requeue_after, ended == Ended::Conflict),
                Err(panic) => {
                    metrics.reconcile_panicked(controller);
                    let (kind, name) = (K::kind(&()), &object.name);
                    tracing::error!(%kind, namespace = object.namespace, name, panic = panic_message(panic.as_ref()), "Reconcile panicked (operator bug)");
                    (Some(RETRY_AFTER_BUG), false)
                }
            };
            let at = again.and_then(|delay| Instant::now().checked_add(delay));
            queue.done(&object, at, starts_over);
        });
    }
}

/// Runs a reconcile with metrics and a trace id.
async fn measured(
    controller: &'static str,
    metrics: Arc<Metrics>,
    reconcile: impl Future<Output = ReconcileResult>,
) -> ReconcileResult {
    let (begun, _at_work) = (Instant::now(), metrics.reconcile_started(controller));
    let result = TraceId::random().run(reconcile).await;
    metrics.reconcile_finished(controller, result.ended, begun.elapsed());
    result
}

/// The message of a panic.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
