//! The end of an object: its finalizer is taken off, and what stays of it on the remote side is told.

use kube::ResourceExt;
use kube::runtime::events::EventType;

use super::{Interrupted, ObjectHandle};
use crate::api::phase::why;
use crate::api::{HasStatus, Reason};
use crate::reconcile::{Left, Objects};

impl<K, O> ObjectHandle<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus,
    O: Objects<K>,
{
    /// Lets the object go. What is left of it is told first, and once (`told` is what was told before): after the answer to
    /// that last write nobody may be there to tell it.
    pub async fn let_go(&mut self, left: Option<Left>, told: &mut Option<Left>) -> Result<(), Interrupted> {
        if let Some(left) = &left
            && told.as_ref() != Some(left)
        {
            self.make_sure_that_it_is_there().await?;
            if self.gone {
                return Ok(());
            }
            match left {
                Left::Kept(what) => self.tell(EventType::Normal, &why(Reason::RemoteResourceRetained, what)),
                Left::Behind(what) => self.tell(EventType::Warning, &why(Reason::RemoteResourceRetained, what)),
            }
            *told = Some(left.clone());
        }
        self.set_finalizer(false).await?;
        self.gone = true;
        if left.is_none() {
            // No event: the object is gone, and all is as it should be.
            let done = why(Reason::Deleting, "Finalizer removed; nothing is left to revoke or delete");
            self.log(EventType::Normal, &done);
        }
        Ok(())
    }

    /// The watch may be behind. Of an object that is gone all was told before it went.
    async fn make_sure_that_it_is_there(&mut self) -> Result<(), Interrupted> {
        if self.fresh {
            return Ok(());
        }
        let planned_for = self.object.resource_version();
        self.refresh().await?;
        if self.gone || self.object.resource_version() == planned_for { Ok(()) } else { Err(Interrupted::Conflict) }
    }
}
