//! The handle of one object during one reconcile.
//!
//! It starts with the object from the watch cache, and every read or write replaces it with what the API server
//! returned. Status writes carry the resourceVersion, so they never overwrite another writer. The handle also sets
//! conditions, emits events, writes write-ahead records and removes the finalizer. A status that the API server stores
//! only in part is an error, and [`ObjectHandle::update_status`] reverts it.

mod conditions;
mod finalize;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::events::EventType;
use tokio::time::Instant;
use tracing::field::display;

use super::end::{End, Requeue};
use super::ports::{Environment, EventToEmit, Objects, WriteError};
use super::write_ahead::{Ticket, WritesAhead};
use super::{annotations, grace};
use crate::api::conditions::{ConditionInput, READY, conditions as conditions_of, is_stalled, unpaused};
use crate::api::phase::Why;
use crate::api::reason::Shown;
use crate::api::{FINALIZER, HasStatus, Phase};
use crate::beyond_identity::TraceId;

/// Maximum number of writes of one change, in the face of conflicts and missing answers.
const WRITES: usize = 5;

/// The handle of one object during one reconcile.
pub struct ObjectHandle<'a, K, O> {
    objects: &'a O,
    environment: &'a dyn Environment,
    object: K,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled.
    grace: Duration,
    /// The conditions that are set beside any phase, such as `RevokeRefused`: the type of each, and why it is True.
    beside: Vec<(&'static str, Why)>,
    /// Whether the object was read from the API server in this reconcile, not from the watch cache.
    fresh: bool,
    /// Whether the object is deleted or its finalizer is removed, so no work is left.
    deleted: bool,
}

/// Why a reconcile cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Another writer was first: the reconcile starts over.
    Conflict,
    /// The API server refused a write, for this reason.
    Refused(String),
    /// The API server accepted a status but did not store all of it. The message names the fields and the remedy.
    NotStored(String),
    /// The API server refused the conditions at the end of a reconcile, which repeats as `requeue` requires.
    ConditionsRefused {
        /// The reason.
        why: String,
        /// When to reconcile again.
        requeue: Requeue,
    },
    /// A request to the Kubernetes API failed, for this reason.
    Failed(String),
}

