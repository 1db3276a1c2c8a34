//! What a wait means to an object that is being deleted: the deletion waits, or gives up what only a person could mend.

use super::{Left, Wait};
use crate::api::phase::{Why, why};
use crate::api::{Phase, Reason};

/// Says of `wait` that it holds up the deletion, since `what` is still to be done. What somebody would have to mend
/// holds it up only for the grace period: once that is over (`overdue`), the object is let go, and what it leaves is told.
pub fn held_up(wait: Wait, overdue: bool, what: &str) -> Result<Wait, Left> {
    let Wait { say: Some(phase), until } = wait else { return Ok(wait) };
    let Why { reason, message } = phase.why().clone();
    let blocked = matches!(phase, Phase::Blocked(_) | Phase::Refused(_));
    match phase {
        _ if blocked && overdue => Err(Left::Behind(format!("it was let go although {what}: {message}"))),
        Phase::Deleting { .. } => Ok(Wait::saying(phase, until)),
        _ => {
            let reason = if blocked { Reason::DeletionBlocked } else { reason };
            let why = why(reason, format!("the deletion waits, since {what}: {message}"));
            Ok(Wait::saying(Phase::Deleting { why, blocked }, until))
        }
    }
}
