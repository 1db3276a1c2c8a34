//! Which objects are to be looked at: each stands in the queue once, however often it is woken.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// The references that stand in a queue: each once, though nobody may take any out for weeks.
type Queued<K> = Arc<Mutex<HashSet<ObjectRef<K>>>>;

/// Puts objects into a queue.
pub(crate) struct Wake<K: Resource<DynamicType = ()>> {
    queued: Queued<K>,
    due: Due<K>,
    sender: UnboundedSender<ObjectRef<K>>,
}

/// Takes them out, in their order.
pub(crate) struct Woken<K: Resource<DynamicType = ()>> {
    queued: Queued<K>,
    due: Due<K>,
    receiver: UnboundedReceiver<ObjectRef<K>>,
}

/// Since when, or from when on, each object waits for a look: to tell how many do. It decides nothing.
pub(crate) struct Due<K: Resource<DynamicType = ()>>(Arc<Mutex<HashMap<ObjectRef<K>, Instant>>>);

/// Both ends of a queue.
pub(crate) fn queue<K: Resource<DynamicType = ()>>() -> (Wake<K>, Woken<K>) {
    let (sender, receiver) = unbounded_channel();
    let (queued, due) = (Queued::default(), Due(Arc::default()));
    (Wake { queued: queued.clone(), due: due.clone(), sender }, Woken { queued, due, receiver })
}

impl<K: Resource<DynamicType = ()>> Wake<K> {
    /// Puts an object at the end of the queue, unless it stands there already.
    pub(crate) fn wake(&self, object: ObjectRef<K>) {
        self.due.after(&object, Duration::ZERO);
        if self.queued.lock().insert(object.clone()) {
            // A queue that is closed belongs to a loop that has ended.
            _ = self.sender.send(object);
        }
    }
}

impl<K: Resource<DynamicType = ()>> Clone for Wake<K> {
    fn clone(&self) -> Self {
        Self { queued: self.queued.clone(), due: self.due.clone(), sender: self.sender.clone() }
    }
}

impl<K: Resource<DynamicType = ()>> Woken<K> {
    /// Who waits for a look.
    pub(crate) fn due(&self) -> Due<K> {
        self.due.clone()
    }
}

impl<K: Resource<DynamicType = ()>> Due<K> {
    /// An object is to be looked at after `wait`, if not sooner.
    pub(crate) fn after(&self, object: &ObjectRef<K>, wait: Duration) {
        let Some(when) = Instant::now().checked_add(wait) else { return };
        self.0.lock().entry(object.clone()).and_modify(|known| *known = when.min(*known)).or_insert(when);
    }

    /// A look at an object begins, or there is none any more.
    pub(crate) fn done(&self, object: &ObjectRef<K>) {
        self.0.lock().remove(object);
    }

    /// How many objects wait for a look that is due.
    pub(crate) fn count(&self) -> usize {
        let now = Instant::now();
        self.0.lock().values().filter(|when| **when <= now).count()
    }
}

impl<K: Resource<DynamicType = ()>> Clone for Due<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Resource<DynamicType = ()>> Stream for Woken<K> {
    type Item = ObjectRef<K>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ObjectRef<K>>> {
        let next = self.receiver.poll_recv(context);
        if let Poll::Ready(Some(object)) = &next {
            // Before anybody looks: what changes from now on wakes it again.
            self.queued.lock().remove(object);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::api::EnrollmentRequest;

    #[tokio::test]
    async fn an_object_stands_in_the_queue_once_and_again_when_it_was_taken_out() {
        let (wake, mut woken) = queue::<EnrollmentRequest>();
        for name in ["a", "b", "a", "a"] {
            wake.wake(ObjectRef::new(name));
        }
        let mut taken = || woken.next().now_or_never().flatten().map(|object| object.name);
        assert_eq!(taken().as_deref(), Some("a"));
        wake.wake(ObjectRef::new("a"));
        assert_eq!([taken().as_deref(), taken().as_deref()], [Some("b"), Some("a")]);
        assert_eq!(taken(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_due_once_from_the_earliest_time_until_a_look_at_it_begins() {
        let (wake, woken) = queue::<EnrollmentRequest>();
        let (due, a, b) = (woken.due(), ObjectRef::new("a"), ObjectRef::new("b"));
        due.after(&a, Duration::from_secs(10));
        wake.wake(b.clone());
        wake.wake(b.clone());
        assert_eq!(due.count(), 1);
        due.done(&b);
        due.after(&b, Duration::from_secs(20));
        assert_eq!(due.count(), 0);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(due.count(), 1);
        wake.wake(b.clone());
        due.after(&b, Duration::from_secs(20));
        assert_eq!(due.count(), 2, "what is due by now is not put off");
        due.done(&a);
        assert_eq!(due.count(), 1);
    }
}
