//! How a wait affects a deletion: it delays the deletion. A problem that needs a user to act delays it only for the
//! grace period.

use super::rules::{PlanInput, Rules};
use super::step::Step;
use super::{End, Leftover, Requeue};
use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// Turns a wait into one that delays the deletion, because `what` is still to be done; any other step stays the same. A
/// problem that needs a user to act delays the deletion only for the grace period. After that the finalizer is removed,
/// and an event reports the leftover.
pub fn delay_deletion_by<K: Rules>(input: &PlanInput<'_, K>, step: Step<K>, what: &str) -> Step<K> {
    let Step::End(End { phase: Some(phase), requeue, .. }) = step else { return step };
    if let Phase::Deleting { .. } = phase {
        return Step::End(End::with_phase(phase, requeue));
    }
    let (blocked, remaining) = (phase.needs_user_action(), input.object().grace_remaining);
    let Why { reason, message } = phase.why().clone();
    if blocked && remaining.is_zero() {
        let left = Leftover::NotRemoved(format!("Finalizer removed after the grace period, but {what}. {message}"));
        return Step::RemoveFinalizer { leftover: Some(left) };
    }
    let reason = if blocked { Reason::DeletionBlocked } else { reason };
    let phase = Phase::Deleting { why: why(reason, format!("Deletion is waiting because {what}: {message}")), blocked };
    let requeue = match requeue {
        Requeue::After(pause) if blocked => Requeue::After(pause.min(remaining)),
        requeue => requeue,
    };
    Step::End(End::with_phase(phase, requeue))
}
