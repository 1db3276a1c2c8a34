//! How a reconcile ended, and when the object is reconciled again.

use std::time::Duration;

use super::end::{Requeue, requeue_delay};
use super::kind::Kind;
use super::local_state::LocalState;
use super::object_handle::Interrupted;
use super::ports::Environment;
use super::times::{FIRST_CONFLICT, LONGEST_CONFLICT, RETRY_CONDITIONS};
use crate::runtime::warnings::About;

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
    /// Jitter spreads objects that failed together.
    pub fn of<K: Kind>(
        ended: Result<Requeue, Interrupted>,
        local_state: &mut LocalState<K>,
        environment: &dyn Environment,
        namespace: &str,
        name: &str,
    ) -> Self {
        let random = environment.random();
        let requeue = match ended {
            Ok(requeue) => requeue,
            Err(Interrupted::Conflict) => {
                local_state.conflicts = local_state.conflicts.saturating_add(1);
                let doubled = FIRST_CONFLICT.saturating_mul(2_u32.saturating_pow(local_state.conflicts - 1));
                let requeue_after = requeue_delay(Requeue::After(doubled.min(LONGEST_CONFLICT)), 0, random);
                return Self { ended: Ended::Conflict, requeue_after };
            }
            Err(Interrupted::ConditionsRefused { requeue, .. }) => requeue.or_sooner(Requeue::After(RETRY_CONDITIONS)),
            Err(Interrupted::Refused(_) | Interrupted::NotStored(_)) => Requeue::Backoff(None),
            Err(Interrupted::Failed(why)) => {
                // Each retry of an outage would repeat the line.
                if local_state.failures == 0 {
                    let kind = K::kind(&());
                    if let Some(left_out) = environment.warns(About::Request) {
                        tracing::warn!(%kind, namespace, name, error = %why, left_out, "Reconcile failed; retrying");
                    } else {
                        tracing::debug!(%kind, namespace, name, error = %why, "Reconcile failed; retrying");
                    }
                }
                Requeue::Backoff(None)
            }
        };
        local_state.conflicts = 0;
        local_state.failures = match requeue {
            Requeue::Backoff(_) => local_state.failures.saturating_add(1),
            Requeue::OnChange | Requeue::After(_) | Requeue::AtTurn(_) => 0,
        };
        let ended = match requeue {
            Requeue::OnChange => Ended::Done,
            Requeue::After(_) | Requeue::AtTurn(_) => Ended::RequeueAfter,
            Requeue::Backoff(_) => Ended::Failed,
        };
        Self { ended, requeue_after: requeue_delay(requeue, local_state.failures, random) }
    }
}
