//! The side effects of a request's reconcile. Nothing is decided here: the next plan evaluates the results.

use jiff::Timestamp;
use kube::runtime::events::EventType;

use super::audit::{Became, Call, send_because};
use super::change::{self, Change};
use super::matching;
use super::observe::names;
use super::observed::{Observed, Published, SendTurn};
use super::plan::input::SERVICE_CLOCK_MARGIN;
use super::shared::Shared;
use super::step::{Action, JobRef, Query};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::why;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, ProviderConfigRef, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::beyond_identity::{Answer, CREATE_JOB, Doubt, Error};
use crate::reconcile::outcome::{self, Outcome};
use crate::reconcile::plan::plan;
use crate::reconcile::{
    Backend, End, Fact, FailureKind, Kind, ObjectKey, ObjectUid, RealmIds, Reconcile, Reconciler, Remote, Step, Ticket,
};

/// A reconcile of a request.
pub(super) type RequestReconcile<'a, B> = Reconcile<'a, EnrollmentRequest, B>;

impl<B: Backend> Reconciler<B> for EnrollmentRequest {
    async fn fetch(request: &mut RequestReconcile<'_, B>, query: Query) {
        request.fetch_query(query).await;
    }

    async fn act(request: &mut RequestReconcile<'_, B>, action: Action) {
        match action {
            Action::Reserve(key) => request.reserve(key).await,
            Action::TakeSendTurn(reference, per_hour) => request.take_send_turn(&reference, per_hour),
            Action::Revoke(reference, job) => request.revoke(&reference, &job).await,
            Action::CannotRevoke(job, why) => request.refuse_revoke(&job, &why),
        }
    }

    async fn send(request: &mut RequestReconcile<'_, B>, ticket: Ticket<SendRecord>) {
        let record = ticket.record().clone();
        let provider = &record.provider_config_ref;
        request.spend_send_turn(provider);
        let mut made = false;
        let outcome = match (request.time_to_call(&ticket), request.remote(provider)) {
            (Some(timeout), Some(realm)) => {
                let (of, asked) = (request.listed_realm(realm, provider), request.context.environment.monotonic());
                let result = realm.create_job(ticket, timeout).await;
                let result = result.and_then(|answer| request.answer_to(&record, answer));
                if result.is_ok() {
                    request.context.shared.realm_lists.recognized(&of, asked);
                }
                made = true;
                if let Ok(answer) = &result
                    && let Some(note) = clock_skew(answer)
                {
                    request.warn(Reason::ClockSkew, note);
                }
                request.classify(&record, result.map(|answer| answer.item), provider)
            }
            _ => Outcome::not_made(Reason::Sending),
        };
        if !matches!(outcome, Outcome::Done(_)) {
            request.context.shared.realm_lists.forget_identity(&record.identity_id);
        }
        if made {
            let job = if let Outcome::Done(job) = &outcome { Some(job.id.as_str()) } else { None };
            request.audit(Call::Send, send_because(record.resend_of.as_ref()), job, Became::from(&outcome));
        }
        request.sent(record, outcome);
        // A list from before the call does not show its effect.
        request.observed.jobs = Fact::Unknown;
    }

    fn recorded(request: &mut RequestReconcile<'_, B>, change: &Change, applied: bool) {
        match change {
            Change::Conclude { job, others, answered, .. } => {
                request.polled(Some(job));
                if applied && !answered {
                    // The planned status still has the record.
                    let resend_of = request.status.send.as_ref().and_then(|send| send.resend_of.as_ref());
                    request.audit(Call::Send, send_because(resend_of), Some(&job.id), Became::Found);
                }
                request.created(job);
                if applied {
                    let is_first = request.status.attempt.is_none();
                    request.context.environment.email_sent(is_first.then(|| request.age()));
                }
                let status = request.handle.object().status.as_ref();
                let named = status.and_then(|status| status.job_id.as_deref());
                if !applied && named != Some(job.id.as_str()) {
                    request.warn_of_duplicates(std::slice::from_ref(&job.id));
                } else if applied && !others.is_empty() {
                    request.warn_of_duplicates(others);
                }
            }
            Change::ConcludeWithoutSend { by: change::NoSendBecause::Adopted { read, .. }, .. } => {
                request.polled(Some(&read.item))
            }
            Change::UpdateFrom(read) if applied => request.count_enrolment(&read.item),
            Change::ConcludeWithoutSend { by: change::NoSendBecause::Skipped(_), .. }
            | Change::UpdateFrom(_)
            | Change::FoundAt { .. }
            | Change::Forget { .. } => {}
        }
    }

    fn withdrawn(request: &mut RequestReconcile<'_, B>) {
        request.count_lost_send();
        // Pending work is planned again, from the current spec.
        request.forget_fetched();
    }

