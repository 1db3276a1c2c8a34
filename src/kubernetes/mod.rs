//! The real Kubernetes API: the way there, the objects port, the watches that fill the stores, and the
//! Secrets.

pub mod client;
mod misfit;
pub mod objects;
pub mod own_writes;
pub mod report;
pub mod secrets;
pub mod users;
pub mod watch;

pub use objects::KubeObjects;
