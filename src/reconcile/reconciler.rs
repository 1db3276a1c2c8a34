//! The reconcile of one object.
//!
//! A reconcile observes the object, asks the pure planner ([`plan`]) for one step, executes it, and repeats until the
//! planner waits. [`Reconcile`] is the state of this loop: the object handle, the local state, and the facts fetched so
//! far. Each kind implements [`Reconciler`] for its own calls. The result of a call goes into the observation, and the
//! next plan decides what follows from it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kube::ResourceExt;
use tracing::field::display;

use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::local_state::Refusal;
use super::object_handle::Interrupted;
use super::outcome::{Outcome, refusal};
use super::plan::plan;
use super::ports::{Backend, Caller, Objects, Resolved};
use super::remote::Remote;
use super::result::{Ended, ReconcileResult};
use super::rules::{PlanInput, Rules, View, judge};
use super::state::{ObjectState, ResolvedRealm, Sent};
use super::step::Step;
use super::times::RETRY_AFTER_BUG;
use super::write_ahead::Record;
use super::{Failure, LocalState, ObjectHandle, Requeue, Ticket};
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::{Error, TraceId};

/// More steps than any reconcile needs: a guard against a plan that never terminates. The longest reconcile revokes all
/// jobs that a status can hold, in three steps each.
const MOST_STEPS: usize = 256;

