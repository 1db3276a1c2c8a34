//! The part of the desired state that all kinds share. Pure.

use jiff::Timestamp;

use super::annotations;
use crate::api::HasStatus;

/// The part of the desired state that all kinds share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lifecycle {
    /// The generation of the spec.
    pub generation: i64,
    /// Whether the object is paused by annotation.
    pub paused: bool,
    /// The deletion timestamp, if the object is being deleted.
    pub deleted_at: Option<Timestamp>,
    /// Whether a deletion keeps the remote resources.
    pub orphan: bool,
    /// The requested reconcile that is not handled yet.
    pub reconcile_requested: Option<String>,
    /// Why this version cannot decode the spec; `None` if it can. An undecodable spec counts for a deletion only.
    pub undecodable: Option<String>,
}

impl Lifecycle {
    /// Reads it from `object`. `orphan` comes from its deletion policy; `undecodable` is the decode error of its spec.
    pub fn of(object: &(impl kube::Resource + HasStatus), orphan: bool, undecodable: Option<&str>) -> Self {
        Self {
            generation: object.meta().generation.unwrap_or_default(),
            paused: annotations::is_paused(object),
            deleted_at: object.meta().deletion_timestamp.as_ref().map(|time| time.0),
            orphan,
            reconcile_requested: annotations::reconcile_requested(object),
            undecodable: undecodable.map(str::to_owned),
        }
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.deleted_at.is_some()
    }
}