    fn publish(request: &RequestReconcile<'_, B>) -> Published {
        let Shared { reservations, watcher, .. } = &*request.context.shared;
        let holder = request.object_uid();
        if Self::lifecycle(&request.desired).is_deleting() && !request.handle.has_finalizer() {
            // Only finalizers of other controllers remain, so the next request may take its jobs.
            reservations.release(&holder);
        } else {
            reservations.note(&holder, &request.status, request.handle.fresh());
        }
        let may_poll = request.status.job_id.as_ref().is_some_and(|job_id| watcher.may_read(&holder.uid, job_id));
        Published { holds_send_slot: reservations.holds_send_slot(&holder), may_poll }
    }

    fn finish(request: &mut RequestReconcile<'_, B>) {
        let delivery_method = request.desired.delivery_method.as_str();
        // The current status may be newer than the status that was planned for.
        let status = request.handle.object().status.clone().unwrap_or_default();
        request.local_state.own.revocations.retain(|job_id| names(&status, job_id));
        request.local_state.own.read_before = request.observed.cannot_be_adopted(&status, delivery_method);
        if request.handle.is_deleted() {
            request.context.shared.reservations.release(&request.object_uid());
        } else if request.is_settled() {
            request.context.shared.reservations.settled(&request.object_uid(), &status);
        }
        request.end_send_turn();
        request.follow(&status);
    }
}

