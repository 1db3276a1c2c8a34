//! The operator as a library: what `main` runs, and what the tests start in their own process.

pub mod api;
pub mod authenticator_config;
pub mod beyond_identity;
pub mod enrollment_request;
mod environment;
pub mod reconcile;
