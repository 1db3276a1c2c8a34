//! Runs reconciles with the operator's own queue: one at a time for each object, after a change or a delay.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::queue::class::{self, Cause, Class};
use beyond_identity_operator::queue::fair::{Bounds, FairQueue};
use beyond_identity_operator::triggers::Cache;
use kube::ResourceExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::kubernetes::{Key, Kind};
use crate::process::Process;

/// A reconcile of an object. It returns the delay of the next one.
pub type Reconciling = Pin<Box<dyn Future<Output = Option<Duration>> + Send>>;

/// Starts a reconcile.
pub type Reconcile<K> = Arc<dyn Fn(K) -> Reconciling + Send + Sync>;

/// Classifies an object, as the operator does.
pub type Classify<K> = fn(&Process, &K, Cause) -> Class;

/// The queue of one kind, and the tasks that run its reconciles.
pub struct Controller<K> {
    process: Arc<Process>,
    reconcile: Reconcile<K>,
    classify: Classify<K>,
    queue: Mutex<FairQueue<Key>>,
    reconciled: Mutex<BTreeSet<Key>>,
    changed: Notify,
}

impl<K: Kind> Controller<K> {
    /// Starts a controller. The seed decides its bounds, which are so small that objects wait for each other.
    pub fn new(process: &Arc<Process>, reconcile: Reconcile<K>, classify: Classify<K>) -> Arc<Self> {
        let bounds = {
            let chance = &mut process.world.lock().chance;
            let mut up_to = |most: u64| 1 + usize::try_from(chance.below(most)).unwrap_or(0);
            Bounds { total: up_to(4), per_provider_config: up_to(3) }
        };
        let controller = Arc::new(Self {
            process: process.clone(),
            reconcile,
            classify,
            queue: Mutex::new(FairQueue::new(bounds)),
            reconciled: Mutex::default(),
            changed: Notify::new(),
        });
        process.spawn(controller.clone().work());
        controller
    }

    /// Enqueues an object of the cache.
    pub fn enqueue(&self, key: &Key) {
        if let Some(class) = self.class(key, Cause::Change) {
            self.queue.lock().enqueue(key.clone(), class);
            self.changed.notify_one();
        }
    }

    fn class(&self, key: &Key, cause: Cause) -> Option<Class> {
        let object = K::cache(&self.process).lock().get(key).cloned()?;
        let cause = if self.reconciled.lock().contains(key) { cause } else { Cause::First };
        Some((self.classify)(&self.process, &object, cause))
    }

    /// Starts reconciles until the process is killed.
    async fn work(self: Arc<Self>) {
        self.process.wait_until_seeded().await;
        loop {
            self.process.wait_while_suspended().await;
            let due = self.begin();
            let timer = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = timer => {}
            }
        }
    }

    /// Starts the reconciles that are due. Returns when more may be due.
    fn begin(self: &Arc<Self>) -> Option<Instant> {
        let mut queue = self.queue.lock();
        queue.promote(Instant::now(), |key| self.class(key, Cause::Requeue));
        while let Some(key) = queue.start_next() {
            self.reconciled.lock().insert(key.clone());
            self.process.spawn(self.clone().reconcile_one(key));
        }
        queue.next_due()
    }

    async fn reconcile_one(self: Arc<Self>, key: Key) {
        self.process.wait_while_suspended().await;
        // As in the operator, an object counts as absent while the requests of its namespace are not known.
        let is_known = self.process.shared.reservations.is_seeded(&Some(key.0.clone()));
        let object = K::cache(&self.process).lock().get(&key).cloned().filter(|_| is_known);
        let mut requeue_at = None;
        if let Some(object) = object {
            match self.process.spawn((self.reconcile)(Arc::unwrap_or_clone(object))).await {
                Ok(after) => requeue_at = after.map(|after| Instant::now() + after),
                Err(error) if error.is_panic() => {
                    let message = error.into_panic();
                    let text = message.downcast_ref::<String>().cloned().unwrap_or_default();
                    self.process.world.lock().violate(format!("the reconcile of {key:?} panicked: {text}"));
                    return;
                }
                Err(_) => return,
            }
        }
        self.queue.lock().done(&key, requeue_at);
        self.changed.notify_one();
    }
}

/// The class of a request in this process.
pub fn class_of_request(process: &Process, request: &EnrollmentRequest, cause: Cause) -> Class {
    let namespace = request.namespace().unwrap_or_default();
    let config = |name: &str| process.configs.lock().get(&(namespace, name.to_owned())).cloned();
    class::of_request(request, config, cause, process.options(), process.now())
}

/// The class of a configuration.
pub fn class_of_config(process: &Process, config: &AuthenticatorConfig, cause: Cause) -> Class {
    class::of_config(config, cause, process.options(), process.now())
}
