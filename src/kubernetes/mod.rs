//! The real Kubernetes API: the way there, the objects port, and the watches that fill the stores.

pub mod client;
pub mod objects;
pub mod watch;

pub use objects::KubeObjects;
