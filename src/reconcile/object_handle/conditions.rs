//! What is said of an object whatever its kind: that an annotation has stopped all work on it, that the API server does not
//! take what the operator writes, and that the operator itself fails.

use kube::runtime::events::EventType;

use super::{Interrupted, ObjectHandle, generation_of};
use crate::api::phase::why;
use crate::api::{HasStatus, PAUSED, Phase, Reason, conditions};
use crate::reconcile::{Objects, Until, Wait};

impl<K, O> ObjectHandle<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus + Send + Sync,
    O: Objects<K>,
{
    /// Says that all work on the object has stopped, once. What was said before stands, and so does the generation it was
    /// said of.
    pub async fn say_paused(&mut self) -> Result<(), Interrupted> {
        let why = why(
            Reason::Paused,
            format!(
                "Reconciliation of this object is paused, including its deletion; remove the annotation {PAUSED} to \
                 resume"
            ),
        );
        let (generation, observed) = (generation_of(&self.object), self.object.observed_generation());
        let mut paused = self.object.clone();
        let conditions = conditions::paused(&why, generation, paused.conditions(), self.environment.now());
        paused.set_conditions(conditions, observed);
        if !paused.same_status(&self.object) {
            match self.objects.write_status(&paused).await {
                Ok(written) => {
                    self.hold(written);
                    self.tell(EventType::Normal, &why);
                }
                Err(error) => self.not_written(error).await?,
            }
        }
        Ok(())
    }

    /// Says that a write of the operator's does not come through, and why: by a condition, or where not even that can be
    /// written by an event and a line of the log, and then only if that `is_news`.
    pub async fn say_unwritable(&mut self, what: &str, is_news: bool) {
        let why = why(Reason::StatusNotStored, what);
        let phase = if self.object.meta().deletion_timestamp.is_some() {
            Phase::Deleting { why: why.clone(), blocked: true }
        } else {
            Phase::Refused(why.clone())
        };
        let said = self.conclude(&Wait::saying(phase, Until::Change)).await;
        if !matches!(said, Ok(true)) && is_news {
            self.tell(EventType::Warning, &why);
        }
    }

    /// Says that the operator does not come to an end with this object, which is a bug in it.
    pub async fn say_bug(&mut self, what: &str) -> Result<(), Interrupted> {
        let phase = Phase::Refused(why(Reason::InternalError, what));
        self.conclude(&Wait::saying(phase, Until::Change)).await.map(|_| ())
    }
}
