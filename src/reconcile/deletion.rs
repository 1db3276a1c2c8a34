//! What a wait means to an object that is being deleted: the deletion waits, or gives up what only a person could mend.

use std::time::Duration;

use super::{Left, Until, Wait};
use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// Says of `wait` that it holds up the deletion, since `what` is still to be done. What somebody would have to mend
/// holds it up only while there is `patience`: after that the object is let go, and what it leaves is told.
pub fn held_up(wait: Wait, patience: Duration, what: &str) -> Result<Wait, Left> {
    let Wait { say: Some(phase), until, .. } = wait else { return Ok(wait) };
    let Why { reason, message } = phase.why().clone();
    if let Phase::Deleting { .. } = phase {
        return Ok(Wait::saying(phase, until));
    }
    let blocked = matches!(phase, Phase::Blocked(_) | Phase::Refused(_));
    if blocked && patience.is_zero() {
        return Err(Left::Behind(format!("it was let go although {what}: {message}")));
    }
    let reason = if blocked { Reason::DeletionBlocked } else { reason };
    let phase = Phase::Deleting { why: why(reason, format!("the deletion waits, since {what}: {message}")), blocked };
    let until = match until {
        Until::After(pause) if blocked => Until::After(pause.min(patience)),
        until => until,
    };
    Ok(Wait::saying(phase, until))
}
