//! The harness of the tests and the demo: a real control plane, and a simulator of the Beyond Identity API.

// Only the operator must take the time from `Environment`.
#![allow(clippy::disallowed_methods)]

pub mod argocd;
mod background;
pub mod chart;
pub mod contract;
pub mod control_plane;
pub mod demo;
pub mod forward_proxy;
pub mod git;
pub mod leash;
pub mod load;
pub mod process;
pub mod program;
pub mod proxy;
pub mod simulator;
pub mod statuses;
pub mod tls;
