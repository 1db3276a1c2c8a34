//! Conditions that are independent of the kind: the object is paused, the API server does not store the status, and the
//! operator has a bug.

use kube::ResourceExt;
use kube::runtime::events::EventType;

use super::{Interrupted, ObjectHandle, generation_of};
use crate::api::phase::why;
use crate::api::{HasStatus, PAUSED, Phase, Reason, conditions};
use crate::reconcile::{End, EventToEmit, Objects, Requeue};
use crate::runtime::warnings::About;

impl<K, O> ObjectHandle<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus + Send + Sync,
    O: Objects<K>,
{
    /// Sets the condition for a paused object, once. The other conditions and their observed generation stay.
    pub async fn set_paused(&mut self) -> Result<(), Interrupted> {
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
                    self.emit_event(EventType::Normal, &why);
                }
                Err(error) => self.not_written(error).await?,
            }
        }
        Ok(())
    }

    /// Reports a failed write and its reason by a condition. If the condition cannot be written either, it emits an
    /// event and a log line, but only if the reason `is_news`.
    pub async fn report_failed_write(&mut self, what: &str, is_news: bool) {
        let why = why(Reason::StatusNotStored, what);
        let phase = if self.object.meta().deletion_timestamp.is_some() {
            Phase::Deleting { why: why.clone(), blocked: true }
        } else {
            Phase::Refused(why.clone())
        };
        let ended = self.end_reconcile(&End::with_phase(phase, Requeue::OnChange)).await;
        if matches!(ended, Ok(true)) || !is_news {
            return;
        }
        let (kind, namespace, name) = (K::kind(&()), self.object.namespace(), self.object.name_any());
        let (reason, message) = (why.reason, &why.message);
        if let Some(left_out) = self.environment.warns(About::RefusedWrite) {
            tracing::warn!(%kind, namespace, name, %reason, left_out, "{message}");
        } else {
            tracing::debug!(%kind, namespace, name, %reason, "{message}");
        }
        let event = EventToEmit { type_: EventType::Warning, reason, note: why.message };
        self.objects.emit_event(&self.object, event);
    }

    /// Sets the condition for a reconcile that does not terminate, which is a bug in the operator.
    pub async fn set_internal_error(&mut self, what: &str) -> Result<(), Interrupted> {
        let phase = Phase::Refused(why(Reason::InternalError, what));
        self.end_reconcile(&End::with_phase(phase, Requeue::OnChange)).await.map(|_| ())
    }
}
