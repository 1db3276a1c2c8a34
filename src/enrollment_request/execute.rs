//! One look: carries out step after step, over the ports. It decides nothing: what a step's result means is for
//! the next plan.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::EventType;

use super::change::{self, Change, withdraw};
use super::desired::Desired;
use super::observed::{LastLook, Observed, Sent};
use super::plan::{self, SERVICE_CLOCK_MARGIN, plan};
use super::ports::{Ports, Remote};
use super::reservations::Holder;
use super::step::{JobRef, Step};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::beyond_identity::{Answer, Doubt, Error};
use crate::reconcile::held::InHand;
use crate::reconcile::memory::{Look as Looked, Refusal};
use crate::reconcile::outcome::{self, Outcome};
use crate::reconcile::write_ahead::Record;
use crate::reconcile::{Fact, Held, Interrupted, Memory, Objects, Realms, Ticket, Until, look};

/// How soon a refused revocation is tried again that holds up a deletion.
const RETRY_WHEN_DELETING: Duration = Duration::from_secs(60);

/// One look at a request.
pub(super) struct Look<'a, O, C, R: Realms> {
    pub(super) ports: &'a Ports<O, C, R>,
    pub(super) holder: Holder,
    pub(super) held: Held<'a, EnrollmentRequest, O>,
    pub(super) memory: Memory,
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    /// The realms that were opened, by the provider configs that lead there.
    pub(super) realms: BTreeMap<ProviderConfigRef, R::Remote>,
    ticket: Option<Ticket<SendRecord>>,
    /// Whether a record may stand that nobody has seen: its write was not answered.
    may_be_written: bool,
}

