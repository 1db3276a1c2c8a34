//! The end of an object: its finalizer is taken off, and what stays of it on the remote side is told.

use kube::runtime::events::EventType;

use super::{Held, Interrupted};
use crate::api::phase::why;
use crate::api::{HasStatus, Reason};
use crate::reconcile::Objects;

/// What is left on the remote side when an object is let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is to stay there.
    Kept(String),
    /// It should have gone, and could not be removed.
    Behind(String),
}

impl<K, O> Held<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus,
    O: Objects<K>,
{
    /// Lets the object go.
    pub async fn let_go(&mut self, left: Option<Left>) -> Result<(), Interrupted> {
        self.set_finalizer(false).await?;
        match left {
            // No event: the object is gone, and all is as it should be.
            None => {
                let done = why(Reason::Deleting, "the object goes, and nothing is left to be revoked or deleted");
                self.log(EventType::Normal, &done);
            }
            Some(Left::Kept(what)) => self.tell(EventType::Normal, &why(Reason::LeftBehind, what)),
            Some(Left::Behind(what)) => self.tell(EventType::Warning, &why(Reason::LeftBehind, what)),
        }
        Ok(())
    }
}
