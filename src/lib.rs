//! The operator as a library, for `main` and for tests that start it in their own process.

pub mod api;
pub mod authenticator_config;
mod backend;
pub mod beyond_identity;
pub mod cli;
mod controllers;
pub mod enrollment_request;
mod environment;
#[cfg(test)]
mod fuzz;
mod harmless;
mod kubernetes;
mod metrics;
pub mod operator;
mod provider_config;
pub mod queue;
mod queues;
mod realm;
pub mod reconcile;
pub mod runtime;
mod settings;
pub mod triggers;
mod watches;

pub use realm::health;

/// The name of the operator: its field manager, event reporter, Lease and user-visible name.
pub(crate) const NAME: &str = "beyond-identity-operator";
/// `NAME/VERSION`, sent with each request. The API server derives the field manager from it.
pub(crate) const USER_AGENT: &str = concat!("beyond-identity-operator/", env!("CARGO_PKG_VERSION"));
