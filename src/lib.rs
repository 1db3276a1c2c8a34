//! The operator as a library: what `main` runs, and what the tests start in their own process.

pub mod api;
pub mod authenticator_config;
mod backend;
pub mod beyond_identity;
pub mod cli;
mod controllers;
pub mod enrollment_request;
mod environment;
mod kubernetes;
mod metrics;
pub mod operator;
pub mod queue;
mod queues;
mod realm;
pub mod reconcile;
pub mod runtime;
mod settings;
pub mod triggers;
mod watches;

/// The name under which the operator writes fields and events, holds its Lease and calls itself.
pub(crate) const NAME: &str = "beyond-identity-operator";
