//! The operator as a library: what `main` runs, and what the tests start in their own process.

pub mod api;
pub mod authenticator_config;
pub mod beyond_identity;
pub mod cli;
pub mod enrollment_request;
mod environment;
mod kubernetes;
pub mod operator;
mod realm;
pub mod reconcile;
mod runtime;
mod scope;
mod settings;
