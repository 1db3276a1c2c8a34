//! Removes the finalizer, and reports what remains in Beyond Identity.

use kube::ResourceExt;
use kube::runtime::events::EventType;

use super::{Interrupted, ObjectHandle};
use crate::api::phase::why;
use crate::api::{HasStatus, Reason};
use crate::reconcile::{Leftover, Objects};

impl<K, O> ObjectHandle<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus,
    O: Objects<K>,
{
    /// Removes the finalizer. An event reports the leftover once (`reported` is the leftover of the last event). It
    /// precedes the last write, since this process may end right after that.
    pub async fn remove_finalizer(
        &mut self,
        leftover: Option<Leftover>,
        reported: &mut Option<Leftover>,
    ) -> Result<(), Interrupted> {
        if let Some(leftover) = &leftover
            && reported.as_ref() != Some(leftover)
        {
            self.make_sure_that_it_is_there().await?;
            if self.deleted {
                return Ok(());
            }
            match leftover {
                Leftover::Retained(what) => {
                    self.emit_event(EventType::Normal, &why(Reason::RemoteResourceRetained, what))
                }
                Leftover::NotRemoved(what) => {
                    self.emit_event(EventType::Warning, &why(Reason::RemoteResourceRetained, what))
                }
            }
            *reported = Some(leftover.clone());
        }
        self.set_finalizer(false).await?;
        self.deleted = true;
        if leftover.is_none() {
            // No event: the object is deleted as requested.
            let done = why(Reason::Deleting, "Finalizer removed; nothing is left to revoke or delete");
            self.log(EventType::Normal, &done);
        }
        Ok(())
    }

    /// Reads the object unless it is fresh, since the watch cache may be stale. For a deleted object the event was
    /// emitted before its deletion.
    async fn make_sure_that_it_is_there(&mut self) -> Result<(), Interrupted> {
        if self.fresh {
            return Ok(());
        }
        let planned_for = self.object.resource_version();
        self.refresh().await?;
        if self.deleted || self.object.resource_version() == planned_for { Ok(()) } else { Err(Interrupted::Conflict) }
    }
}
