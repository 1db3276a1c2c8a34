//! The EnrollmentRequest: one request, one email.

pub mod change;
pub mod desired;
mod execute;
mod learn;
mod matching;
pub mod observed;
mod phase;
pub mod plan;
pub mod ports;
pub mod reconcile;
pub mod reservations;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
pub mod wishes;

pub use ports::{Ports, Remote};
pub use reconcile::reconcile;
