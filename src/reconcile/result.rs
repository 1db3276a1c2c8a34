//! How a reconcile ended, and when the object is reconciled again.

use std::time::Duration;

use super::kind::Kind;
use super::local_state::LocalState;
use super::object_handle::Interrupted;
use super::times::{FIRST_CONFLICT, LONGEST_CONFLICT, RETRY_CONDITIONS};
use super::wait::{Until, pause};

/// The result of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconcileResult {
    /// The classified end.
    pub ended: Ended,
    /// The delay until the next reconcile; `None`: on a change.
    pub requeue_after: Option<Duration>,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing to do until a change.
    Done,
    /// The object is reconciled again after a delay.
    RequeueAfter,
    /// Another writer was first.
    Conflict,
    /// Something failed and is retried.
    Failed,
}

impl ReconcileResult {
    /// The result from the end of the reconcile of the object `name` in `namespace`. Counts failures and conflicts in `local_state`.
    /// Jitter from `chance` (0 to 1) spreads objects that failed together.
    pub fn of<K: Kind>(
        ended: Result<Until, Interrupted>,
        local_state: &mut LocalState<K>,
        chance: f64,
        namespace: &str,
        name: &str,
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
                tracing::warn!(kind = %K::kind(&()), namespace, name, error = %why, "Reconcile failed; retrying");
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
