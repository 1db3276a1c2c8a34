//! The work queue of one kind, and the driver that runs its reconciles.
//!
//! [`class`] computes the priority and the provider config of an object. [`fair`] decides the order. `ReconcileQueue`
//! combines both under one lock and notifies the driver. The driver starts the reconciles, and returns each object with
//! its requeue time. As in client-go, an object is in the queue once and never runs twice at the same time.

pub mod class;
mod driver;
pub mod fair;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, ObjectRefExtra};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use driver::{Driver, run};

use class::{Cause, Class, Priority};
use fair::{Bounds, FairQueue};

/// Classifies an object from the stores; `None` if they do not have it.
type Classify<K> = Box<dyn Fn(&ObjectRef<K>, Cause) -> Option<Class> + Send + Sync>;

/// The objects that this process has reconciled: their hashes, since there may be very many. This only decides about the
/// priority of an object, so two objects with the same hash do no harm.
#[derive(Default)]
struct Reconciled {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Reconciled {
    fn hash<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) -> u64 {
        self.hasher.hash_one(object)
    }

    fn contains<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) -> bool {
        self.hashes.contains(&self.hash(object))
    }

    fn insert<K: Resource<DynamicType = ()>>(&mut self, object: &ObjectRef<K>) {
        self.hashes.insert(self.hash(object));
    }

    fn remove<K: Resource<DynamicType = ()>>(&mut self, object: &ObjectRef<K>) {
        self.hashes.remove(&self.hash(object));
    }
}

/// The queue of one kind. Clones share the same queue.
pub(crate) struct ReconcileQueue<K: Resource<DynamicType = ()>>(Arc<Shared<K>>);

struct Shared<K: Resource<DynamicType = ()>> {
    state: Mutex<State<K>>,
    classify: Classify<K>,
    /// Notifies the driver, its only waiter, that something is ready, due or done.
    changed: Notify,
}

struct State<K: Resource<DynamicType = ()>> {
    queue: FairQueue<ObjectRef<K>>,
    reconciled: Reconciled,
    /// Those of them whose last reconcile must start over after a conflict.
    starting_over: HashSet<ObjectRef<K>>,
}

impl<K: Resource<DynamicType = ()>> ReconcileQueue<K> {
    /// An empty queue. `classify` reads an object from the stores.
    pub(crate) fn new(
        bounds: Bounds,
        classify: impl Fn(&ObjectRef<K>, Cause) -> Option<Class> + Send + Sync + 'static,
    ) -> Self {
        let state =
            State { queue: FairQueue::new(bounds), reconciled: Reconciled::default(), starting_over: HashSet::new() };
        Self(Arc::new(Shared { state: Mutex::new(state), classify: Box::new(classify), changed: Notify::new() }))
    }

    /// Enqueues an object after a change of it or of something it depends on. An object that the stores do not have is
    /// ignored.
    pub(crate) fn enqueue(&self, object: ObjectRef<K>) {
        self.enqueue_for(object, Cause::Change);
    }

    fn enqueue_for(&self, mut object: ObjectRef<K>, cause: Cause) {
        // A name is enough, and all objects may be enqueued at once.
        object.extra = ObjectRefExtra::default();
        let Shared { state, classify, changed } = &*self.0;
        let mut state = state.lock();
        if let Some(class) = classify(&object, state.cause(&object, cause)) {
            state.queue.enqueue(object, class);
            changed.notify_one();
        }
    }

    /// Enqueues an object at its turn to call its tenant.
    pub(crate) fn grant_turn(&self, object: ObjectRef<K>) {
        self.enqueue_for(object, Cause::Turn);
    }

    /// Removes a deleted object.
    pub(crate) fn remove(&self, object: &ObjectRef<K>) {
        let mut state = self.0.state.lock();
        state.queue.remove(object);
        state.reconciled.remove(object);
        state.starting_over.remove(object);
    }

    /// The number of objects that are ready for a reconcile, by priority.
    pub(crate) fn depth(&self) -> [(Priority, usize); Priority::ALL.len()] {
        self.0.state.lock().queue.depth()
    }

    /// Classifies all ready objects again. A standby queues objects while another process is leader, and that process
    /// may have done the urgent work since.
    fn reclassify(&self) {
        let state = &mut *self.0.state.lock();
        let State { queue, reconciled, .. } = state;
        queue.reclassify(|object| (self.0.classify)(object, cause(reconciled, object, Cause::Change)));
    }

    /// The next objects to reconcile, and when the next delayed object is due.
    fn begin(&self) -> (Vec<ObjectRef<K>>, Option<Instant>) {
        let state = &mut *self.0.state.lock();
        self.promote(state);
        let mut next = Vec::new();
        while let Some(object) = state.queue.start_next() {
            state.reconciled.insert(&object);
            state.starting_over.remove(&object);
            next.push(object);
        }
        (next, state.queue.next_due())
    }

    /// Ends the reconcile of an object, which is due again `at` that time.
    fn done(&self, object: &ObjectRef<K>, at: Option<Instant>, starts_over: bool) {
        let mut state = self.0.state.lock();
        // Not for an object that was deleted meanwhile.
        if starts_over && state.reconciled.contains(object) {
            state.starting_over.insert(object.clone());
        }
        state.queue.done(object, at);
        self.0.changed.notify_one();
    }

    /// The number of running reconciles.
    fn running(&self) -> usize {
        self.0.state.lock().queue.running()
    }

    fn promote(&self, state: &mut State<K>) {
        let State { queue, reconciled, starting_over } = state;
        queue.promote(Instant::now(), |object| {
            let requeue = if starting_over.contains(object) { Cause::Change } else { Cause::Requeue };
            (self.0.classify)(object, cause(reconciled, object, requeue))
        });
    }
}

impl<K: Resource<DynamicType = ()>> State<K> {
    fn cause(&self, object: &ObjectRef<K>, otherwise: Cause) -> Cause {
        cause(&self.reconciled, object, otherwise)
    }
}

fn cause<K: Resource<DynamicType = ()>>(reconciled: &Reconciled, object: &ObjectRef<K>, otherwise: Cause) -> Cause {
    if reconciled.contains(object) || otherwise == Cause::Turn { otherwise } else { Cause::First }
}

impl<K: Resource<DynamicType = ()>> Clone for ReconcileQueue<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests;
