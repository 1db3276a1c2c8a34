//! A loop: looks at the objects that are woken, and again after a while.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, future, stream};
use kube::Resource;
use kube::runtime::Controller;
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::{ObjectRef, Store};
use serde::de::DeserializeOwned;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::beyond_identity::TraceId;
use crate::metrics::Metrics;
use crate::reconcile::ReconcileResult;
use crate::wake::Woken;

/// When an object is looked at again whose look ended in a mistake of the operator's own.
const AFTER_A_MISTAKE: Duration = Duration::from_secs(60);

/// Runs one loop: `look` at each object that is woken, one look at a time for each.
pub(crate) async fn run<K, L, F>(
    controller: &'static str,
    store: Store<K>,
    woken: Woken<K>,
    concurrency: u16,
    ending: CancellationToken,
    metrics: Arc<Metrics>,
    look: L,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    L: Fn(Arc<K>) -> F + Send + Sync + 'static,
    F: Future<Output = ReconcileResult> + Send + 'static,
{
    let (due, waiting, missed) = (woken.due(), woken.due(), woken.due());
    metrics.runs(controller, concurrency, move || waiting.count());
    Controller::for_stream(stream::pending(), store)
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(woken)
        .graceful_shutdown_on(ending.cancelled_owned())
        .run(
            move |object, _| {
                let (due, reference) = (due.clone(), ObjectRef::from_obj(object.as_ref()));
                due.done(&reference);
                // In a task of its own, a look comes to its end even if the loop is dropped, and a mistake in
                // one look stops no other.
                let look = tokio::spawn(measured(controller, metrics.clone(), look(object)));
                async move {
                    let again = look.await.inspect_err(|_| due.after(&reference, AFTER_A_MISTAKE))?;
                    again.into_iter().for_each(|wait| due.after(&reference, wait));
                    Ok(again.map_or_else(Action::await_change, Action::requeue))
                }
            },
            |_, error: &JoinError, _| {
                tracing::error!("a look ended in a mistake of the operator's own: {error}");
                Action::requeue(AFTER_A_MISTAKE)
            },
            Arc::new(()),
        )
        .for_each(|result| {
            // An object that is gone when its turn comes is nothing to speak of.
            if let Err(error) = result {
                tracing::debug!("{error}");
                if let controller::Error::ObjectNotFound(object) = error {
                    let namespace = object.namespace.unwrap_or_default();
                    missed.done(&ObjectRef::new(&object.name).within(&namespace));
                }
            }
            future::ready(())
        })
        .await;
}

/// A look, and after how long to look again.
async fn measured(
    controller: &'static str,
    metrics: Arc<Metrics>,
    look: impl Future<Output = ReconcileResult>,
) -> Option<Duration> {
    let (begun, _at_work) = (Instant::now(), metrics.looks(controller));
    let ReconcileResult { ended, requeue_after } = TraceId::random().run(look).await;
    metrics.looked(controller, ended, begun.elapsed());
    requeue_after
}
