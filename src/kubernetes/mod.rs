//! The Kubernetes API adapter: client, watches and their stores, unavailable namespaces, objects and events, Secrets, labels of namespaces,
//! undecodable objects, lists in pages, referrers, and the check of the installed definitions.

pub mod availability;
pub mod client;
mod decode_error;
pub mod events;
pub mod lenient;
pub mod list_watch;
mod metadata;
pub mod namespaces;
pub mod objects;
pub mod pack;
pub mod pages;
pub mod referrers;
pub mod report;
mod salvage;
pub mod schema;
pub mod secrets;
pub mod self_writes;
pub mod store;
pub mod stores;
pub mod watch;

pub use objects::KubeObjects;
