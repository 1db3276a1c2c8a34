//! One look: carries out step after step, over the ports. It decides nothing: what a step's result means is for
//! the next plan.

use std::time::Duration;

use kube::runtime::events::EventType;

use super::change::Change;
use super::desired::{Desired, changed_fields};
use super::observed::{Created, Listed, Observed};
use super::plan::plan;
use super::ports::{Ports, Remote};
use super::step::{Question, Step};
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, Phase, Reason};
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::held::InHand;
use crate::reconcile::memory::{Look as Looked, Refusal};
use crate::reconcile::outcome::{self, Outcome};
use crate::reconcile::{Caller, Fact, Held, Interrupted, Memory, Objects, Realms, Ticket, Until, Users, look};

/// One look at an AuthenticatorConfig.
pub(super) struct Look<'a, O, R: Realms, U> {
    ports: &'a Ports<O, R, U>,
    held: Held<'a, AuthenticatorConfig, O>,
    memory: Memory,
    desired: Desired,
    observed: Observed,
    realm: Option<R::Remote>,
    ticket: Option<Ticket<CreateRecord>>,
}

impl<O, R, U> look::Look for Look<'_, O, R, U>
where
    O: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
    U: Users,
{
    type Step = Step;

    fn plan(&self) -> Step {
        plan(&self.desired, &self.observed, &self.ports.times)
    }

    async fn execute(&mut self, step: Step) -> Result<Option<Until>, Interrupted> {
        match step {
            Step::Refresh => self.held.refresh().await?,
            Step::Learn(question) => self.learn(question).await,
            Step::AddFinalizer => self.held.set_finalizer(true).await?,
            Step::Release { left } => {
                self.held.let_go(left, &mut self.memory.told).await?;
                return Err(Interrupted::Gone);
            }
            Step::WriteAhead(record, phase) => self.write_ahead(record, &phase).await?,
            Step::Create => self.create().await,
            // The watch may be behind: the object may be paused by now.
            Step::Patch(..) | Step::Delete(_) if !self.held.fresh() => self.held.refresh().await?,
            Step::Patch(id, patch) => {
                if let Some(realm) = &self.realm {
                    match outcome::found(realm.patch(&id, &patch).await, &self.desired.provider_config_ref) {
                        Ok(Some(())) => {
                            self.observed.patched = Some(Ok(()));
                            self.corrected();
                            let fields = changed_fields(&patch);
                            let note =
                                format!("changed in the authenticator configuration {id}, as the spec says: {fields}");
                            self.held.tell(EventType::Normal, &why(Reason::Corrected, note));
                        }
                        Ok(None) => _ = self.observed.read.insert(id, Fact::Known(None)),
                        Err(trouble) => self.observed.patched = Some(Err(trouble)),
                    }
                }
            }
            Step::Delete(id) => {
                if let Some(realm) = &self.realm {
                    match outcome::found(realm.delete(&id).await, &self.desired.provider_config_ref) {
                        Ok(Some(())) => {
                            // Whatever answers with a success: that it is gone, its id has to say.
                            self.observed.read.remove(&id);
                            self.observed.deleted = Some(Ok(()));
                        }
                        Ok(None) => _ = self.observed.read.insert(id, Fact::Known(None)),
                        Err(trouble) => self.observed.deleted = Some(Err(trouble)),
                    }
                }
            }
            Step::Record(change, phase) => self.record(&change, phase.as_ref()).await?,
            Step::Wait(wait) => {
                if self.held.conclude(&wait).await? {
                    if self.observed.status.create.is_none() {
                        // It has been said; the next look tries again.
                        self.memory.refusal = None;
                    }
                    if matches!(wait.say, Some(Phase::Available(_))) && self.observed.compared.is_none() {
                        self.corrected();
                    }
                    return Ok(Some(wait.until));
                }
            }
        }
        self.see();
        Ok(None)
    }

    fn held(&mut self) -> &mut impl InHand {
        &mut self.held
    }

    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn into_memory(self) -> Memory {
        self.memory
    }
}

