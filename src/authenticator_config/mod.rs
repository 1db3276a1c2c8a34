//! The AuthenticatorConfig: one remote configuration for each, found again by its mark.

pub mod change;
pub mod compare;
pub mod desired;
mod execute;
pub mod mark;
pub mod observed;
pub mod plan;
pub mod ports;
pub mod reconcile;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;

pub use ports::{Ports, Remote};
pub use reconcile::reconcile;
