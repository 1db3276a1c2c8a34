//! The rules of an AuthenticatorConfig, a file each, in the order in which the planner asks them (`reconcile/plan.rs`). Pure:
//! the same input gives the same step, and conditions are no part of it.

mod adopt_or_create;
pub(super) mod doubt;
pub(super) mod finalize;
pub mod input;
#[cfg(test)]
mod tests;
mod update;

use input::{Input, Step};

/// Whether there is more to do than to compare what is there.
pub(super) fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.create.is_some() || input.status.id.is_none() || !input.is_seen()
}

/// The next step of an object that is not being deleted, of which nothing is in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    update::rule(input).unwrap_or_else(|| adopt_or_create::rule(input))
}
