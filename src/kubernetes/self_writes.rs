//! The self-write filter: distinguishes the statuses that this process wrote from those of other writers. Only the
//! latter are enqueued. (client-go has expectations for the same purpose.)

use std::collections::HashMap;

use kube::ResourceExt;
use parking_lot::Mutex;

use crate::api::HasStatus;

/// The most own writes per object that a watch can be behind.
const WRITES: usize = 16;

/// The statuses that this process wrote and the watch has not delivered yet, by object. A status that is about to be written
/// counts as written.
#[derive(Debug, Default)]
pub struct SelfWriteFilter(Mutex<HashMap<String, Vec<u64>>>);

impl SelfWriteFilter {
    /// Records a status that this process is about to write.
    pub fn expect_write<K: ResourceExt + HasStatus>(&self, object: &K) {
        let mut all = self.0.lock();
        let written = all.entry(object.uid().unwrap_or_default()).or_default();
        if written.len() == WRITES {
            written.remove(0);
        }
        written.push(object.status_hash());
    }

    /// Records that the watch delivered `object` after the version `before`. Returns whether another writer wrote its
    /// status. This is unknown at the first delivery, and false is returned.
    pub fn delivered<K: ResourceExt + HasStatus>(&self, before: Option<&K>, object: &K) -> bool {
        let mut all = self.0.lock();
        let uid = object.meta().uid.as_deref().unwrap_or_default();
        if let Some(written) = all.get_mut(uid) {
            let now = object.status_hash();
            if let Some(own) = written.iter().position(|own| *own == now) {
                // The watch skipped the earlier ones, or they were never stored.
                written.drain(..=own);
                if written.is_empty() {
                    all.remove(uid);
                }
                return false;
            }
        }
        before.is_some_and(|before| !before.same_status(object) && before.status_hash() != object.status_hash())
    }

    /// Removes a status that was not written because the request failed.
    pub fn revert<K: ResourceExt + HasStatus>(&self, object: &K) {
        let uid = object.uid().unwrap_or_default();
        let mut all = self.0.lock();
        let Some(written) = all.get_mut(&uid) else { return };
        if let Some(last) = written.iter().rposition(|own| *own == object.status_hash()) {
            written.remove(last);
        }
        if written.is_empty() {
            all.remove(&uid);
        }
    }

    /// Removes a deleted object.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
    use crate::enrollment_request::testing::{concluded, request};

    fn in_state(state: &str) -> EnrollmentRequest {
        request("uid", EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() })
    }

    /// The filter, and the last delivered version.
    struct Watch(SelfWriteFilter, Option<EnrollmentRequest>);

    impl Watch {
        fn delivered(&mut self, object: EnrollmentRequest) -> bool {
            let edited = self.0.delivered(self.1.as_ref(), &object);
            self.1 = Some(object);
            edited
        }
    }

    #[test]
    fn own_writes_are_filtered_in_a_delayed_or_skipping_watch() {
        let mut own = Watch(SelfWriteFilter::default(), None);
        assert!(!own.delivered(in_state("LINK_SENT")), "the first observation");
        own.0.expect_write(&in_state("LINK_OPENED"));
        own.0.expect_write(&in_state("REQUEST_DELIVERED"));
        own.0.expect_write(&in_state("COMPLETE"));
        assert!(!own.delivered(in_state("LINK_OPENED")));
        assert!(!own.delivered(in_state("LINK_OPENED")), "only a label is changed");
        assert!(!own.delivered(in_state("COMPLETE")), "the watch skipped a version");
        assert!(own.delivered(in_state("REQUEST_DELIVERED")), "a write of another writer");
        assert!(own.delivered(in_state("COMPLETE")), "another writer reverts the status");
        for write in 0..100 {
            own.0.expect_write(&in_state(&write.to_string()));
        }
        assert!(!own.delivered(in_state("99")), "the latest of many writes are known");
        own.0.expect_write(&in_state("EXPIRED"));
        own.0.revert(&in_state("EXPIRED"));
        assert!(own.delivered(in_state("EXPIRED")), "a refused write is not an own write");
        own.0.forget("uid");
        own.0.expect_write(&in_state("99"));
        own.0.revert(&in_state("99"));
        assert!(own.0.0.lock().is_empty(), "nothing remains of a deleted object");
        own.1 = None;
        assert!(!own.delivered(in_state("1")), "a recreated object");
    }

    #[test]
    fn condition_changes_are_ignored_but_cleared_conditions_are_not() {
        let mut own = Watch(SelfWriteFilter::default(), None);
        let mut object = in_state("LINK_SENT");
        let set_phase = |object: &mut EnrollmentRequest, reason| {
            let phase = crate::api::Phase::Outstanding(crate::api::phase::why(reason, "text"));
            object.set_conditions(
                crate::api::conditions::conditions(&phase, 1, &[], jiff::Timestamp::UNIX_EPOCH),
                Some(1),
            );
        };
        set_phase(&mut object, crate::api::Reason::LinkSent);
        assert!(!own.delivered(object.clone()));
        set_phase(&mut object, crate::api::Reason::Adopted);
        object.set_failing_since(Some("2026-01-01T12:00:00Z".to_owned()));
        assert!(!own.delivered(object.clone()), "processes with different conditions do not enqueue each other");
        object.set_conditions(Vec::new(), Some(1));
        assert!(own.delivered(object.clone()));
    }
}
