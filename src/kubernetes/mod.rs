//! The real Kubernetes API: the way there, the objects port, the watches that fill the stores, and the
//! Secrets.

pub mod client;
pub mod lenient;
mod misfit;
pub mod objects;
pub mod own_writes;
pub mod report;
mod salvage;
pub mod schema;
pub mod secrets;
pub mod stores;
pub mod users;
pub mod watch;

pub use objects::KubeObjects;