impl<B: Backend> RequestReconcile<'_, B> {
    /// The request as a holder of an enrolment key.
    pub(super) fn object_uid(&self) -> ObjectUid {
        ObjectUid::of(self.handle.object())
    }

    /// The answer to the call of `record`. One that names a job from before the call is the answer to another call, so
    /// it does not tell what this one did.
    fn answer_to(
        &self,
        record: &SendRecord,
        answer: Answer<CredentialBindingJob>,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        let id = &answer.item.id;
        let is_listed = match &self.observed.jobs {
            Fact::Known(listed) => listed.jobs.iter().any(|job| job.id == *id),
            Fact::Unknown | Fact::Failed(_) => false,
        };
        if is_listed || matching::is_known(id, record, &self.status) {
            let what = "the credential binding job in it existed before the call";
            return Err(Error::answer_to_another_call(CREATE_JOB, what));
        }
        Ok(answer)
    }

    /// Takes the turn to send through a provider config with a limit.
    fn take_send_turn(&mut self, reference: &ProviderConfigRef, per_hour: i32) {
        let (waiter, environment) = (ObjectKey::of(self.handle.object()), &self.context.environment);
        let (provider, now) = (reference.resolve(&waiter.namespace), (environment.monotonic(), environment.now()));
        let taken = self.context.shared.pacer.take(&provider, &waiter, per_hour, now);
        self.observed.send_turn = Fact::Known(taken.map_or_else(SendTurn::Waits, |()| SendTurn::Granted));
    }

    /// The email may be sent from now on. Only a stored record reaches this, so a turn whose record could not be written is
    /// used again.
    fn spend_send_turn(&mut self, reference: &ProviderConfigRef) {
        let waiter = ObjectKey::of(self.handle.object());
        let (provider, now) = (reference.resolve(&waiter.namespace), self.context.environment.monotonic());
        self.context.shared.pacer.spend(&provider, &waiter, now);
        self.observed.send_turn = Fact::Unknown;
    }

    /// Releases the send turn, unless the request waits for it, or retries soon.
    fn end_send_turn(&self) {
        let (pacer, waiter) = (&self.context.shared.pacer, ObjectKey::of(self.handle.object()));
        if self.handle.is_deleted() {
            return pacer.leave(&waiter);
        }
        if matches!(self.observed.send_turn, Fact::Known(SendTurn::Waits(_))) {
            return;
        }
        let retries_soon = match plan(&self.input()) {
            Step::End(End { failure: Some(FailureKind::Transient | FailureKind::RateLimited), .. }) => {
                // Another request's send in doubt may take longer.
                !matches!(self.observed.reservation, Fact::Failed(_))
            }
            // A write met a conflict or failed, and the reconcile starts over.
            Step::WriteAhead(..) | Step::Refresh | Step::Resolve(_) | Step::Fetch(_) | Step::Act(_) => true,
            _ => false,
        };
        if retries_soon {
            pacer.keep(&waiter, self.context.environment.monotonic());
        } else {
            pacer.leave(&waiter);
        }
    }

    /// Records a job that was created for this request, which lists may not show yet.
    fn created(&self, job: &CredentialBindingJob) {
        let object = self.handle.object();
        let status = object.status.as_ref();
        let ids =
            status.and_then(|status| Some((EnrollmentRequest::recorded_realm(status)?, status.identity_id.as_ref()?)));
        if let Some((realm, identity_id)) = ids {
            let now = self.context.environment.monotonic();
            self.context.shared.recent_jobs.sent(&realm, identity_id, &job.id, now);
        }
    }

    /// Counts a send in doubt that no list showed as an email of the last hour. If lists hide its job, the identity gets no
    /// more emails than the limit.
    fn count_lost_send(&self) {
        // The planned status still has the record.
        let Some(send) = &self.status.send else { return };
        let SendRecord { id, tenant_id, realm_id, identity_id, .. } = send;
        if !self.is_not_done(id) {
            let realm = RealmIds { tenant_id: tenant_id.clone(), realm_id: realm_id.clone() };
            self.context.shared.recent_jobs.sent(&realm, identity_id, id, self.context.environment.monotonic());
        }
    }

    /// Asks the service to revoke a job. The job is read next, whatever the service responds. The exceptions: the job
    /// may not be the operator's to revoke, or the outcome is unknown.
    async fn revoke(&mut self, reference: &ProviderConfigRef, job: &JobRef) {
        let JobRef { identity_id, job_id, .. } = job;
        if !self.named_elsewhere([job_id.as_str()]).await.is_empty() {
            self.observed.shared.insert(job_id.clone());
            return;
        }
        if let Some(method) = unknown_method(&self.status, &self.observed, job_id) {
            let message = format!(
                "this version does not know its delivery method {method}, so the job may belong to somebody else; if \
                 it belongs to this request, revoke it in Beyond Identity"
            );
            return self.refuse_revoke(job, &message);
        }
        let Some(realm) = self.remote(reference) else { return };
        if !self.context.environment.may_call_service() {
            // The process has lost the lease, or is shutting down, since the revocation was planned. Other requests
            // were read in between.
            return;
        }
        let now = self.context.environment.monotonic();
        let answer = realm.revoke_job(identity_id, job_id).await;
        let became = match &answer {
            Ok(()) => Became::Accepted,
            Err(Error::InDoubt { .. }) => Became::Unknown,
            Err(_) => Became::Refused,
        };
        self.audit(Call::Revoke, self.revocation_because(job_id), Some(job_id), became);
        let message = match answer {
            Ok(())
                if self.local_state.own.revocations.accepted_for(job_id, now) < self.context.options.times.settle =>
            {
                self.local_state.own.revocations.clear_refusal(job_id);
                None
            }
            Ok(()) => Some(
                "the API accepted the revocation, but the link is still active; if this lasts, revoke the job in \
                 Beyond Identity"
                    .to_owned(),
            ),
            Err(
                error @ (Error::Retry { .. }
                | Error::InDoubt {
                    cause: Doubt::Server | Doubt::Timeout | Doubt::Connection | Doubt::NotFromTheApi,
                    ..
                }),
            ) => {
                self.observed.job_failures.insert(job_id.clone(), outcome::failure(&error, reference));
                return;
            }
            // This includes a token that may not revoke: the link may have ended by itself.
            Err(error) => Some(error.to_string()),
        };
        if message.is_none() {
            self.log("Revocation accepted", Some(job_id));
        }
        self.observed.read.remove(job_id);
        self.observed.revoked.insert(job_id.clone());
        self.observed.revoke_messages.extend(message.map(|message| (job_id.clone(), message)));
    }

    /// Records that a job cannot be revoked, and emits an event if the reason is new.
    pub(super) fn refuse_revoke(&mut self, job: &JobRef, message: &str) {
        let message = format!("The link of credential binding job {} cannot be revoked: {message}", job.job_id);
        if self.local_state.own.revocations.refuse(&job.job_id, self.context.environment.monotonic(), &message) {
            self.warn(Reason::RevokeRefused, message);
        }
    }

    /// The operator cannot determine whether such a job is a duplicate or a valid link, so it leaves the job alone.
    fn warn_of_duplicates(&self, jobs: &[String]) {
        let jobs = jobs.join(", ");
        self.warn(
            Reason::DuplicateJob,
            format!(
                "Credential binding job {jobs} may have been created for this request, but status.jobID names another \
                 one; in Beyond Identity, revoke the job that is not needed"
            ),
        );
    }

    fn warn(&self, reason: Reason, note: String) {
        self.handle.emit_event(EventType::Warning, &why(reason, note));
    }
}

/// The delivery method of a job, if this version does not know it. The job is in status, or in the list for the send
/// in doubt.
fn unknown_method(status: &EnrollmentRequestStatus, observed: &Observed, job_id: &str) -> Option<String> {
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

/// The warning if the service's clocks differ by more than [`SERVICE_CLOCK_MARGIN`]: a send in doubt could then miss
/// its job.
fn clock_skew(answer: &Answer<CredentialBindingJob>) -> Option<String> {
    let created: Timestamp = answer.item.create_time.as_deref()?.parse().ok()?;
    let apart = created.duration_since(answer.server_time?).unsigned_abs();
    (apart > SERVICE_CLOCK_MARGIN).then(|| {
        format!(
            "The service reported a create time of job {} that is {} s off its own clock; report this to the \
             vendor, because a job whose response is lost may not be found, and its email is then sent again",
            answer.item.id,
            apart.as_secs()
        )
    })
}
