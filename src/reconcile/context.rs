//! The context that all reconciles of a kind in a process share.

use std::sync::Arc;

use super::kind::Kind;
use super::local_state::LocalStates;
use super::options::Options;
use super::ports::Environment;

/// The context that all reconciles of a kind in a process share.
pub struct Context<K: Kind, B> {
    /// The Kubernetes API and the remote service.
    pub backend: Arc<B>,
    /// Time, randomness, and permission to write.
    pub environment: Arc<dyn Environment>,
    /// The state that the objects of the kind share.
    pub shared: Arc<K::Shared>,
    /// The local states of the objects.
    pub local_states: LocalStates<K>,
    /// The configuration of reconciles.
    pub options: Options,
}
