//! What all reconciles of a kind in a process share.

use std::sync::Arc;

use super::kind::Kind;
use super::{Environment, Memories, Times};

/// What all reconciles of a kind in a process share.
pub struct Context<K: Kind, B> {
    /// The way to the world outside.
    pub backend: Arc<B>,
    /// Time, chance, leave to act.
    pub environment: Arc<dyn Environment>,
    /// What the kind's objects know of each other.
    pub shared: Arc<K::Shared>,
    /// What is remembered of each object.
    pub memories: Memories,
    /// How the operator is to run.
    pub options: Options,
}

/// How the operator is to run, as far as reconciles go by it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's name, part of the mark of every remote object.
    pub cluster: String,
    /// Whether no deletion touches the remote side, whatever a deletion policy says.
    pub orphan_on_delete: bool,
    /// The times to go by.
    pub times: Times,
}
