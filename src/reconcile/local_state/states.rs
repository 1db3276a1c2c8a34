//! The local states of all objects of a kind. There may be very many, so those that say little are kept small.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::LocalState;
use crate::reconcile::kind::Kind;

/// The local states of all objects of a kind, by uid. Clones share the same map.
#[derive(Debug)]
pub struct LocalStates<K: Kind>(Arc<Mutex<HashMap<Box<str>, Kept<K>>>>);

/// A local state as it is kept. There may be very many.
#[derive(Debug)]
enum Kept<K: Kind> {
    /// Nothing but when this process first saw the remote resource in the status. Most objects have no more.
    InStatus(Box<str>, Instant),
    Whole(Box<LocalState<K>>),
}

impl<K: Kind> Kept<K> {
    /// `None` if there is nothing to keep.
    fn of(local_state: LocalState<K>) -> Option<Self> {
        let LocalState { own, failures, conflicts, poll, doubt, in_status, refused_writes, last_request, .. } =
            &local_state;
        let LocalState { reported, refusal, .. } = &local_state;
        let is_whole = K::has_state(own)
            || (*failures, *conflicts) != (0, 0)
            || poll.is_some()
            || doubt.is_some()
            || refused_writes.is_some()
            || last_request.is_some()
            || reported.is_some()
            || refusal.is_some();
        match in_status {
            _ if is_whole => Some(Self::Whole(Box::new(local_state))),
            Some((id, since)) => Some(Self::InStatus(id.as_str().into(), *since)),
            None => None,
        }
    }

    fn get(&self) -> LocalState<K> {
        match self {
            Self::InStatus(id, since) => {
                LocalState { in_status: Some((id.as_ref().to_owned(), *since)), ..LocalState::default() }
            }
            Self::Whole(local_state) => LocalState::clone(local_state),
        }
    }
}

impl<K: Kind> Default for LocalStates<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Kind> Clone for LocalStates<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Kind> LocalStates<K> {
    /// The local state of one object. A controller runs one reconcile of an object at a time, so no other writer
    /// intervenes before [`LocalStates::insert`].
    pub fn get(&self, uid: &str) -> LocalState<K> {
        self.lock().get(uid).map(Kept::get).unwrap_or_default()
    }

    /// Stores the local state of one object, unless the object is deleted. `is_there` returns whether the cache still
    /// has the object under this uid.
    ///
    /// The state of a deleted object must not reappear. The watch removes the object from the cache first, and then
    /// calls [`LocalStates::remove`]. This method reads the cache under the lock that `remove` takes. So either the
    /// cache no longer has the object and nothing is stored, or `remove` follows and deletes what is stored.
    pub fn insert(&self, uid: &str, local_state: LocalState<K>, is_there: impl FnOnce() -> bool) {
        let mut local_states = self.lock();
        match Kept::of(local_state).filter(|_| is_there()) {
            Some(kept) => local_states.insert(uid.into(), kept),
            None => local_states.remove(uid),
        };
    }

    /// Removes the state of a deleted object. The watch calls it after the cache has dropped the object.
    pub fn remove(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<Box<str>, Kept<K>>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Poll, Refusal};
    use super::*;
    use crate::api::EnrollmentRequest;
    use crate::reconcile::leftover::Leftover;

    type LocalState = super::LocalState<EnrollmentRequest>;
    type LocalStates = super::LocalStates<EnrollmentRequest>;

    #[test]
    fn local_state_is_kept_until_removed() {
        let local_states = LocalStates::default();
        local_states.insert("uid", LocalState { failures: 3, ..LocalState::default() }, || true);
        assert_eq!(local_states.get("uid").failures, 3);
        local_states.remove("uid");
        assert_eq!(local_states.get("uid").failures, 0);
    }

    #[test]
    fn local_state_comes_back_whole_whatever_it_has() {
        let (local_states, start) = (LocalStates::default(), Instant::now());
        let later = start + Duration::from_secs(5);
        let kept = |change: &dyn Fn(&mut LocalState)| {
            let mut local_state = LocalState::default();
            change(&mut local_state);
            let before = format!("{local_state:?}");
            local_states.insert("uid", local_state, || true);
            assert_eq!(format!("{:?}", local_states.get("uid")), before);
            local_states.lock().len()
        };
        assert_eq!(kept(&|it| it.note_remote(Some("job"), start)), 1);
        assert_eq!(local_states.get("uid").remote_known_for("job", later), Duration::from_secs(5));
        assert_eq!(kept(&|_| {}), 0, "nothing is kept of an object without a local state");
        let changes: [&dyn Fn(&mut LocalState); 9] = [
            &|it| it.own.revocations.refuse("job", start, "403").then_some(()).unwrap(),
            &|it| it.failures = 1,
            &|it| it.conflicts = 1,
            &|it| it.polled(Poll { of: "job".to_owned(), generation: 1, found: true, next_poll_at: None }),
            &|it| it.note_record(Some("record"), start),
            &|it| assert!(it.write_refused("a policy", false, start)),
            &|it| it.apply_reconcile_request("at noon"),
            &|it| it.reported = Some(Leftover::Retained("job".to_owned())),
            &|it| {
                let (record_id, message) = ("record".to_owned(), "message".to_owned());
                it.refusal = Some(Refusal { record_id, generation: 1, message });
            },
        ];
        for change in changes {
            assert_eq!(kept(change), 1);
            assert_eq!(kept(&|it| (change(it), it.note_remote(Some("job"), start)).1), 1);
        }
    }

    #[test]
    fn local_state_of_a_deleted_object_is_not_inserted() {
        let local_states = LocalStates::default();
        local_states.insert("uid", LocalState::default(), || true);
        // The response to the removal of the finalizer is lost, so the reconcile fails after the deletion event.
        local_states.clone().remove("uid");
        local_states.insert("uid", LocalState { failures: 1, ..LocalState::default() }, || false);
        assert!(local_states.lock().is_empty());
        // The reverse order: the cache has dropped the object before the deletion event is handled.
        local_states.insert("uid", LocalState::default(), || true);
        local_states.insert("uid", LocalState { failures: 1, ..LocalState::default() }, || false);
        assert!(local_states.lock().is_empty());
    }
}
