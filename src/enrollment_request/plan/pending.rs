//! Pending: whether there is more to do than to poll. Pure.

use super::input::Input;
use super::revoke::to_revoke;
use crate::reconcile::PlanInput;

/// Whether there is more to do than to poll the job.
pub fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.send.is_some() || is_send_pending(input) || !to_revoke(input).is_empty()
}

/// Whether an email has yet to be sent, or to be found needless. While the request is revoked, none is.
pub fn is_send_pending(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    let again = status.attempt < Some(desired.attempt) || desired.annotation_actions.resend_of(status).is_some();
    status.attempt.is_none() || (again && !desired.revoked)
}

/// Whether an annotation asks for something, of which the generation tells nothing.
pub fn asks_by_annotation(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    desired.annotation_actions.resend_of(status).is_some() || desired.annotation_actions.revoke(status)
}
