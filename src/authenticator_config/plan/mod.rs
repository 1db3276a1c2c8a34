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

/// Whether any work beyond comparing the configuration is pending.
pub(super) fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.create.is_some() || input.status.id.is_none() || !input.is_seen()
}

/// The next step of an object that is not being deleted and has nothing in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    update::rule(input).unwrap_or_else(|| adopt_or_create::rule(input))
}
