//! How a reconcile has ended, and when the object is reconciled again.

use std::time::Duration;

use super::kind::Kind;
use super::local_state::LocalState;
use super::object_handle::Interrupted;
use super::times::{FIRST_CONFLICT, LONGEST_CONFLICT, RETRY_CONDITIONS};
use super::wait::{Until, pause};

/// How a reconcile has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileResult {
    /// In a word.
    pub ended: Ended,
    /// After how long to reconcile again; `None`: when something changes.
    pub requeue_after: Option<Duration>,
}

/// How a reconcile has ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is to be done until something changes.
    Done,
    /// It is reconciled again after a while.
    RequeueAfter,
    /// Somebody else wrote first.
    Conflict,
    /// Something failed, and is tried again.
    Failed,
}

impl ReconcileResult {
    /// From how the reconcile of the object `uid` has ended. Counts failures and conflicts in `local_state`; `chance` (0 to 1)
    /// spreads what failed together.
    pub fn of<K: Kind>(
        ended: Result<Until, Interrupted>,
        local_state: &mut LocalState<K>,
        chance: f64,
        uid: &str,
    ) -> Self {
        let until = match ended {
            Ok(until) => until,
            Err(Interrupted::Conflict) => {
                local_state.overtaken = local_state.overtaken.saturating_add(1);
                let doubled = FIRST_CONFLICT.saturating_mul(2_u32.saturating_pow(local_state.overtaken - 1));
                let requeue_after = pause(Until::After(doubled.min(LONGEST_CONFLICT)), 0, chance);
                return Self { ended: Ended::Conflict, requeue_after };
            }
            Err(Interrupted::Unsaid { until, .. }) => until.or_sooner(Until::After(RETRY_CONDITIONS)),
            Err(Interrupted::Refused(_) | Interrupted::NotStored(_)) => Until::Backoff(None),
            Err(Interrupted::Failed(why)) => {
                tracing::warn!(uid, error = %why, "Reconcile failed; retrying");
                Until::Backoff(None)
            }
        };
        local_state.overtaken = 0;
        local_state.failures = match until {
            Until::Backoff(_) => local_state.failures.saturating_add(1),
            Until::Change | Until::After(_) | Until::Turn(_) => 0,
        };
        let ended = match until {
            Until::Change => Ended::Done,
            Until::After(_) | Until::Turn(_) => Ended::RequeueAfter,
            Until::Backoff(_) => Ended::Failed,
        };
        Self { ended, requeue_after: pause(until, local_state.failures, chance) }
    }
}
