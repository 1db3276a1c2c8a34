//! What a wait means to an object that is being deleted: the deletion waits, or gives up what only a person could mend.

use super::rules::{PlanInput, Rules};
use super::step::Step;
use super::{Left, Until, Wait};
use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// Says of a wait that it holds up the deletion, since `what` is still to be done; any other step stays as it is. What
/// somebody would have to mend holds the deletion up only for the grace period: after that the object is let go, and what it
/// leaves is told.
pub fn held_up<K: Rules>(input: &PlanInput<'_, K>, step: Step<K>, what: &str) -> Step<K> {
    let Step::Wait(Wait { say: Some(phase), until, .. }) = step else { return step };
    if let Phase::Deleting { .. } = phase {
        return Step::Wait(Wait::saying(phase, until));
    }
    let (blocked, patience) = (phase.needs_a_person(), input.object().grace_remaining);
    let Why { reason, message } = phase.why().clone();
    if blocked && patience.is_zero() {
        let left = Left::Behind(format!("Finalizer removed after the grace period, but {what}: {message}"));
        return Step::RemoveFinalizer { left: Some(left) };
    }
    let reason = if blocked { Reason::DeletionBlocked } else { reason };
    let phase = Phase::Deleting { why: why(reason, format!("Deletion is waiting because {what}: {message}")), blocked };
    let until = match until {
        Until::After(pause) if blocked => Until::After(pause.min(patience)),
        until => until,
    };
    Step::Wait(Wait::saying(phase, until))
}
