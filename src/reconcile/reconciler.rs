//! A reconcile of one object: plan a step, carry it out, until there is only to wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use kube::ResourceExt;

use super::context::Context;
use super::kind::Kind;
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
use super::{Failure, LocalState, ObjectHandle, Ticket, Until};
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::Error;

/// More steps than any reconcile takes: a guard against a plan that goes round in circles. The longest one revokes as many
/// jobs as a status holds, in three steps each.
const MOST_STEPS: usize = 256;

/// What a kind does to the world outside. It decides nothing: what comes of each of these is for the next plan.
pub trait Reconciler<B: Backend + Objects<Self>>: Rules {
    /// Fetches something from outside into what is known.
    fn fetch(reconcile: &mut Reconcile<'_, Self, B>, query: Self::Query) -> impl Future<Output = ()> + Send;

    /// Does something that only this kind does.
    fn act(reconcile: &mut Reconcile<'_, Self, B>, action: Self::Action) -> impl Future<Output = ()> + Send;

    /// Makes the call that the ticket is for.
    fn send(reconcile: &mut Reconcile<'_, Self, B>, ticket: Ticket<Self::Record>) -> impl Future<Output = ()> + Send;

    /// A change was written into the status, or did not apply any more.
    fn recorded(reconcile: &mut Reconcile<'_, Self, B>, change: &Self::Change, applied: bool);

    /// The record of a call that was surely not carried out was taken off.
    fn withdrawn(reconcile: &mut Reconcile<'_, Self, B>);

    /// Conditions were set, and the reconcile ends.
    fn concluded(_: &mut Reconcile<'_, Self, B>, _: Option<&Phase>) {}

    /// Tells the other objects of the kind what this one's status says, and answers what they say of it.
    fn publish(reconcile: &Reconcile<'_, Self, B>) -> Self::Published;

    /// The reconcile has ended: gives back what it held.
    fn finish(reconcile: &mut Reconcile<'_, Self, B>);
}

/// A reconcile of one object.
pub struct Reconcile<'a, K: Kind, B: Backend> {
    /// What all reconciles of the kind share.
    pub context: &'a Context<K, B>,
    /// The object.
    pub handle: ObjectHandle<'a, K, B>,
    /// What this process remembers of it.
    pub local_state: LocalState<K>,
    /// What it asks for.
    pub desired: K::Desired,
    /// Its status.
    pub status: K::Status,
    /// What is known besides.
    pub observed: K::Observed,
    /// The realms behind the provider configs that were asked for.
    sessions: BTreeMap<ProviderConfigRef, Result<Session<B::Remote>, Failure>>,
    ticket: Option<Ticket<K::Record>>,
    sent: Option<Sent<K>>,
    /// Whether a record may stand that nobody has seen: its write was not answered.
    may_be_written: bool,
}

/// A realm that is ready to be called.
struct Session<R> {
    remote: R,
    facts: ResolvedRealm,
}

/// Reconciles one object, and keeps what is to be remembered of it as long as the cache has it.
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
    if handle.is_gone() {
        context.local_states.remove(&uid);
        return ReconcileResult { ended: Ended::Done, requeue_after: None };
    }
    let result = ReconcileResult::of(ended, &mut local_state, context.environment.chance(), &uid);
    context.local_states.insert(&uid, local_state, is_there);
    result
}

impl<'a, K, B> Reconcile<'a, K, B>
where
    K: Reconciler<B>,
    B: Backend + Objects<K>,
{
    /// Begins a reconcile of `object`, as the watch cache has it.
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

    async fn run_steps(&mut self) -> Result<Until, Interrupted> {
        for _ in 0..MOST_STEPS {
            let step = plan(&self.input());
            if let Some(until) = self.execute(step).await? {
                return Ok(until);
            }
            if self.handle.is_gone() {
                return Ok(Until::Change);
            }
            self.observe();
        }
        let what = "The reconcile of this object does not terminate, which is an operator bug; report it with the \
                    operator's log";
        let (kind, namespace, name) = (K::kind(&()), self.handle.object().namespace(), self.handle.object().name_any());
        tracing::error!(%kind, namespace, name, "Reconcile did not converge (operator bug)");
        self.handle.say_bug(what).await?;
        Ok(Until::After(RETRY_AFTER_BUG))
    }

    /// What the rules go by.
    pub fn input(&self) -> PlanInput<'_, K> {
        PlanInput {
            desired: &self.desired,
            status: &self.status,
            observed: &self.observed,
            times: &self.context.options.times,
            now: self.context.environment.now(),
        }
    }

    /// Carries a step out. `Some` is the end of the reconcile.
    async fn execute(&mut self, step: Step<K>) -> Result<Option<Until>, Interrupted> {
        match step {
            Step::Refresh => self.handle.refresh().await?,
            Step::Resolve(reference) => self.resolve(reference).await,
            Step::Fetch(query) => K::fetch(self, query).await,
            Step::AddFinalizer => self.handle.set_finalizer(true).await?,
            Step::RemoveFinalizer { left } => self.handle.let_go(left, &mut self.local_state.told).await?,
            Step::WriteAhead(record, phase) => self.write_ahead(*record, &phase).await?,
            Step::Send => {
                if let Some(ticket) = self.ticket.take() {
                    K::send(self, ticket).await;
                }
            }
            Step::Withdraw { record_id, say } => {
                let phase = self.handle.planned(say);
                self.handle.record_saying(phase, |object| object.withdraw(&record_id)).await?;
                K::withdrawn(self);
            }
            Step::Record(change) => {
                let (options, now) = (&self.context.options, self.context.environment.now());
                let phase = |object: &K| judge(object, options, now, |input| K::phase_after(input, &change));
                let applied = self.handle.record_saying(phase, |object| object.apply(&change)).await?;
                self.local_state.write_stored();
                self.sent = self.sent.take().filter(|sent| !is_concluded_by(sent, &change));
                if !self.handle.is_gone() {
                    K::recorded(self, &change, applied);
                }
            }
            Step::Act(action) => K::act(self, action).await,
            Step::SetPaused => {
                self.handle.say_paused().await?;
                return Ok(Some(Until::Change));
            }
            Step::Wait(wait) => {
                if self.handle.conclude(&wait).await? {
                    if K::record(&self.status).is_none() {
                        // Its condition is set; the next reconcile tries again.
                        self.local_state.refusal = None;
                    }
                    if !self.handle.is_gone() {
                        K::concluded(self, wait.say.as_ref());
                    }
                    return Ok(Some(wait.until));
                }
            }
        }
        Ok(None)
    }

    /// Somebody who asks for a reconcile is not put off.
    fn apply_reconcile_request(&mut self) {
        if let Some(requested) = &K::lifecycle(&self.desired).reconcile_requested {
            self.local_state.look_now(requested);
        }
    }

    /// Brings up to date what is known of the object.
    fn observe(&mut self) {
        let desired = self.handle.object().desired(&self.context.options);
        if desired != self.desired {
            // What was fetched for another spec says nothing about this one.
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
        let refused = K::revoke_refused(&self.input());
        self.handle.set_revoke_refused(refused);
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
            may_write: environment.may_write(),
            grace_remaining: self.handle.patience(lifecycle.deleted_at, refused_for),
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

    /// Makes everything unknown that was fetched from outside, but for what came of a call.
    pub fn forget_fetched(&mut self) {
        self.sessions.clear();
        self.observed = K::unfetched(std::mem::take(&mut self.observed));
    }

    /// What calls through this provider config are made on, once it is resolved.
    pub fn remote(&self, reference: &ProviderConfigRef) -> Option<&B::Remote> {
        let session = self.sessions.get(reference)?.as_ref().ok()?;
        Some(&session.remote)
    }

    async fn resolve(&mut self, reference: ProviderConfigRef) {
        let (namespace, name) = (self.handle.object().namespace().unwrap_or_default(), self.handle.object().name_any());
        let input = self.input();
        let caller = Caller {
            kind: K::NAME,
            namespace: &namespace,
            name: &name,
            is_owed: K::is_pending(&input),
            is_leaving: K::is_removing(&input),
        };
        let resolved = self.context.backend.resolve(caller, &reference).await;
        let session = resolved.map(|Resolved { remote, not_allowed, no_resource_ids }| {
            let destination = remote.destination();
            Session { remote, facts: ResolvedRealm { destination, not_allowed, no_resource_ids } }
        });
        self.sessions.insert(reference, session);
    }

    /// Writes a record ahead, for a ticket. Without one no call is made.
    async fn write_ahead(&mut self, record: K::Record, phase: &Phase) -> Result<(), Interrupted> {
        let now = self.context.environment.monotonic();
        // Whatever is asked about the record later counts from before it was written.
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
                // Whatever stands of the record, it announces nothing.
                let failure = Failure::refused(Reason::StatusNotStored, what);
                self.sent = Some(Sent { record, outcome: Outcome::NotDone(failure) });
            }
            Err(interrupted) => return Err(interrupted),
        }
        Ok(())
    }

    /// How long the call of a ticket may take, so that it ends within the time that was written ahead; `None` when it must not
    /// be made.
    pub fn time_to_call(&self, ticket: &Ticket<K::Record>) -> Option<Duration> {
        let environment = &self.context.environment;
        let left = ticket.time_left(environment.monotonic()).filter(|_| environment.may_write())?;
        Some(left.min(self.context.options.times.request_timeout))
    }

    /// Classifies the answer to the call of a record, and remembers a refusal that leaves a doubt.
    pub fn classify<T>(
        &mut self,
        record: &K::Record,
        result: Result<T, Error>,
        provider: &ProviderConfigRef,
    ) -> Outcome<T> {
        let (record_id, generation) = (record.id().to_owned(), K::lifecycle(&self.desired).generation);
        let said = result.as_ref().err().and_then(refusal);
        self.local_state.refusal = said.map(|said| Refusal { record_id, generation, said });
        Outcome::of(result, provider)
    }

    /// What came of the call of `record`.
    pub fn sent(&mut self, record: K::Record, outcome: Outcome<K::Created>) {
        self.sent = Some(Sent { record, outcome });
    }

    /// Whether nothing of the object is in doubt or in flight, as far as this process can say.
    pub fn is_settled(&self) -> bool {
        // As the object is by now, which may be newer than what was planned for.
        let in_doubt = self.handle.object().status().is_some_and(|status| K::record(status).is_some());
        self.handle.fresh() && !in_doubt && !self.may_be_written
    }

    /// Says, and remembers, that a write of the operator's did not come through. It must never be silent, and a deletion goes
    /// on without it.
    async fn report_unwritable(&mut self, ended: &Result<Until, Interrupted>) {
        if let Err(Interrupted::Refused(why) | Interrupted::NotStored(why) | Interrupted::Unsaid { why, .. }) = ended {
            let not_stored = matches!(ended, Err(Interrupted::NotStored(_)));
            let is_news = self.local_state.write_refused(why, not_stored, self.context.environment.monotonic());
            self.handle.say_unwritable(why, is_news).await;
        }
    }
}

/// Whether `change` writes down what came of a call.
fn is_concluded_by<K: Rules>(sent: &Sent<K>, change: &K::Change) -> bool {
    match &sent.outcome {
        Outcome::Done(created) => K::conclude(sent, created) == *change,
        Outcome::NotDone(_) | Outcome::InDoubt => false,
    }
}
