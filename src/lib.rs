//! The operator as a library: what `main` runs, and what the tests start in their own process.

pub mod api;
pub mod beyond_identity;
