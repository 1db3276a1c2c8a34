//! What all reconciles of a kind in a process share.

use std::sync::Arc;

use super::kind::Kind;
use super::local_state::LocalStates;
use super::options::Options;
use super::ports::Environment;

/// What all reconciles of a kind in a process share.
pub struct Context<K: Kind, B> {
    /// The way to the world outside.
    pub backend: Arc<B>,
    /// Time, chance, leave to act.
    pub environment: Arc<dyn Environment>,
    /// What the kind's objects know of each other.
    pub shared: Arc<K::Shared>,
    /// What is remembered of each object.
    pub local_states: LocalStates<K>,
    /// How the operator is to run.
    pub options: Options,
}