impl<'a, O, R, U> Look<'a, O, R, U>
where
    O: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
    U: Users,
{
    /// Begins a look at `config`, as the watch cache has it.
    pub(super) fn at(ports: &'a Ports<O, R, U>, config: AuthenticatorConfig, memory: Memory) -> Self {
        let desired = Desired::of(&config, &ports.cluster).orphaned_by(ports.orphan_on_delete);
        let held = Held::cached(&ports.configs, ports.environment.as_ref(), ports.times.grace, config);
        let mut look = Self { ports, held, memory, desired, observed: Observed::default(), realm: None, ticket: None };
        look.heed_the_asking();
        look.see();
        look
    }

    /// Who asks for a look is not put off.
    fn heed_the_asking(&mut self) {
        if let Some(asked) = &self.desired.look_asked_for {
            self.memory.look_now(asked);
        }
    }

    /// Brings up to date what is known of the object in hand.
    fn see(&mut self) {
        let desired = Desired::of(self.held.object(), &self.ports.cluster).orphaned_by(self.ports.orphan_on_delete);
        if desired != self.desired {
            // What was learned for another spec says nothing about this one.
            self.desired = desired;
            self.realm = None;
            self.observed = Observed { created: self.observed.created.take(), ..Observed::default() };
            self.heed_the_asking();
        }
        let status = self.held.object().status.clone().unwrap_or_default();
        let record = status.create.as_ref().map(|create| create.id.as_str());
        self.observed.refusal = self.memory.refusal(record, self.desired.generation);
        let (environment, times) = (&self.ports.environment, &self.ports.times);
        let monotonic = environment.monotonic();
        let look = self.memory.look_at(status.id.as_deref());
        let look = look.filter(|look| look.generation == self.desired.generation);
        let left = look.map(|look| times.resync.saturating_sub(monotonic.saturating_duration_since(look.at)));
        self.observed.compared = left.filter(|left| !left.is_zero());
        self.observed.unwritable = self.memory.unwritable(times.resync, self.desired.is_deleting(), monotonic);
        let refused_for = self.observed.unwritable.as_ref().and_then(|_| self.memory.refused_for(monotonic));
        self.observed.patience = self.held.patience(self.desired.deleted_at, refused_for);
        let known_for = |id: &String| self.memory.status_known_for(id, monotonic);
        self.observed.known_for = status.id.as_ref().map(known_for).unwrap_or_default();
        self.observed.status = status;
        self.observed.fresh = self.held.fresh();
        self.observed.finalizer = self.held.has_finalizer();
        self.observed.may_write = self.ports.environment.may_write();
        self.observed.ticket = self.ticket.is_some();
        self.observed.nonce = self.ports.environment.nonce();
    }

    async fn learn(&mut self, question: Question) {
        let provider = &self.desired.provider_config_ref;
        match (question, &self.realm) {
            (Question::Users, _) => {
                let users = self.ports.users.of(&self.desired.namespace, &self.desired.name).await;
                let unknown = |what| Phase::AtWork(why(Reason::KubernetesUnavailable, what)).into();
                self.observed.users = users.map_err(unknown).into();
            }
            (Question::Realm(reference), _) => {
                let Desired { namespace, name, generation, .. } = &self.desired;
                let status = &self.observed.status;
                let is_settled = status.id.is_some() && status.observed_generation == Some(*generation);
                let is_leaving = self.desired.is_deleting();
                let caller = Caller { namespace, name, is_owed: !is_settled || is_leaving, is_leaving };
                let opened = self.ports.realms.open(caller, &reference).await;
                self.observed.not_allowed = opened.as_ref().ok().and_then(|opened| opened.not_allowed.clone());
                self.observed.no_resource_ids = opened.as_ref().ok().and_then(|opened| opened.no_resource_ids.clone());
                let destination = opened.as_ref().map(|opened| opened.remote.destination());
                self.observed.destination = destination.map_err(Clone::clone).into();
                self.realm = opened.ok().map(|opened| opened.remote);
            }
            (Question::Configs, Some(realm)) => {
                let age = match &self.observed.status.create {
                    Some(record) => self.memory.known_for(&record.id, self.ports.environment.monotonic()),
                    None => Duration::ZERO,
                };
                // What a list before has shown stays, since either can miss a configuration that is there.
                let (mut before, mut lists) = (Vec::new(), 1);
                if let Fact::Known(listed) = std::mem::take(&mut self.observed.listed) {
                    (before, lists) = (listed.configs, listed.lists + 1);
                }
                let listed = realm.configs().await.map(|listing| {
                    let mut configs = listing.items;
                    before.retain(|config| configs.iter().all(|other| other.id != config.id));
                    configs.append(&mut before);
                    Listed { configs, age, lists }
                });
                self.observed.listed = listed.map_err(|error| outcome::trouble(&error, provider)).into();
            }
            (Question::Config(id), Some(realm)) => {
                let found = outcome::found(realm.config(&id).await, provider);
                self.observed.read.insert(id, found.into());
            }
            (Question::Configs | Question::Config(_), None) => {}
        }
    }

    /// Writes a record ahead, for a ticket. Without one nothing is made.
    async fn write_ahead(&mut self, record: CreateRecord, phase: &Phase) -> Result<(), Interrupted> {
        let now = self.ports.environment.monotonic();
        // Whatever is asked about the record later counts from before it was written.
        self.memory.known_for(&record.id, now);
        match self.held.write_ahead(record.clone(), phase).await {
            Ok(ticket) => {
                self.memory.write_stored();
                self.ticket = Some(ticket);
            }
            Err(Interrupted::NotStored(what)) => {
                self.memory.write_refused(&what, true, now);
                // Whatever stands of the record, it announces nothing.
                let phase = Phase::Refused(why(Reason::StatusNotStored, what));
                self.observed.created = Some(Created { record, outcome: Outcome::NotDone(phase.into()) });
            }
            Err(interrupted) => return Err(interrupted),
        }
        Ok(())
    }

    /// Uses the ticket. The call ends within the time that was written ahead, or is not made at all.
    async fn create(&mut self) {
        let (Some(ticket), Some(realm)) = (self.ticket.take(), &self.realm) else { return };
        let environment = &self.ports.environment;
        let record = ticket.record().clone();
        let outcome = match ticket.time_left(environment.monotonic()).filter(|_| environment.may_write()) {
            None => Outcome::not_made(Reason::Creating),
            Some(left) => {
                let timeout = left.min(self.ports.times.request_timeout);
                let result = realm.create(ticket, &self.desired.create(), timeout).await;
                let said = result.as_ref().err().and_then(outcome::refusal);
                let (record_id, generation) = (record.id.clone(), self.desired.generation);
                self.memory.refusal = said.map(|said| Refusal { record_id, generation, said });
                Outcome::of(result, &self.desired.provider_config_ref)
            }
        };
        if let Outcome::Done(config) = &outcome {
            self.check_mark(config);
        }
        self.observed.created = Some(Created { record, outcome });
        // A list from before the call says nothing about its effect.
        self.observed.listed = Fact::Unknown;
    }

    /// Without its mark a configuration cannot be found again.
    fn check_mark(&self, config: &RemoteConfig) {
        if !config.display_name.as_deref().is_some_and(|name| self.desired.mark.is_on(name)) {
            let note = format!(
                "the service answered without the display name that marks the configuration {} as this object's: \
                 after a loss of status, or in a cluster rebuilt from Git, another one would be made",
                config.id
            );
            self.held.tell(EventType::Warning, &why(Reason::MarkNotKept, note));
        }
    }

    async fn record(&mut self, change: &Change, phase: Option<&Phase>) -> Result<(), Interrupted> {
        let applied = self
            .held
            .record_saying(self.held.planned(phase.cloned()), |config| {
                change.apply(config.status.get_or_insert_default())
            })
            .await?;
        if !matches!(change, Change::Withdraw { .. }) {
            self.memory.write_stored();
        }
        match change {
            Change::Take { id, .. } => {
                // What was just made is as the spec says; what was taken over has yet to be compared.
                if let Some(Created { outcome: Outcome::Done(_), .. }) = self.observed.created.take() {
                    self.made(id);
                } else {
                    // What the list led to may have changed before the change of it.
                    self.observed.read.clear();
                }
            }
            Change::Forget { .. } | Change::Withdraw { .. } => {
                if let (Change::Forget { id }, None, true) = (change, &self.desired.resource_id, applied) {
                    let note =
                        format!("the authenticator configuration {id} is gone in Beyond Identity: another one is made");
                    self.held.tell(EventType::Warning, &why(Reason::ConfigurationNotFound, note));
                }
                self.memory.forget_look();
                self.observed.listed = Fact::Unknown;
                self.observed.read.clear();
            }
        }
        Ok(())
    }

    /// The configuration of this id was made, and is in status, or else there is now one too many.
    fn made(&mut self, id: &str) {
        if self.held.object().status.as_ref().and_then(|status| status.id.as_deref()) == Some(id) {
            self.corrected();
            return;
        }
        let note = format!(
            "the authenticator configuration {id} was made for this object, but its status does not name it: look in \
             Beyond Identity which one is used, and delete the other"
        );
        self.held.tell(EventType::Warning, &why(Reason::DuplicateConfiguration, note));
    }

    /// Remembers that the remote side is as this generation of the spec says.
    fn corrected(&mut self) {
        let (at, generation) = (self.ports.environment.monotonic(), self.desired.generation);
        let id = self.held.object().status.as_ref().and_then(|status| status.id.clone());
        id.into_iter().for_each(|of| self.memory.looked(Looked { of, at, generation, found: true }));
    }
}