/// The side effects of a kind. They decide nothing: the next plan acts on their results.
pub trait Reconciler<B: Backend + Objects<Self>>: Rules {
    /// Fetches the answer to `query` into the observation.
    fn fetch(reconcile: &mut Reconcile<'_, Self, B>, query: Self::Query) -> impl Future<Output = ()> + Send;

    /// Executes an action of this kind.
    fn act(reconcile: &mut Reconcile<'_, Self, B>, action: Self::Action) -> impl Future<Output = ()> + Send;

    /// Makes the call that the ticket permits.
    fn send(reconcile: &mut Reconcile<'_, Self, B>, ticket: Ticket<Self::Record>) -> impl Future<Output = ()> + Send;

    /// Runs after a change was written to the status, or no longer applied.
    fn recorded(reconcile: &mut Reconcile<'_, Self, B>, change: &Self::Change, applied: bool);

    /// Runs after the record of a call that was certainly not carried out is removed.
    fn withdrawn(reconcile: &mut Reconcile<'_, Self, B>);

    /// Runs after conditions were set and the reconcile ends.
    fn reconcile_ended(_: &mut Reconcile<'_, Self, B>, _: Option<&Phase>) {}

    /// Publishes this object's status to the shared state of the kind, and returns what the shared state reports for
    /// this object.
    fn publish(reconcile: &Reconcile<'_, Self, B>) -> Self::Published;

    /// Runs at the end of the reconcile, and releases what it held.
    fn finish(reconcile: &mut Reconcile<'_, Self, B>);
}

/// A reconcile of one object.
pub struct Reconcile<'a, K: Kind, B: Backend> {
    /// The context that all reconciles of the kind share.
    pub context: &'a Context<K, B>,
    /// The object.
    pub handle: ObjectHandle<'a, K, B>,
    /// The local state of the object in this process.
    pub local_state: LocalState<K>,
    /// The desired state.
    pub desired: K::Desired,
    /// The status of the object.
    pub status: K::Status,
    /// The facts observed in this reconcile.
    pub observed: K::Observed,
    /// The realms of the provider configs that this reconcile resolved.
    sessions: BTreeMap<ProviderConfigRef, Result<Session<B::Remote>, Failure>>,
    ticket: Option<Ticket<K::Record>>,
    sent: Option<Sent<K>>,
    /// Whether a record may exist that this process has not read: its write got no answer.
    may_be_written: bool,
}

/// A resolved realm.
struct Session<R> {
    remote: R,
    facts: ResolvedRealm,
}

/// Reconciles one object. The local state is kept for as long as the cache has the object.
pub async fn reconcile<K, B>(context: &Context<K, B>, object: K) -> ReconcileResult
where
    K: Reconciler<B>,
    B: Backend + Objects<K>,
{
    let (namespace, name, uid) =
        (object.namespace().unwrap_or_default(), object.name_any(), object.uid().unwrap_or_default());
    let is_there = || {
        let cached: Option<_> = Objects::<K>::cached(&*context.backend, &namespace, &name);
        cached.is_some_and(|cached| cached.uid().as_ref() == Some(&uid))
    };
    let mut reconcile = Reconcile::begin(context, object);
    let ended = reconcile.run_steps().await;
    reconcile.report_unwritable(&ended).await;
    K::finish(&mut reconcile);
    let Reconcile { handle, mut local_state, .. } = reconcile;
    if handle.is_deleted() {
        context.local_states.remove(&uid);
        return ReconcileResult { ended: Ended::Done, requeue_after: None };
    }
    let result = ReconcileResult::of(ended, &mut local_state, &*context.environment, &namespace, &name);
    context.local_states.insert(&uid, local_state, is_there);
    result
}

impl<'a, K, B> Reconcile<'a, K, B>
where
    K: Reconciler<B>,
    B: Backend + Objects<K>,
{
    /// Begins a reconcile of `object`, as read from the watch cache.
    fn begin(context: &'a Context<K, B>, object: K) -> Self {
        let local_state = context.local_states.get(&object.uid().unwrap_or_default());
        let (backend, environment, grace) = (&*context.backend, &*context.environment, context.options.times.grace);
        let mut reconcile = Self {
            context,
            desired: object.desired(&context.options),
            handle: ObjectHandle::cached(backend, environment, grace, object),
            local_state,
            status: K::Status::default(),
            observed: K::Observed::default(),
            sessions: BTreeMap::new(),
            ticket: None,
            sent: None,
            may_be_written: false,
        };
        reconcile.apply_reconcile_request();
        reconcile.observe();
        reconcile
    }

    async fn run_steps(&mut self) -> Result<Requeue, Interrupted> {
        for _ in 0..MOST_STEPS {
            let step = plan(&self.input());
            if let Some(requeue) = self.execute(step).await? {
                return Ok(requeue);
            }
            if self.handle.is_deleted() {
                return Ok(Requeue::OnChange);
            }
            self.observe();
        }
        let what = "The reconcile of this object does not terminate, which is an operator bug; report it with the \
                    operator's log";
        let (kind, namespace, name) = (K::kind(&()), self.handle.object().namespace(), self.handle.object().name_any());
        tracing::error!(%kind, namespace, name, "Reconcile did not converge (operator bug)");
        self.handle.set_internal_error(what).await?;
        Ok(Requeue::After(RETRY_AFTER_BUG))
    }

    /// The input of the rules.
    pub fn input(&self) -> PlanInput<'_, K> {
        PlanInput {
            desired: &self.desired,
            status: &self.status,
            observed: &self.observed,
            times: &self.context.options.times,
            now: self.context.environment.now(),
        }
    }

    /// Executes a step. `Some` ends the reconcile.
    async fn execute(&mut self, step: Step<K>) -> Result<Option<Requeue>, Interrupted> {
        match step {
            Step::Refresh => self.handle.refresh().await?,
            Step::Resolve(reference) => self.resolve(reference).await,
            Step::Fetch(query) => K::fetch(self, query).await,
            Step::AddFinalizer => self.handle.set_finalizer(true).await?,
            Step::RemoveFinalizer { leftover } => {
                self.handle.remove_finalizer(leftover, &mut self.local_state.reported).await?
            }
            Step::WriteAhead(record, phase) => self.write_ahead(*record, &phase).await?,
            Step::Send => {
                if let Some(ticket) = self.ticket.take() {
                    K::send(self, ticket).await;
                }
            }
            Step::Withdraw { record_id, phase } => {
                let phase = self.handle.planned(phase);
                self.handle.update_status(phase, |object| object.withdraw(&record_id)).await?;
                // The next attempt of the call logs the same line as the first one, so this line separates them.
                self.log("Call was not carried out; its write-ahead record is removed", None);
                K::withdrawn(self);
            }
            Step::Record(change) => {
                let (options, now) = (&self.context.options, self.context.environment.now());
                let phase = |object: &K| judge(object, options, now, |input| K::phase_after(input, &change));
                let applied = self.handle.update_status(phase, |object| object.apply(&change)).await?;
                self.local_state.write_stored();
                self.sent = self.sent.take().filter(|sent| !is_concluded_by(sent, &change));
                if !self.handle.is_deleted() {
                    K::recorded(self, &change, applied);
                }
            }
            Step::Act(action) => K::act(self, action).await,
            Step::SetPaused => {
                self.handle.set_paused().await?;
                return Ok(Some(Requeue::OnChange));
            }
            Step::End(end) => {
                if self.handle.end_reconcile(&end).await? {
                    if K::record(&self.status).is_none() {
                        // The condition is set, and the next reconcile retries.
                        self.local_state.refusal = None;
                    }
                    if !self.handle.is_deleted() {
                        K::reconcile_ended(self, end.phase.as_ref());
                    }
                    return Ok(Some(end.requeue));
                }
            }
        }
        Ok(None)
    }

    /// Logs a line about this object that no condition or event has. `resource` is the id of a remote resource.
    pub fn log(&self, message: &'static str, resource: Option<&str>) {
        let object = self.handle.object();
        let (kind, namespace, name) = (K::kind(&()), object.namespace(), object.name_any());
        let trace_id = TraceId::current().map(display);
        tracing::info!(%kind, namespace, name, resource, trace_id, "{message}");
    }

    /// A reconcile that a user requests by annotation is not delayed.
    fn apply_reconcile_request(&mut self) {
        if let Some(requested) = &K::lifecycle(&self.desired).reconcile_requested {
            self.local_state.apply_reconcile_request(requested);
        }
    }

    /// Rebuilds the observation from the object, the local state and the clocks.
    fn observe(&mut self) {
        let desired = self.handle.object().desired(&self.context.options);
        if desired != self.desired {
            // Facts fetched for another spec are not valid for this one.
            self.desired = desired;
            self.forget_fetched();
            self.apply_reconcile_request();
        }
        self.status = self.handle.object().status().cloned().unwrap_or_default();
        let now = self.context.environment.monotonic();
        self.local_state.note_record(K::record(&self.status).map(Record::id), now);
        self.local_state.note_remote(K::remote_id(&self.status), now);
        let published = K::publish(self);
        let view = View {
            object: self.object_state(),
            desired: &self.desired,
            status: &self.status,
            local_state: &self.local_state,
            published,
            times: &self.context.options.times,
            now: self.context.environment.now(),
            monotonic: now,
        };
        self.observed = K::observe(std::mem::take(&mut self.observed), view);
        let beside = K::beside(&self.input());
        self.handle.set_beside(beside);
    }

    fn object_state(&self) -> ObjectState<K> {
        let (environment, lifecycle) = (&self.context.environment, K::lifecycle(&self.desired));
        let now = environment.monotonic();
        let unwritable = self.local_state.unwritable(self.context.options.times.resync, lifecycle.is_deleting(), now);
        let refused_for = unwritable.as_ref().and_then(|_| self.local_state.refused_for(now));
        let record_id = K::record(&self.status).map(Record::id);
        ObjectState {
            fresh: self.handle.fresh(),
            finalizer: self.handle.has_finalizer(),
            may_call_service: environment.may_call_service(),
            grace_remaining: self.handle.grace_remaining(lifecycle.deleted_at, refused_for),
            unwritable,
            ticket: self.ticket.is_some(),
            sent: self.sent.clone(),
            refusal: self.local_state.refusal(record_id, lifecycle.generation),
            realms: self.realms(),
            nonce: environment.nonce(),
        }
    }

    fn realms(&self) -> BTreeMap<ProviderConfigRef, Result<ResolvedRealm, Failure>> {
        let facts = |session: &Session<_>| session.facts.clone();
        let sessions = self.sessions.iter();
        sessions
            .map(|(reference, found)| (reference.clone(), found.as_ref().map(facts).map_err(Clone::clone)))
            .collect()
    }

    /// Resets all fetched facts to unknown, except the outcome of a call.
    pub fn forget_fetched(&mut self) {
        self.sessions.clear();
        self.observed = K::reset_fetched(std::mem::take(&mut self.observed));
    }

    /// The client for calls through this provider config, once it is resolved.
    pub fn remote(&self, reference: &ProviderConfigRef) -> Option<&B::Remote> {
        let session = self.sessions.get(reference)?.as_ref().ok()?;
        Some(&session.remote)
    }

    async fn resolve(&mut self, reference: ProviderConfigRef) {
        let input = self.input();
        let (is_pending, is_removing) = (K::is_pending(&input), K::is_removing(&input));
        let is_new = is_pending && !is_removing && K::record(&self.status).is_none();
        let caller = Caller { object: ObjectKey::of(self.handle.object()), is_pending, is_new, is_removing };
        let resolved = self.context.backend.resolve(caller, &reference).await;
        let session = resolved.map(|Resolved { remote, permissions }| {
            let destination = remote.destination();
            Session { remote, facts: ResolvedRealm { destination, permissions } }
        });
        self.sessions.insert(reference, session);
    }

    /// Writes a write-ahead record, for a ticket. Without a ticket no call is made.
    async fn write_ahead(&mut self, record: K::Record, phase: &Phase) -> Result<(), Interrupted> {
        let now = self.context.environment.monotonic();
        // The age of the record counts from before its write, as its timeout does.
        self.local_state.note_record(Some(record.id()), now);
        self.may_be_written = true;
        let written = self.handle.write_ahead(record.clone(), phase).await;
        self.may_be_written = matches!(written, Err(Interrupted::Conflict | Interrupted::Failed(_)));
        match written {
            Ok(ticket) => {
                self.local_state.write_stored();
                self.ticket = ticket;
            }
            Err(Interrupted::NotStored(what)) => {
                self.local_state.write_refused(&what, true, now);
                // Whatever part of the record was stored, no call follows it.
                let failure = Failure::refused(Reason::StatusNotStored, what);
                self.sent = Some(Sent { record, outcome: Outcome::NotDone(failure) });
            }
            Err(interrupted) => return Err(interrupted),
        }
        Ok(())
    }

    /// The timeout of the call that a ticket permits, so that the call ends within the recorded time. `None` if the
    /// call must not be made.
    pub fn time_to_call(&self, ticket: &Ticket<K::Record>) -> Option<Duration> {
        let environment = &self.context.environment;
        let left = ticket.time_left(environment.monotonic()).filter(|_| environment.may_call_service())?;
        Some(left.min(self.context.options.times.request_timeout))
    }

    /// Classifies the answer to the call of a record, and remembers a refusal that leaves the call in doubt.
    pub fn classify<T>(
        &mut self,
        record: &K::Record,
        result: Result<T, Error>,
        provider: &ProviderConfigRef,
    ) -> Outcome<T> {
        let (record_id, generation) = (record.id().to_owned(), K::lifecycle(&self.desired).generation);
        let message = result.as_ref().err().and_then(refusal);
        if let Err(error @ Error::InDoubt { .. }) = &result {
            let object = self.handle.object();
            let (kind, namespace, name) = (K::kind(&()), object.namespace(), object.name_any());
            tracing::warn!(%kind, namespace, name, %error, "Call in doubt: it may have been carried out");
        }
        self.local_state.refusal = message.map(|message| Refusal { record_id, generation, message });
        Outcome::of(result, provider)
    }

    /// Sets the outcome of the call of `record`.
    pub fn sent(&mut self, record: K::Record, outcome: Outcome<K::Created>) {
        self.sent = Some(Sent { record, outcome });
    }

    /// Whether this reconcile made the call of this record, and it was certainly not carried out.
    pub fn is_not_done(&self, record_id: &str) -> bool {
        let sent = self.sent.as_ref().filter(|sent| sent.record.id() == record_id);
        sent.is_some_and(|sent| matches!(sent.outcome, Outcome::NotDone(_)))
    }

    /// Whether no call of the object is in doubt or in flight, as far as this process knows.
    pub fn is_settled(&self) -> bool {
        // Reads the current object, which may be newer than the planned version.
        let in_doubt = self.handle.object().status().is_some_and(|status| K::record(status).is_some());
        self.handle.fresh() && !in_doubt && !self.may_be_written
    }

    /// Reports and remembers a failed write of the operator. Such a failure is never silent, and a deletion continues
    /// despite it.
    async fn report_unwritable(&mut self, ended: &Result<Requeue, Interrupted>) {
        if let Err(
            Interrupted::Refused(why) | Interrupted::NotStored(why) | Interrupted::ConditionsRefused { why, .. },
        ) = ended
        {
            let not_stored = matches!(ended, Err(Interrupted::NotStored(_)));
            let is_news = self.local_state.write_refused(why, not_stored, self.context.environment.monotonic());
            self.handle.report_failed_write(why, is_news).await;
        }
    }
}

/// Whether `change` records the outcome of the call.
fn is_concluded_by<K: Rules>(sent: &Sent<K>, change: &K::Change) -> bool {
    match &sent.outcome {
        Outcome::Done(created) => K::conclude(sent, created) == *change,
        Outcome::NotDone(_) | Outcome::InDoubt => false,
    }
}
