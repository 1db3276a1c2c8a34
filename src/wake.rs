//! Which objects are to be looked at: each stands in the queue once, however often it is woken.

use std::collections::HashSet;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::Stream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The references that stand in a queue. As many as there are objects at most, though nobody may take any out for weeks.
type Queued<K> = Arc<Mutex<HashSet<ObjectRef<K>>>>;

/// Puts objects into a queue.
pub(crate) struct Wake<K: Resource<DynamicType = ()>> {
    queued: Queued<K>,
    sender: UnboundedSender<ObjectRef<K>>,
}

/// Takes them out, in their order.
pub(crate) struct Woken<K: Resource<DynamicType = ()>> {
    queued: Queued<K>,
    receiver: UnboundedReceiver<ObjectRef<K>>,
}

/// Both ends of a queue.
pub(crate) fn queue<K: Resource<DynamicType = ()>>() -> (Wake<K>, Woken<K>) {
    let (sender, receiver) = unbounded_channel();
    let queued = Queued::default();
    (Wake { queued: queued.clone(), sender }, Woken { queued, receiver })
}

impl<K: Resource<DynamicType = ()>> Wake<K> {
    /// Puts an object at the end of the queue, unless it stands there already.
    pub(crate) fn wake(&self, object: ObjectRef<K>) {
        if locked(&self.queued).insert(object.clone()) {
            // A queue that is closed belongs to a loop that has ended.
            _ = self.sender.send(object);
        }
    }
}

impl<K: Resource<DynamicType = ()>> Clone for Wake<K> {
    fn clone(&self) -> Self {
        Self { queued: self.queued.clone(), sender: self.sender.clone() }
    }
}

impl<K: Resource<DynamicType = ()>> Stream for Woken<K> {
    type Item = ObjectRef<K>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ObjectRef<K>>> {
        let next = self.receiver.poll_recv(context);
        if let Poll::Ready(Some(object)) = &next {
            // Before anybody looks: what changes from now on wakes it again.
            locked(&self.queued).remove(object);
        }
        next
    }
}

fn locked<T: Eq + Hash>(queued: &Mutex<HashSet<T>>) -> MutexGuard<'_, HashSet<T>> {
    queued.lock().unwrap_or_else(PoisonError::into_inner)
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
}
