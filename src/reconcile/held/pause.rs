//! A pause: an annotation stops all work on an object, and a condition says so.

use kube::runtime::events::EventType;

use super::{Held, Interrupted, generation_of};
use crate::api::phase::why;
use crate::api::{HasStatus, PAUSED, Reason, conditions};
use crate::reconcile::{Objects, annotations};

/// An object in hand, whatever its kind.
pub trait InHand: Send {
    /// Whether all work on it is to stop.
    fn is_paused(&self) -> bool;

    /// Says that it has stopped, once. What was said before stands, and so does the generation it was said of.
    fn say_paused(&mut self) -> impl Future<Output = Result<(), Interrupted>> + Send;
}

impl<K, O> InHand for Held<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus + Send + Sync,
    O: Objects<K>,
{
    fn is_paused(&self) -> bool {
        annotations::is_paused(&self.object)
    }

    async fn say_paused(&mut self) -> Result<(), Interrupted> {
        let why = why(
            Reason::Paused,
            format!(
                "all work on this object has stopped, its deletion included: take the annotation {PAUSED} off to go on"
            ),
        );
        let (generation, observed) = (generation_of(&self.object), self.object.observed_generation());
        let mut paused = self.object.clone();
        let conditions = conditions::paused(&why, generation, paused.conditions(), self.environment.now());
        paused.set_conditions(conditions, observed);
        if !paused.same_status(&self.object) {
            let written = self.objects.write_status(&paused).await?;
            self.hold(written);
            self.tell(EventType::Normal, &why);
        }
        Ok(())
    }
}
