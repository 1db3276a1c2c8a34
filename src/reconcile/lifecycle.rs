//! What objects of every kind ask for. Pure.

use jiff::Timestamp;

use super::annotations;
use crate::api::HasStatus;

/// What an object asks for, whatever its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// The generation of the spec.
    pub generation: i64,
    /// Whether an annotation has stopped all work on it.
    pub paused: bool,
    /// Since when the object is being deleted, if it is.
    pub deleted_at: Option<Timestamp>,
    /// Whether what it stands for stays when it is deleted.
    pub orphan: bool,
    /// The reconcile that somebody asked for, and that was not made yet.
    pub reconcile_requested: Option<String>,
    /// Why this version cannot decode the spec, if it cannot. Nothing else of the spec counts then but for a deletion.
    pub undecodable: Option<String>,
}

impl Lifecycle {
    /// What `object` asks for. `orphan` is what its deletion policy says, `undecodable` why its spec cannot be decoded.
    pub fn of(object: &(impl kube::Resource + HasStatus), orphan: bool, undecodable: Option<&str>) -> Self {
        Self {
            generation: object.meta().generation.unwrap_or_default(),
            paused: annotations::is_paused(object),
            deleted_at: object.meta().deletion_timestamp.as_ref().map(|time| time.0),
            orphan,
            reconcile_requested: annotations::look_asked_for(object),
            undecodable: undecodable.map(str::to_owned),
        }
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deleted_at.is_some()
    }
}
