//! The AuthenticatorConfig: one remote configuration for each, found again by its mark.

pub mod change;
pub mod compare;
pub mod desired;
mod kind;
pub mod mark;
pub mod observed;
mod phase;
pub mod plan;
mod reconciler;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
