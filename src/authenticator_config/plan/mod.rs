//! The rules of an AuthenticatorConfig, one file each: doubt, finalize, update, adopt_or_create. The planner applies them
//! in this order (`reconcile/plan.rs`). Pure: the same input gives the same step, and conditions are not part of the input.

mod adopt_or_create;
pub(super) mod doubt;
pub(super) mod finalize;
pub mod input;
#[cfg(test)]
mod tests;
mod update;

use input::{Input, Step};

use crate::api::Reason;
use crate::api::phase::{Why, why};

/// Whether any work beyond comparing the configuration is pending.
pub(super) fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.create.is_some() || input.status.id.is_none() || !input.is_seen()
}

/// Why a field that was removed from the spec still has its last value, if there is one. It is derived from the status,
/// which records a removed field until the configuration no longer has its value.
pub(super) fn field_not_unset(input: &Input<'_>) -> Option<Why> {
    if input.desired.observe || input.lifecycle().undecodable.is_some() {
        return None;
    }
    let fields = input.desired.removed_fields(&input.status.set_fields);
    let (is, it) = if fields.len() == 1 { ("was", "it") } else { ("were", "they") };
    let (is_not, has) = if fields.len() == 1 { ("is", "its last value") } else { ("are", "their last values") };
    (!fields.is_empty()).then(|| {
        let message = format!(
            "{} {is} set by this object and {is_not} no longer in the spec, but the configuration in Beyond Identity \
             still has {has}; set the field in the spec to the value that {it} should have",
            fields.join(", ")
        );
        why(Reason::FieldNotUnset, message)
    })
}

/// The next step of an object that is not being deleted and has nothing in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    update::rule(input).unwrap_or_else(|| adopt_or_create::rule(input))
}
