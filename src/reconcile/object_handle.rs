//! The object in hand during one look: read, written under its resourceVersion, and never older than what
//! this look itself wrote.

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

use super::ports::{Environment, EventToEmit, Objects, WriteError};
use super::wait::{Until, Wait};
use super::write_ahead::{Ticket, WritesAhead};
use super::{annotations, grace};
use crate::api::conditions::{READY, Say, conditions as conditions_of, going_on, is_stalled};
use crate::api::phase::Why;
use crate::api::reason::Shown;
use crate::api::{FINALIZER, HasStatus, Phase};
use crate::beyond_identity::TraceId;

/// How often a change is tried again when its write met another one, or got no answer.
const WRITES: usize = 5;

/// The object in hand.
pub struct ObjectHandle<'a, K, O> {
    objects: &'a O,
    environment: &'a dyn Environment,
    object: K,
    /// How long what could come right by itself is in progress, before it is stalled.
    grace: Duration,
    /// What is said beside any phase: why something cannot be revoked.
    revoke_refused: Option<Why>,
    /// Whether it came from the API server in this look, not from the watch cache.
    fresh: bool,
    /// Whether there is nothing more to do with it: it is gone, or was let go.
    gone: bool,
}

/// Why a look cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Somebody else wrote first: start over.
    Conflict,
    /// The API server refused a write: the sentence says why.
    Refused(String),
    /// The API server accepted a status and did not store all of it: the sentence says what, and the remedy.
    NotStored(String),
    /// The API server refused what was to be said at the end of a look, which is made again when `until` says.
    Unsaid {
        /// Why.
        why: String,
        /// When to look again.
        until: Until,
    },
    /// The Kubernetes API did not do what was asked; the sentence says why.
    Failed(String),
}

