//! One look: carries out step after step, over the ports. It decides nothing: what a step's result means is for
//! the next plan.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::change::{Change, withdraw};
use super::desired::Desired;
use super::observed::{LastLook, Observed, Sent};
use super::plan::{self, SERVICE_CLOCK_MARGIN, plan};
use super::ports::{Ports, Remote};
use super::reservations::Holder;
use super::step::{JobRef, Step};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::beyond_identity::{Answer, Doubt, Error, Refusal as Refused};
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
    /// The realm that was opened, and the provider config that led there.
    pub(super) realm: Option<(R::Remote, ProviderConfigRef)>,
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
                self.held.let_go(left).await?;
                self.ports.reservations.release(&self.holder);
                return Err(Interrupted::Gone);
            }
            Step::WriteAhead(send, phase) => {
                // Whatever is asked about the record later counts from before it was written.
                self.memory.known_for(&send.id, self.ports.environment.monotonic());
                self.may_be_written = true;
                self.ticket = Some(self.held.write_ahead(*send, &phase).await?);
                self.may_be_written = false;
            }
            Step::Post => self.post().await,
            Step::Revoke(job) => self.revoke(job).await,
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

    fn into_memory(self) -> Memory {
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
        let mut look =
            Self { ports, holder, held, memory, desired, observed, realm: None, ticket: None, may_be_written: false };
        look.heed_the_asking();
        look.see();
        look
    }

    /// Who asks for a look is not put off.
    fn heed_the_asking(&mut self) {
        if self.desired.look_asked_for.is_some() {
            self.memory.look_now();
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
        self.observed.patience = self.held.patience(self.desired.deleted_at);
        let now = self.ports.environment.monotonic();
        let status = self.held.object().status.clone().unwrap_or_default();
        self.ports.reservations.note(&self.holder, &status, self.held.fresh());
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
        let recent = |at: &Instant| now.saturating_duration_since(*at) < again;
        let refused = self.memory.revoke_refused.as_ref().filter(|(at, _)| recent(at)).map(|(_, said)| said.clone());
        let refused = refused.filter(|_| plan::has_to_revoke(&self.desired, &status));
        self.held.set_revoke_refused(refused.as_ref().map(|said| why(Reason::RevokeRefused, said)));
        self.observed.revoke_refused = refused;
        self.observed.status = status;
        self.observed.fresh = self.held.fresh();
        self.observed.finalizer = self.held.has_finalizer();
        self.observed.may_write = self.ports.environment.may_write();
        self.observed.ticket = self.ticket.is_some();
        self.observed.nonce = self.ports.environment.nonce();
    }

    /// Makes everything unknown that was learned from outside.
    fn forget(&mut self) {
        self.realm = None;
        self.observed = Observed { sent: self.observed.sent.take(), ..Observed::default() };
    }

    /// Asks the service to revoke a job. Whatever it says, the job is read next; unless this is not the operator's to
    /// do, or nobody knows.
    async fn revoke(&mut self, job: JobRef) {
        let JobRef { identity_id, job_id } = &job;
        if !self.named_elsewhere([job_id.as_str()]).await.is_empty() {
            self.observed.shared.insert(job_id.clone());
            return;
        }
        let Some((realm, provider)) = &self.realm else { return };
        let now = self.ports.environment.monotonic();
        let said = match realm.revoke_job(identity_id, job_id).await {
            Ok(()) if self.memory.revoking_for(job_id, now) < self.ports.times.settle => {
                self.memory.revoke_refused = None;
                None
            }
            Ok(()) => Some("the service took the revocation, and the link is still out".to_owned()),
            Err(Error::Refused { cause: Refused::Unauthorized | Refused::Forbidden, message }) => {
                return self.refuse_revoke(&job, &message);
            }
            Err(
                error @ (Error::Retry { .. }
                | Error::InDoubt {
                    cause: Doubt::Server | Doubt::Timeout | Doubt::Connection | Doubt::Foreign,
                    ..
                }),
            ) => {
                self.observed.job_trouble = Some(outcome::trouble(&error, provider));
                return;
            }
            Err(error) => Some(error.to_string()),
        };
        self.observed.read.remove(job_id);
        self.observed.revoked.insert(job_id.clone());
        self.observed.revoke_said = said;
    }

    /// Remembers that the service does not let the operator revoke a job.
    pub(super) fn refuse_revoke(&mut self, job: &JobRef, said: &str) {
        let said = format!("the link of credential binding job {} cannot be revoked: {said}", job.job_id);
        if self.memory.revoke_refused.as_ref().is_none_or(|(_, known)| *known != said) {
            self.warn(Reason::RevokeRefused, said.clone());
        }
        self.memory.revoke_refused = Some((self.ports.environment.monotonic(), said));
    }

    /// Uses the ticket. The call ends within the time that was written ahead, or is not made at all.
    async fn post(&mut self) {
        let (Some(ticket), Some((realm, provider))) = (self.ticket.take(), &self.realm) else { return };
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
                Outcome::of(result.map(|answer| answer.item), provider)
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
            Change::Follow(_) | Change::Forget { .. } => {}
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
