//! The self-write filter: distinguishes the statuses that this process wrote from those of other writers. Only the
//! latter are enqueued. (client-go has expectations for the same purpose.)

use std::collections::HashMap;

use kube::ResourceExt;
use parking_lot::Mutex;

use crate::api::HasStatus;

/// The most own writes per object that a watch can be behind.
const WRITES: usize = 16;

/// The statuses that this process wrote and the watch has not delivered yet, by object.
#[derive(Debug, Default)]
pub struct SelfWriteFilter(Mutex<HashMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The last delivered status.
    seen: Option<u64>,
    /// The statuses that were written since, or are about to be.
    written: Vec<u64>,
}

impl SelfWriteFilter {
    /// Records a status that this process is about to write.
    pub fn expect_write<K: ResourceExt + HasStatus>(&self, object: &K) {
        let mut all = self.0.lock();
        let written = &mut all.entry(object.uid().unwrap_or_default()).or_default().written;
        if written.len() == WRITES {
            written.remove(0);
        }
        written.push(object.status_hash());
    }

    /// Records that the watch delivered `object`. Returns whether another writer wrote its status. This is unknown at
    /// the first delivery, and false is returned.
    pub fn delivered<K: ResourceExt + HasStatus>(&self, object: &K) -> bool {
        let now = object.status_hash();
        let mut all = self.0.lock();
        let Known { seen, written } = all.entry(object.uid().unwrap_or_default()).or_default();
        let before = seen.replace(now);
        if let Some(own) = written.iter().position(|own| *own == now) {
            // The watch skipped the earlier ones, or they were never stored.
            written.drain(..=own);
            return false;
        }
        before.is_some_and(|before| before != now)
    }

    /// Removes a status that was not written because the request failed.
    pub fn revert<K: ResourceExt + HasStatus>(&self, object: &K) {
        let uid = object.uid().unwrap_or_default();
        let mut all = self.0.lock();
        let Some(Known { seen, written }) = all.get_mut(&uid) else { return };
        if let Some(last) = written.iter().rposition(|own| *own == object.status_hash()) {
            written.remove(last);
        }
        // The object was deleted meanwhile, and the watch has already delivered that.
        if seen.is_none() && written.is_empty() {
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

    #[test]
    fn own_writes_are_filtered_in_a_delayed_or_skipping_watch() {
        let own = SelfWriteFilter::default();
        assert!(!own.delivered(&in_state("LINK_SENT")), "the first observation");
        own.expect_write(&in_state("LINK_OPENED"));
        own.expect_write(&in_state("REQUEST_DELIVERED"));
        own.expect_write(&in_state("COMPLETE"));
        assert!(!own.delivered(&in_state("LINK_OPENED")));
        assert!(!own.delivered(&in_state("LINK_OPENED")), "only a label is changed");
        assert!(!own.delivered(&in_state("COMPLETE")), "the watch skipped a version");
        assert!(own.delivered(&in_state("REQUEST_DELIVERED")), "a write of another writer");
        assert!(own.delivered(&in_state("COMPLETE")), "another writer reverts the status");
        for write in 0..100 {
            own.expect_write(&in_state(&write.to_string()));
        }
        assert!(!own.delivered(&in_state("99")), "the latest of many writes are known");
        own.expect_write(&in_state("EXPIRED"));
        own.revert(&in_state("EXPIRED"));
        assert!(own.delivered(&in_state("EXPIRED")), "a refused write is not an own write");
        own.forget("uid");
        own.expect_write(&in_state("99"));
        own.revert(&in_state("99"));
        assert!(own.0.lock().is_empty(), "nothing remains of a deleted object");
        assert!(!own.delivered(&in_state("1")), "a recreated object");
    }

    #[test]
    fn condition_changes_are_ignored_but_cleared_conditions_are_not() {
        let own = SelfWriteFilter::default();
        let mut object = in_state("LINK_SENT");
        let set_phase = |object: &mut EnrollmentRequest, reason| {
            let phase = crate::api::Phase::Outstanding(crate::api::phase::why(reason, "text"));
            object.set_conditions(
                crate::api::conditions::conditions(&phase, 1, &[], jiff::Timestamp::UNIX_EPOCH),
                Some(1),
            );
        };
        set_phase(&mut object, crate::api::Reason::LinkSent);
        assert!(!own.delivered(&object));
        set_phase(&mut object, crate::api::Reason::Adopted);
        object.set_failing_since(Some("2026-01-01T12:00:00Z".to_owned()));
        assert!(!own.delivered(&object), "processes with different conditions do not enqueue each other");
        object.set_conditions(Vec::new(), Some(1));
        assert!(own.delivered(&object));
    }
}
