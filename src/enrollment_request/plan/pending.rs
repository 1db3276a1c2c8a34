//! Pending: whether any work beyond polling is pending. Pure.

use super::input::Input;
use super::revoke::to_revoke;
use crate::reconcile::PlanInput;

/// Whether any work beyond polling the job is pending.
pub fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.send.is_some() || is_send_pending(input) || !to_revoke(input).is_empty()
}

/// Whether an email must still be sent, or be found unnecessary. While the request is revoked, no email is sent.
pub fn is_send_pending(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    let again = status.attempt < Some(desired.attempt) || desired.annotation_actions.resend_of(status).is_some();
    status.attempt.is_none() || (again && !desired.revoked)
}

/// Whether an annotation requests an action. The generation does not show this.
pub fn asks_by_annotation(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    desired.annotation_actions.resend_of(status).is_some() || desired.annotation_actions.revoke(status)
}