impl<O, C, R> look::Look for Look<'_, O, C, R>
where
    O: Objects<EnrollmentRequest>,
    C: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
{
    type Step = Step;

    fn plan(&self) -> Step {
        plan(&self.desired, &self.observed, &self.ports.times, self.ports.environment.now())
    }

    async fn execute(&mut self, step: Step) -> Result<Option<Until>, Interrupted> {
        match step {
            Step::Refresh => self.held.refresh().await?,
            Step::Learn(question) => self.learn(question).await,
            Step::AddFinalizer => self.held.set_finalizer(true).await?,
            Step::Reserve(person) => self.reserve(person).await,
            Step::Release { left } => {
                self.held.let_go(left, &mut self.memory.told).await?;
                self.ports.reservations.release(&self.holder);
                return Err(Interrupted::Gone);
            }
            Step::WriteAhead(send, phase) => self.write_ahead(*send, &phase).await?,
            Step::Post => self.post().await,
            Step::Revoke(reference, job) => self.revoke(&reference, &job).await,
            Step::CannotRevoke(job, why) => self.refuse_revoke(&job, &why),
            Step::Record(change) => self.record(&change).await?,
            Step::Withdraw { send_id, say } => {
                let say = self.held.planned(say);
                let withdraw =
                    |request: &mut EnrollmentRequest| withdraw(request.status.get_or_insert_default(), &send_id);
                self.held.record_saying(say, withdraw).await?;
                // What is owed is looked at anew, by the way that the spec leads now.
                self.forget();
            }
            Step::Wait(wait) => {
                if self.held.conclude(&wait).await? {
                    if self.observed.status.send.is_none() {
                        // It has been said; the next look tries again.
                        self.memory.refusal = None;
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

    fn into_memory(mut self) -> Memory {
        self.memory.read_before = self.observed.cannot_be_adopted(self.desired.delivery_method.as_str());
        if self.held.fresh() && self.observed.status.send.is_none() && !self.may_be_written {
            self.ports.reservations.settled(&self.holder);
        }
        self.memory
    }
}

impl<'a, O, C, R> Look<'a, O, C, R>
where
    O: Objects<EnrollmentRequest>,
    C: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
{
    /// Begins a look at `request`, as the watch cache has it.
    pub(super) fn at(ports: &'a Ports<O, C, R>, request: EnrollmentRequest, memory: Memory) -> Self {
        let desired = Desired::of(&request).orphaned_by(ports.orphan_on_delete);
        let holder = Holder::of(&request);
        let held = Held::cached(&ports.requests, ports.environment.as_ref(), ports.times.grace, request);
        let observed = Observed::default();
        let mut look = Self {
            ports,
            holder,
            held,
            memory,
            desired,
            observed,
            realms: BTreeMap::new(),
            ticket: None,
            may_be_written: false,
        };
        look.observed.read_before = std::mem::take(&mut look.memory.read_before);
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
        let desired = Desired::of(self.held.object()).orphaned_by(self.ports.orphan_on_delete);
        if desired != self.desired {
            // What was learned for another spec says nothing about this one.
            self.desired = desired;
            self.forget();
            self.heed_the_asking();
        }
        let now = self.ports.environment.monotonic();
        let status = self.held.object().status.clone().unwrap_or_default();
        if self.desired.deleting && !self.held.has_finalizer() {
            // It was let go, and only others keep it: its jobs are whoever's comes next.
            self.ports.reservations.release(&self.holder);
        } else {
            self.ports.reservations.note(&self.holder, &status, self.held.fresh());
        }
        let job_id = status.job_id.as_deref();
        let ago = |at| now.saturating_duration_since(at);
        let last_look = self.memory.look_at(job_id);
        self.observed.last_look = last_look.map(|look| LastLook { ago: ago(look.at), found: look.found });
        self.observed.job_known_for = job_id.map(|id| self.memory.status_known_for(id, now)).unwrap_or_default();
        let send_id = status.send.as_ref().map(|send| send.id.as_str());
        self.observed.refusal = self.memory.refusal(send_id, self.desired.generation);
        // A deletion that waits for it tries more often, so that one bad answer does not leave a link behind.
        let resync = self.ports.times.resync;
        let again = if self.desired.deleting { resync.min(RETRY_WHEN_DELETING) } else { resync };
        let to_revoke = plan::to_revoke(&self.desired, &status);
        self.memory.revocations.retain(|job_id| names(&status, job_id));
        let mut refused = self.memory.revocations.refused_within(again, now);
        // Of a deletion, also what its send in doubt has made and what cannot be written down.
        refused.retain(|job_id, _| self.desired.deleting || to_revoke.iter().any(|job| &job.job_id == job_id));
        let is_over = |id: &str| to_revoke.iter().any(|job| job.job_id == id && job.expired);
        let said = refused.iter().filter(|(id, _)| !is_over(id)).map(|(_, said)| said.as_str());
        let said = said.collect::<Vec<_>>().join("; ");
        self.held.set_revoke_refused((!said.is_empty()).then(|| why(Reason::RevokeRefused, said)));
        self.observed.revoke_refused = refused;
        self.observed.unwritable = self.memory.unwritable(resync, self.desired.deleting, now);
        let refused_for = self.observed.unwritable.as_ref().and_then(|_| self.memory.refused_for(now));
        self.observed.patience = self.held.patience(self.desired.deleted_at, refused_for);
        self.observed.holds_send_slot = self.ports.reservations.holds_send_slot(&self.holder);
        self.observed.status = status;
        self.observed.fresh = self.held.fresh();
        self.observed.finalizer = self.held.has_finalizer();
        self.observed.may_write = self.ports.environment.may_write();
        self.observed.ticket = self.ticket.is_some();
        self.observed.nonce = self.ports.environment.nonce();
    }

    /// Makes everything unknown that was learned from outside.
    fn forget(&mut self) {
        self.realms.clear();
        let (sent, read_before) = (self.observed.sent.take(), std::mem::take(&mut self.observed.read_before));
        self.observed = Observed { sent, read_before, ..Observed::default() };
    }

    /// Writes a record ahead, for a ticket. Without one nothing is sent.
    async fn write_ahead(&mut self, send: SendRecord, phase: &Phase) -> Result<(), Interrupted> {
        let (id, now) = (send.id.clone(), self.ports.environment.monotonic());
        // Whatever is asked about the record later counts from before it was written.
        self.memory.known_for(&id, now);
        self.may_be_written = true;
        let written = self.held.write_ahead(send, phase).await;
        self.may_be_written = matches!(written, Err(Interrupted::Overtaken | Interrupted::Failed(_)));
        match written {
            Ok(ticket) => {
                self.memory.write_stored();
                self.ticket = Some(ticket);
            }
            Err(Interrupted::NotStored(what)) => {
                self.memory.write_refused(&what, true, now);
                // Whatever stands of the record, it announces nothing.
                let phase = Phase::Refused(why(Reason::StatusNotStored, what));
                self.observed.sent = Some(Sent { send_id: id, outcome: Outcome::NotDone(phase.into()) });
            }
            Err(interrupted) => return Err(interrupted),
        }
        Ok(())
    }

    /// Asks the service to revoke a job. Whatever it says, the job is read next; unless this is not the operator's to
    /// do, or nobody knows.
    async fn revoke(&mut self, reference: &ProviderConfigRef, job: &JobRef) {
        let JobRef { identity_id, job_id, .. } = job;
        if !self.named_elsewhere([job_id.as_str()]).await.is_empty() {
            self.observed.shared.insert(job_id.clone());
            return;
        }
        if let Some(method) = unknown_method(&self.observed, job_id) {
            let said = format!(
                "its delivery method {method} is not known to this version, so that it may be somebody else's: if it is \
                 this request's, revoke it in Beyond Identity"
            );
            return self.refuse_revoke(job, &said);
        }
        let Some(realm) = self.realms.get(reference) else { return };
        let now = self.ports.environment.monotonic();
        let said = match realm.revoke_job(identity_id, job_id).await {
            Ok(()) if self.memory.revocations.accepted_for(job_id, now) < self.ports.times.settle => {
                self.memory.revocations.clear_refusal(job_id);
                None
            }
            Ok(()) => Some("the service took the revocation, and the link is still out".to_owned()),
            Err(
                error @ (Error::Retry { .. }
                | Error::InDoubt {
                    cause: Doubt::Server | Doubt::Timeout | Doubt::Connection | Doubt::Foreign,
                    ..
                }),
            ) => {
                self.observed.job_trouble.insert(job_id.clone(), outcome::trouble(&error, reference));
                return;
            }
            // Also where the token may not revoke: the link may have come to its end by itself.
            Err(error) => Some(error.to_string()),
        };
        self.observed.read.remove(job_id);
        self.observed.revoked.insert(job_id.clone());
        self.observed.revoke_said = said;
    }

    /// Remembers that a job cannot be revoked.
    pub(super) fn refuse_revoke(&mut self, job: &JobRef, said: &str) {
        let said = format!("the link of credential binding job {} cannot be revoked: {said}", job.job_id);
        if self.memory.revocations.refuse(&job.job_id, self.ports.environment.monotonic(), &said) {
            self.warn(Reason::RevokeRefused, said);
        }
    }

    /// Uses the ticket. The call ends within the time that was written ahead, or is not made at all.
    async fn post(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let provider = ticket.record().provider_config_ref.clone();
        let Some(realm) = self.realms.get(&provider) else { return };
        let environment = &self.ports.environment;
        let send_id = ticket.record().id().to_owned();
        let outcome = match ticket.time_left(environment.monotonic()).filter(|_| environment.may_write()) {
            None => Outcome::not_made(Reason::Sending),
            Some(left) => {
                let timeout = left.min(self.ports.times.request_timeout);
                let result = realm.create_job(ticket, timeout).await;
                let said = result.as_ref().err().and_then(outcome::refusal);
                let (record_id, generation) = (send_id.clone(), self.desired.generation);
                self.memory.refusal = said.map(|said| Refusal { record_id, generation, said });
                if let Ok(answer) = &result
                    && let Some(note) = clock_skew(answer)
                {
                    self.warn(Reason::ClockSkew, note);
                }
                Outcome::of(result.map(|answer| answer.item), &provider)
            }
        };
        self.observed.sent = Some(Sent { send_id, outcome });
        // A list from before the call says nothing about its effect.
        self.observed.jobs = Fact::Unknown;
    }

    async fn record(&mut self, change: &Change) -> Result<(), Interrupted> {
        let phase = |request: &EnrollmentRequest| change.phase(request.status.as_ref()?, &Desired::of(request));
        let apply = |request: &mut EnrollmentRequest| change.apply(request.status.get_or_insert_default());
        let applied = self.held.record_saying(phase, apply).await?;
        self.memory.write_stored();
        match change {
            Change::Conclude { job, others, .. } => {
                self.observed.sent = None;
                self.looked(true);
                if applied {
                    self.ports.environment.email_sent();
                }
                let named = self.held.object().status.as_ref().and_then(|status| status.job_id.as_deref());
                if !applied && named != Some(job.id.as_str()) {
                    self.warn_of_duplicates(std::slice::from_ref(&job.id));
                } else if applied && !others.is_empty() {
                    self.warn_of_duplicates(others);
                }
            }
            Change::Settle { .. } => self.looked(true),
            Change::Follow(_) | Change::FoundAt { .. } | Change::Forget { .. } => {}
        }
        Ok(())
    }

    /// From here nobody can tell whether a job is one too many, or somebody's good link: it is left alone.
    fn warn_of_duplicates(&self, jobs: &[String]) {
        let jobs = jobs.join(", ");
        self.warn(
            Reason::DuplicateJob,
            format!(
                "credential binding job {jobs} may have been made for this request, but its status names another one: \
                 look in Beyond Identity which of them is wanted"
            ),
        );
    }

    fn warn(&self, reason: Reason, note: String) {
        self.held.tell(EventType::Warning, &why(reason, note));
    }

    /// Remembers a look at the job that was answered.
    pub(super) fn looked(&mut self, found: bool) {
        let (at, generation) = (self.ports.environment.monotonic(), self.desired.generation);
        let id = self.held.object().status.as_ref().and_then(|status| status.job_id.clone());
        id.into_iter().for_each(|of| self.memory.looked(Looked { of, at, generation, found }));
    }
}

/// Whether a status names this job, or may come to.
fn names(status: &EnrollmentRequestStatus, job_id: &str) -> bool {
    status.job_id.as_deref() == Some(job_id)
        || status.previous_jobs.iter().any(|job| job.id == job_id)
        || status.send.is_some()
}

/// The delivery method of a job in status, or of one that a list shows for the send in doubt, where this version does not
/// know it.
fn unknown_method(observed: &Observed, job_id: &str) -> Option<String> {
    let status = &observed.status;
    if status.job_id.as_deref() == Some(job_id) {
        return status.delivery_method.clone();
    }
    if let Some(job) = status.previous_jobs.iter().find(|job| job.id == job_id) {
        return job.delivery_method.clone();
    }
    match &observed.jobs {
        Fact::Known(listed) => listed.jobs.iter().find(|job| job.id == job_id).and_then(change::unknown_method),
        Fact::Unknown | Fact::Failed(_) => None,
    }
}

/// What is to be said when the service's clocks are further apart than [`SERVICE_CLOCK_MARGIN`]: a send in doubt
/// could then miss its job.
fn clock_skew(answer: &Answer<CredentialBindingJob>) -> Option<String> {
    let created: Timestamp = answer.item.create_time.as_deref()?.parse().ok()?;
    let apart = created.duration_since(answer.server_time?).unsigned_abs();
    (apart > SERVICE_CLOCK_MARGIN).then(|| {
        format!(
            "the service dated job {} {} s apart from its own answer: a send whose answer is lost may not be found again",
            answer.item.id,
            apart.as_secs()
        )
    })
}