impl<'a, K, O> ObjectHandle<'a, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus,
    O: Objects<K>,
{
    /// A handle of an object from the watch cache.
    pub fn cached(objects: &'a O, environment: &'a dyn Environment, grace: Duration, object: K) -> Self {
        Self { objects, environment, object, grace, beside: Vec::new(), fresh: false, deleted: false }
    }

    /// Sets the conditions that later writes set beside any phase: the type of each, and why it is True.
    pub fn set_beside(&mut self, conditions: Vec<(&'static str, Why)>) {
        self.beside = conditions;
    }

    /// The object.
    pub fn object(&self) -> &K {
        &self.object
    }

    /// Whether the object was read from the API server in this reconcile.
    pub fn fresh(&self) -> bool {
        self.fresh
    }

    /// Whether the object is deleted or its finalizer is removed, so no work is left.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether the object has the operator's finalizer.
    pub fn has_finalizer(&self) -> bool {
        self.object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// The rest of the grace period of a blocked object. The grace period of a deletion starts no earlier than the
    /// deletion. Where the status cannot be written, it counts from the first refused write, `refused_for` ago, but not
    /// from before the deletion.
    pub fn grace_remaining(&self, deleted_at: Option<Timestamp>, refused_for: Option<Duration>) -> Duration {
        let now = self.environment.monotonic_time();
        let left = grace::left(self.object.failing_since(), deleted_at, self.grace, now);
        let deleted_for = deleted_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let unwritten = deleted_for.zip(refused_for).map(|(deleted, refused)| deleted.min(refused));
        left.min(self.grace.saturating_sub(unwritten.unwrap_or_default()))
    }

    /// Reads the object from the API server.
    pub async fn refresh(&mut self) -> Result<(), Interrupted> {
        let (namespace, name) = (self.object.namespace().unwrap_or_default(), self.object.name_any());
        match self.objects.read(&namespace, &name).await {
            // Another object of the same name has its own reconcile.
            Ok(Some(object)) if object.uid() == self.object.uid() => {
                self.hold(object);
                Ok(())
            }
            Ok(_) => {
                self.deleted = true;
                Ok(())
            }
            Err(why) => Err(Interrupted::Failed(why)),
        }
    }

    /// Handles a failed write. A deleted object is not an error, as no work is left for it. Only a read proves the
    /// deletion: a 404 to a write may have another cause, such as a CustomResourceDefinition that is being replaced.
    async fn not_written(&mut self, error: WriteError) -> Result<(), Interrupted> {
        match error {
            WriteError::NotFound => {
                self.refresh().await?;
                let is_there = || {
                    Interrupted::Failed("the API server returned 404 for a write to an object that exists".to_owned())
                };
                if self.deleted { Ok(()) } else { Err(is_there()) }
            }
            WriteError::Conflict => Err(Interrupted::Conflict),
            WriteError::Refused(why) => Err(Interrupted::Refused(why)),
            WriteError::NoAnswer(why) => Err(Interrupted::Failed(why)),
        }
    }

    /// Adds or removes the finalizer.
    pub async fn set_finalizer(&mut self, present: bool) -> Result<(), Interrupted> {
        match self.objects.set_finalizer(&self.object, present).await {
            Ok(object) => self.hold(object),
            Err(error) => self.not_written(error).await?,
        }
        Ok(())
    }

    /// Applies `change` to the object and writes its status. After a conflict, or without an answer, it reads the
    /// object and applies `change` again, until `change` returns `false` because it no longer applies. A change without
    /// an effect is not written, and a change that is not stored completely is reverted. Returns whether the change
    /// applied; it never applies to a deleted object.
    async fn write_change(&mut self, change: impl Fn(&mut K) -> bool) -> Result<bool, Interrupted> {
        let mut tries = WRITES;
        loop {
            let mut changed = self.object.clone();
            let applies = change(&mut changed);
            if !applies || changed.same_status(&self.object) {
                return Ok(applies);
            }
            tries -= 1;
            match self.objects.write_status(&changed).await {
                Ok(stored) => {
                    let missing = changed.not_stored_in(&stored);
                    let before = std::mem::replace(&mut self.object, stored);
                    self.fresh = true;
                    return if missing.is_empty() { Ok(true) } else { Err(self.revert(&before, &missing).await) };
                }
                Err(WriteError::Conflict | WriteError::NoAnswer(_)) if tries > 0 => self.refresh().await?,
                Err(error) => self.not_written(error).await?,
            }
            if self.deleted {
                return Ok(false);
            }
        }
    }

    /// Reverts a status that was stored without the `missing` fields, to the status `before`. Half a conclusion could
    /// have lost the write-ahead record without storing the outcome of its call, and the call would be made again.
    async fn revert(&mut self, before: &K, missing: &[String]) -> Interrupted {
        let half = self.object.clone();
        for _ in 0..WRITES {
            let mut object = self.object.clone();
            object.take_status(before);
            let error = match self.objects.write_status(&object).await {
                Ok(stored) => {
                    self.hold(stored);
                    break;
                }
                Err(error) => error,
            };
            let (kind, namespace, name) = (K::kind(&()), object.namespace(), object.name_any());
            tracing::warn!(%kind, namespace, name, %error, "Restoring the previous status failed, after the API server stored a write only in part; if this lasts, \
                 compare the status with Beyond Identity");
            let again = matches!(error, WriteError::Conflict | WriteError::NoAnswer(_))
                && self.refresh().await.is_ok()
                && !self.deleted;
            // A writer that changed something else, such as an annotation, has not reverted the half.
            if !again || !half.not_stored_in(&self.object).is_empty() {
                break;
            }
        }
        not_stored::<K>(missing)
    }

    /// Ends a reconcile: sets conditions where that changes anything, and marks a requested reconcile as handled. A
    /// wait without a phase leaves the conditions as they are, and only updates the observed generation. Conditions
    /// planned for an older version are not set on a newer one: after a conflict the object is read again. `false` then
    /// means that the reconcile must continue.
    pub async fn end_reconcile(&mut self, end: &End) -> Result<bool, Interrupted> {
        self.end_reconcile_with(end, |_| {}).await
    }

    /// Like [`end_reconcile`](Self::end_reconcile), with `change` in the same write.
    pub async fn end_reconcile_with(&mut self, end: &End, change: impl FnOnce(&mut K)) -> Result<bool, Interrupted> {
        let mut updated = self.object.clone();
        change(&mut updated);
        let phase = end.phase.as_ref();
        match phase {
            Some(phase) => self.condition_writer().set(&mut updated, phase),
            None => {
                let conditions = unpaused(updated.conditions());
                let generation = generation_of(&updated);
                updated.set_conditions(conditions, Some(generation));
            }
        }
        if end.handles_requested_reconcile()
            && let Some(asked) = annotations::reconcile_requested(&updated)
        {
            updated.set_last_handled_reconcile_at(asked);
        }
        if updated.same_status(&self.object) {
            return Ok(true);
        }
        let before = visible_state(&self.object);
        match self.objects.write_status(&updated).await {
            Ok(stored) => {
                let missing = updated.not_stored_in(&stored);
                self.hold(stored);
                if !missing.is_empty() {
                    return Err(not_stored::<K>(&missing));
                }
            }
            Err(WriteError::Conflict) => {
                self.refresh().await?;
                return Ok(false);
            }
            Err(WriteError::Refused(why)) => return Err(Interrupted::ConditionsRefused { why, requeue: end.requeue }),
            Err(error) => {
                self.not_written(error).await?;
                return Ok(true);
            }
        }
        if let Some(phase) = phase
            && visible_state(&self.object) != before
        {
            self.emit_phase_event(phase);
        }
        Ok(true)
    }

    /// Writes `change`, and the conditions of the phase that `phase` finds in the changed object, in one write. `None`
    /// sets no conditions, so that an object without conditions does not appear reconciled. New conditions also emit an
    /// event. Returns whether the change applied.
    pub async fn update_status(
        &mut self,
        phase: impl Fn(&K) -> Option<Phase>,
        change: impl Fn(&mut K) -> bool,
    ) -> Result<bool, Interrupted> {
        let writer = self.condition_writer();
        let before = visible_state(&self.object);
        let applied = self
            .write_change(|object| {
                let applies = change(object);
                // The outcome of a call is recorded on a paused object, but its conditions do not change.
                if let Some(phase) = phase(object).filter(|_| applies && !annotations::is_paused(object)) {
                    writer.set(object, &phase);
                }
                applies
            })
            .await?;
        if let Some(phase) = phase(&self.object).filter(|_| !self.deleted)
            && visible_state(&self.object) != before
        {
            self.emit_phase_event(&phase);
        }
        Ok(applied)
    }

    /// A phase that was planned for the current generation. No conditions are set from it on a newer generation.
    pub fn planned(&self, phase: Option<Phase>) -> impl Fn(&K) -> Option<Phase> + use<K, O> {
        let generation = generation_of(&self.object);
        move |object| phase.clone().filter(|_| generation_of(object) == generation)
    }

    fn emit_phase_event(&self, phase: &Phase) {
        let is_warning = phase.is_warning(is_stalled(self.object.conditions()));
        let type_ = if is_warning { EventType::Warning } else { EventType::Normal };
        self.log_and_emit(type_, phase.why());
    }

    /// Writes a log line and emits an event.
    pub fn emit_event(&self, type_: EventType, why: &Why) {
        debug_assert!(why.reason.shows(Shown::Event), "the registry of reasons knows no event {}", why.reason);
        self.log_and_emit(type_, why);
    }

    fn log_and_emit(&self, type_: EventType, why: &Why) {
        self.log(type_, why);
        self.objects.emit_event(&self.object, EventToEmit { type_, reason: why.reason, note: why.message.clone() });
    }

    fn log(&self, type_: EventType, why: &Why) {
        let (kind, namespace, name) = (K::kind(&()), self.object.namespace(), self.object.name_any());
        let (reason, trace_id) = (why.reason, TraceId::current().map(display));
        let stalled = is_stalled(self.object.conditions()).then_some(true);
        match type_ {
            EventType::Normal => tracing::info!(%kind, namespace, name, %reason, stalled, trace_id, "{}", why.message),
            EventType::Warning => tracing::warn!(%kind, namespace, name, %reason, stalled, trace_id, "{}", why.message),
        }
    }

    /// The inputs for setting conditions at this moment.
    fn condition_writer(&self) -> ConditionWriter {
        let (now, steady) = (self.environment.now(), self.environment.monotonic_time());
        ConditionWriter { grace: self.grace, beside: self.beside.clone(), now, steady }
    }

    fn hold(&mut self, object: K) {
        self.object = object;
        self.fresh = true;
    }
}

impl<K, O> ObjectHandle<'_, K, O>
where
    K: kube::Resource<DynamicType = ()> + WritesAhead,
    O: Objects<K>,
{
    /// Writes the write-ahead record `record`, with the conditions of `phase`. Only an answered and completely stored
    /// write returns a ticket. Without an answer the record may exist, and the next read of the object decides. A call
    /// under a record that does not exist would be repeated by the next reconcile. `None`: the object is deleted.
    pub async fn write_ahead(
        &mut self,
        record: K::Record,
        phase: &Phase,
    ) -> Result<Option<Ticket<K::Record>>, Interrupted> {
        let begun: Instant = self.environment.monotonic();
        let mut object = self.object.clone();
        K::set_record(object.status_mut().get_or_insert_default(), Some(record.clone()));
        self.condition_writer().set(&mut object, phase);
        let stored = match self.objects.write_status(&object).await {
            Ok(stored) => stored,
            Err(error) => {
                self.not_written(error).await?;
                return Ok(None);
            }
        };
        let missing = object.not_stored_in(&stored);
        self.hold(stored);
        if !missing.is_empty() {
            return Err(not_stored::<K>(&missing));
        }
        // No event: the outcome of the call emits one at once.
        self.log(EventType::Normal, phase.why());
        Ok(Some(Ticket::for_written(record, begun)))
    }
}

/// Sets conditions from a phase.
struct ConditionWriter {
    grace: Duration,
    beside: Vec<(&'static str, Why)>,
    now: Timestamp,
    steady: Timestamp,
}

impl ConditionWriter {
    /// Sets conditions from `phase`, for the generation of the object.
    fn set<K: kube::Resource + HasStatus>(&self, object: &mut K, phase: &Phase) {
        debug_assert!(phase.why().reason.shows_as(phase), "the registry of reasons does not know this: {phase:?}");
        let generation = generation_of(object);
        let since = grace::failing_since(phase, object.failing_since(), self.steady);
        let overdue = grace::is_over(since.as_deref(), self.grace, self.steady);
        object.set_failing_since(since);
        let input = ConditionInput { phase, overdue, beside: &self.beside };
        object.set_conditions(conditions_of(input, generation, object.conditions(), self.now), Some(generation));
    }
}

/// The error for a status that the API server accepted and stored only in part.
fn not_stored<K: kube::Resource<DynamicType = ()>>(missing: &[String]) -> Interrupted {
    Interrupted::NotStored(format!(
        "The API server did not store {} as written, so nothing is sent or created; install the \
         CustomResourceDefinition {}.{} of this version, and check for an admission policy that changes statuses",
        missing.join(", "),
        K::plural(&()),
        K::group(&())
    ))
}

fn generation_of(object: &impl kube::Resource) -> i64 {
    object.meta().generation.unwrap_or_default()
}

/// The visible state of the object: status and reason of `Ready`, and whether it is stalled.
fn visible_state<K: HasStatus>(object: &K) -> Option<(String, String, bool)> {
    let ready = object.conditions().iter().find(|condition| condition.type_ == READY)?;
    Some((ready.status.clone(), ready.reason.clone(), is_stalled(object.conditions())))
}
