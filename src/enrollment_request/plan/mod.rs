//! The rules of a request, one file each: doubt, finalize, revoke, poll, adopt, budget, prepare. The planner applies them in this
//! order (`reconcile/plan.rs`). Pure: the same input gives the same step, and conditions are not part of the input.

mod adopt;
pub mod budget;
pub(super) mod doubt;
pub(super) mod finalize;
pub mod input;
pub mod pending;
mod poll;
pub mod poll_interval;
mod prepare;
mod recognize;
pub(super) mod revoke;
#[cfg(test)]
mod tests;

use input::{Input, Step};
pub(super) use prepare::is_active;
pub use revoke::to_revoke;

/// The next step of a request that is not being deleted and has nothing in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    match revoke::rule(input) {
        Ok(again) => poll::rule(input).unwrap_or_else(|| prepare::rule(input)).or_sooner(again),
        Err(step) => step,
    }
}
