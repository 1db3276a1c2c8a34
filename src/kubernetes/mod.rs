//! The real Kubernetes API: the client, the watches and the stores they fill, the objects port and the events, the Secrets,
//! what cannot be decoded, who uses what, and what the installed definitions lack.

pub mod client;
pub mod lenient;
mod misfit;
pub mod objects;
pub mod referrers;
pub mod report;
mod salvage;
pub mod schema;
pub mod secrets;
pub mod self_writes;
pub mod stores;
pub mod watch;

pub use objects::KubeObjects;
