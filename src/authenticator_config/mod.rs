//! The AuthenticatorConfig: one remote configuration for each object, found again by its ownership mark.

pub mod change;
pub mod compare;
pub mod desired;
mod kind;
pub mod mark;
mod meaning;
pub mod observed;
mod other_values;
mod phase;
pub mod plan;
mod reconciler;
mod set_fields;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