impl<'a, K, O> ObjectHandle<'a, K, O>
where
    K: kube::Resource<DynamicType = ()> + HasStatus,
    O: Objects<K>,
{
    /// Takes an object from the watch cache into hand.
    pub fn cached(objects: &'a O, environment: &'a dyn Environment, grace: Duration, object: K) -> Self {
        Self { objects, environment, object, grace, revoke_refused: None, fresh: false, gone: false }
    }

    /// From now on says that something cannot be revoked, or does not say it any more.
    pub fn set_revoke_refused(&mut self, why: Option<Why>) {
        self.revoke_refused = why;
    }

    /// The object.
    pub fn object(&self) -> &K {
        &self.object
    }

    /// Whether it came from the API server in this look.
    pub fn fresh(&self) -> bool {
        self.fresh
    }

    /// Whether there is nothing more to do with the object: it is gone, or was let go.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether the finalizer stands.
    pub fn has_finalizer(&self) -> bool {
        self.object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// How much is left of the grace period of what is blocked. That of a deletion begins with it, if not later; and where
    /// the status cannot be written, it counts from the first refused write, `refused_for` ago, but not from before the deletion.
    pub fn patience(&self, deleted_at: Option<Timestamp>, refused_for: Option<Duration>) -> Duration {
        let now = self.environment.steady();
        let left = grace::left(self.object.failing_since(), deleted_at, self.grace, now);
        let deleted_for = deleted_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        let unwritten = deleted_for.zip(refused_for).map(|(deleted, refused)| deleted.min(refused));
        left.min(self.grace.saturating_sub(unwritten.unwrap_or_default()))
    }

    /// Reads the object from the API server.
    pub async fn refresh(&mut self) -> Result<(), Interrupted> {
        let (namespace, name) = (self.object.namespace().unwrap_or_default(), self.object.name_any());
        match self.objects.read(&namespace, &name).await {
            // Another object under the same name is not this one: its own look will come.
            Ok(Some(object)) if object.uid() == self.object.uid() => {
                self.hold(object);
                Ok(())
            }
            Ok(_) => {
                self.gone = true;
                Ok(())
            }
            Err(why) => Err(Interrupted::Failed(why)),
        }
    }

    /// A write was not carried out. That the object is gone is no error: there is nothing more to do with it. But only a read
    /// says so: a 404 to a write may be about something else, such as a definition that is being replaced.
    async fn not_written(&mut self, error: WriteError) -> Result<(), Interrupted> {
        match error {
            WriteError::NotFound => {
                self.refresh().await?;
                let is_there = || {
                    Interrupted::Failed("the API server returned 404 for a write to an object that exists".to_owned())
                };
                if self.gone { Ok(()) } else { Err(is_there()) }
            }
            WriteError::Conflict => Err(Interrupted::Conflict),
            WriteError::Refused(why) => Err(Interrupted::Refused(why)),
            WriteError::NoAnswer(why) => Err(Interrupted::Failed(why)),
        }
    }

    /// Adds the finalizer, or takes it off.
    pub async fn set_finalizer(&mut self, present: bool) -> Result<(), Interrupted> {
        match self.objects.set_finalizer(&self.object, present).await {
            Ok(object) => self.hold(object),
            Err(error) => self.not_written(error).await?,
        }
        Ok(())
    }

    /// Applies `change` to the object and writes its status; after a conflict, or without an answer, to the
    /// object as it is then, until `change` says with `false` that it does not apply any more. A change that
    /// changes nothing is not written, and one that is not stored whole is taken back. Answers whether it applied, which it
    /// does not to an object that is gone.
    async fn record(&mut self, change: impl Fn(&mut K) -> bool) -> Result<bool, Interrupted> {
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
                    return if missing.is_empty() { Ok(true) } else { Err(self.take_back(&before, &missing).await) };
                }
                Err(WriteError::Conflict | WriteError::NoAnswer(_)) if tries > 0 => self.refresh().await?,
                Err(error) => self.not_written(error).await?,
            }
            if self.gone {
                return Ok(false);
            }
        }
    }

    /// A status was stored without these fields. What stood `before` is put back as a whole: a half of a conclusion, such as
    /// one that has dropped the write-ahead record and not kept what came of it, would have the call made again.
    async fn take_back(&mut self, before: &K, missing: &[String]) -> Interrupted {
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
            tracing::warn!(%kind, namespace, name, %error, "Reverting a partially stored status failed");
            let again = matches!(error, WriteError::Conflict | WriteError::NoAnswer(_))
                && self.refresh().await.is_ok()
                && !self.gone;
            // Who has changed something else, such as an annotation, has left the half where it is.
            if !again || !half.not_stored_in(&self.object).is_empty() {
                break;
            }
        }
        not_stored::<K>(missing)
    }

    /// Ends a look by a wait: says what it says, where that changes anything, and that the look was made which
    /// somebody asked for. A wait that says nothing leaves the conditions as they are, and only brings the observed
    /// generation up to date. What was planned for an older version is not said of a newer one: after a conflict the
    /// object is read again, and `false` says that the look has to go on.
    pub async fn conclude(&mut self, wait: &Wait) -> Result<bool, Interrupted> {
        let mut looked_at = self.object.clone();
        let phase = wait.say.as_ref();
        match phase {
            Some(phase) => self.voice().say(&mut looked_at, phase),
            None => {
                let conditions = going_on(looked_at.conditions());
                let generation = generation_of(&looked_at);
                looked_at.set_conditions(conditions, Some(generation));
            }
        }
        if wait.answers_a_request()
            && let Some(asked) = annotations::look_asked_for(&looked_at)
        {
            looked_at.set_last_handled_reconcile_at(asked);
        }
        if looked_at.same_status(&self.object) {
            return Ok(true);
        }
        let before = spoken(&self.object);
        match self.objects.write_status(&looked_at).await {
            Ok(stored) => {
                let missing = looked_at.not_stored_in(&stored);
                self.hold(stored);
                if !missing.is_empty() {
                    return Err(not_stored::<K>(&missing));
                }
            }
            Err(WriteError::Conflict) => {
                self.refresh().await?;
                return Ok(false);
            }
            Err(WriteError::Refused(why)) => return Err(Interrupted::Unsaid { why, until: wait.until }),
            Err(error) => {
                self.not_written(error).await?;
                return Ok(true);
            }
        }
        if let Some(phase) = phase
            && spoken(&self.object) != before
        {
            self.tell_phase(phase);
        }
        Ok(true)
    }

    /// Records `change` and says the phase that `phase` finds in what came of it, in one write. `None` says nothing
    /// yet, so that an object of which nothing was ever said does not look as if it had been looked at. What is
    /// said anew is told by an event, too. Answers whether the change applied.
    pub async fn record_saying(
        &mut self,
        phase: impl Fn(&K) -> Option<Phase>,
        change: impl Fn(&mut K) -> bool,
    ) -> Result<bool, Interrupted> {
        let voice = self.voice();
        let before = spoken(&self.object);
        let applied = self
            .record(|object| {
                let applies = change(object);
                // Of a paused object nothing is said, though what has come out is written down.
                if let Some(phase) = phase(object).filter(|_| applies && !annotations::is_paused(object)) {
                    voice.say(object, &phase);
                }
                applies
            })
            .await?;
        if let Some(phase) = phase(&self.object).filter(|_| !self.gone)
            && spoken(&self.object) != before
        {
            self.tell_phase(&phase);
        }
        Ok(applied)
    }

    /// A phase that was planned for the version in hand: nothing is said of a newer one.
    pub fn planned(&self, phase: Option<Phase>) -> impl Fn(&K) -> Option<Phase> + use<K, O> {
        let generation = generation_of(&self.object);
        move |object| phase.clone().filter(|_| generation_of(object) == generation)
    }

    fn tell_phase(&self, phase: &Phase) {
        let type_ = if phase.is_warning() { EventType::Warning } else { EventType::Normal };
        self.publish(type_, phase.why());
    }

    /// One log line and one event about what has happened.
    pub fn tell(&self, type_: EventType, why: &Why) {
        debug_assert!(why.reason.shows(Shown::Event), "the registry of reasons knows no event {}", why.reason);
        self.publish(type_, why);
    }

    fn publish(&self, type_: EventType, why: &Why) {
        self.log(type_, why);
        self.objects.emit_event(&self.object, EventToEmit { type_, reason: why.reason, note: why.message.clone() });
    }

    fn log(&self, type_: EventType, why: &Why) {
        let (kind, namespace, name) = (K::kind(&()), self.object.namespace(), self.object.name_any());
        let (reason, trace_id) = (why.reason, TraceId::current().map(display));
        match type_ {
            EventType::Normal => tracing::info!(%kind, namespace, name, %reason, trace_id, "{}", why.message),
            EventType::Warning => tracing::warn!(%kind, namespace, name, %reason, trace_id, "{}", why.message),
        }
    }

    /// How a phase is said at this moment.
    fn voice(&self) -> Voice {
        let (now, steady) = (self.environment.now(), self.environment.steady());
        Voice { grace: self.grace, revoke_refused: self.revoke_refused.clone(), now, steady }
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
    /// Writes `record` ahead, saying `phase`. Only where that write was answered, and all of it was stored, is there a
    /// ticket: without an answer the record may stand, and the next read of the object tells; and a call under a record that
    /// does not stand would be made again by whoever looks next. `None`: the object is gone.
    pub async fn write_ahead(
        &mut self,
        record: K::Record,
        phase: &Phase,
    ) -> Result<Option<Ticket<K::Record>>, Interrupted> {
        let begun: Instant = self.environment.monotonic();
        let mut object = self.object.clone();
        K::set_record(object.status_mut().get_or_insert_default(), Some(record.clone()));
        self.voice().say(&mut object, phase);
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
        // No event: what comes of it is told at once.
        self.log(EventType::Normal, phase.why());
        Ok(Some(Ticket::for_written(record, begun)))
    }
}

/// How a phase is said.
struct Voice {
    grace: Duration,
    revoke_refused: Option<Why>,
    now: Timestamp,
    steady: Timestamp,
}

impl Voice {
    /// Puts `phase` into the status, about the generation in hand.
    fn say<K: kube::Resource + HasStatus>(&self, object: &mut K, phase: &Phase) {
        debug_assert!(phase.why().reason.shows_as(phase), "the registry of reasons does not know this: {phase:?}");
        let generation = generation_of(object);
        let since = grace::failing_since(phase, object.failing_since(), self.steady);
        let overdue = grace::is_over(since.as_deref(), self.grace, self.steady);
        object.set_failing_since(since);
        let say = Say { phase, overdue, revoke_refused: self.revoke_refused.as_ref() };
        object.set_conditions(conditions_of(say, generation, object.conditions(), self.now), Some(generation));
    }
}

/// Why a status that was accepted cannot be relied on.
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

/// What the object says of itself to people: status and reason of `Ready`, and whether it is stalled.
fn spoken<K: HasStatus>(object: &K) -> Option<(String, String, bool)> {
    let ready = object.conditions().iter().find(|condition| condition.type_ == READY)?;
    Some((ready.status.clone(), ready.reason.clone(), is_stalled(object.conditions())))
}
