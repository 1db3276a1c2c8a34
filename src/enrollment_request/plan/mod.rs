//! The rules of a request, a file each, in the order in which the planner asks them (`reconcile/plan.rs`). Pure: the same
//! input gives the same step, and conditions are no part of it.

mod adopt;
pub(super) mod doubt;
pub(super) mod finalize;
mod follow;
pub mod input;
pub mod pending;
pub mod poll;
mod prepare;
mod recognize;
mod revoke;
#[cfg(test)]
mod tests;

use input::{Input, Step};
pub use revoke::to_revoke;

/// The next step of a request that is not being deleted, of which nothing is in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    match revoke::rule(input) {
        Ok(again) => follow::rule(input).unwrap_or_else(|| prepare::rule(input)).or_sooner(again),
        Err(step) => step,
    }
}
