//! A fuzz target: whatever the status and the answers of the service say, a reconcile ends within its steps.

use proptest::prelude::*;
use proptest::{collection, option};
use serde_json::json;

use super::*;
use crate::api::phase::why;
use crate::enrollment_request::observed::{Recognized, SendTurn};
use crate::enrollment_request::pacer::SendWait;
use crate::enrollment_request::step::Query;
use crate::enrollment_request::testing::{concluded, send};
use crate::fuzz::{mutated, run, text};
use crate::reconcile::FailureKind;

/// What an outside of any behaviour answers, in turn.
#[derive(Clone, Debug)]
struct World {
    jobs: Vec<CredentialBindingJob>,
    bits: Vec<bool>,
    seconds: u64,
    text: String,
}

impl World {
    /// Any of the possible answers.
    fn bit(&mut self) -> bool {
        self.bits.rotate_left(1);
        self.bits[0]
    }

    fn answer<T>(&mut self, known: impl FnOnce(&mut Self) -> T) -> Fact<T> {
        if self.bit() { Fact::Known(known(self)) } else { Fact::Failed(self.failure()) }
    }

    fn failure(&mut self) -> Failure {
        let why = why(Reason::Refused, &self.text);
        let kind = if self.bit() { FailureKind::Transient } else { FailureKind::Refused };
        let duration = Duration::from_secs(self.seconds);
        Failure { kind, why, after: self.bit().then_some(duration), within: self.bit().then_some(duration) }
    }

    fn job(&mut self) -> Option<CredentialBindingJob> {
        let first = 1.min(self.jobs.len());
        self.jobs.rotate_left(first);
        self.jobs.first().cloned().filter(|_| self.bit())
    }

    fn time(&mut self) -> Option<Timestamp> {
        let time = Timestamp::from_second(i64::try_from(self.seconds).unwrap_or(0)).ok();
        if self.bit() { time } else { Some(now()) }
    }

    /// Executes a step on what is known. `false` is the end of the reconcile.
    fn execute(&mut self, step: Step, known: &mut Known) -> bool {
        match step {
            Step::Refresh => known.object.fresh = true,
            Step::Resolve(reference) => {
                let realm = resolved_realms(self.answer(|_| destination())).remove(&provider_ref());
                known.object.realms.insert(reference, realm.unwrap_or_else(|| Err(failure())));
            }
            Step::Fetch(query) => self.fetch(query, known),
            Step::AddFinalizer => (known.object.finalizer, known.object.fresh) = (true, true),
            Step::WriteAhead(record, _) => {
                known.status.send = Some(*record);
                (known.object.ticket, known.jobs) = (true, Fact::Unknown);
            }
            Step::Send => {
                let outcome = match (self.job(), self.bit()) {
                    (Some(job), _) => Outcome::Done(job),
                    (None, true) => Outcome::NotDone(self.failure()),
                    (None, false) => Outcome::InDoubt,
                };
                let record = known.status.send.clone().unwrap_or_else(send);
                (known.object.ticket, known.object.sent, known.jobs) =
                    (false, Some(Sent { record, outcome }), Fact::Unknown);
            }
            Step::Withdraw { record_id, .. } => {
                known.status.send.take_if(|send| send.id == record_id);
                known.jobs = Fact::Unknown;
            }
            Step::Record(change) => {
                change.apply(&mut known.status);
                if !matches!(known.object.sent, Some(Sent { outcome: Outcome::NotDone(_), .. })) {
                    known.object.sent = None;
                }
            }
            Step::Act(Action::Reserve(key)) => known.reservation = self.answer(|_| key),
            Step::Act(Action::TakeSendTurn(_, per_hour)) => {
                let wait = SendTurn::Waits(SendWait { per_hour, likely_at: now() });
                known.send_turn = Fact::Known(if self.bit() { SendTurn::Granted } else { wait });
            }
            Step::Act(Action::Revoke(_, job)) => {
                known.revoked.insert(job.job_id.clone());
                known.read.remove(&job.job_id);
                if self.bit() {
                    known.job_failures.insert(job.job_id, self.failure());
                }
            }
            Step::Act(Action::CannotRevoke(job, why)) => _ = known.revoke_refused.insert(job.job_id, why),
            Step::RemoveFinalizer { .. } | Step::SetPaused => return false,
            Step::End(end) => {
                let shown = end.phase.as_ref().map(|phase| phase.why().message.as_str()).unwrap_or_default();
                assert!(shown.chars().count() <= 1024 && !shown.contains(char::is_control), "{shown:?}");
                return false;
            }
        }
        true
    }

    fn fetch(&mut self, query: Query, known: &mut Known) {
        match query {
            Query::Config(_) => {
                let ready = ReadyConfig { id: "4e129fc8".to_owned(), realm: realm_ids() };
                known.config = self.answer(|world| Some(config(Some(ready))).filter(|_| world.bit()));
            }
            Query::Identity(..) => {
                let status = if self.bit() { "active".to_owned() } else { self.text.clone() };
                let traits = json!({"primary_email_address": "jane@example.com"});
                let identity = json!({"id": "9ca7716e846cfa97", "status": status, "traits": traits});
                known.identity = self.answer(|_| serde_json::from_value(identity).ok());
            }
            Query::Jobs(..) => {
                let lists = match &known.jobs {
                    Fact::Known(list) => list.lists + 1,
                    Fact::Unknown | Fact::Failed(_) => 1,
                };
                known.jobs = self.answer(|world| JobList {
                    server_time: world.time(),
                    listed_at: world.time(),
                    lists,
                    ..listed(world.jobs.clone(), world.seconds)
                });
            }
            Query::Job(_, wanted) => {
                if self.bit() {
                    known.job_failures.insert(wanted.job_id, self.failure());
                } else {
                    let server_time = self.time();
                    let read = self.job().map(|item| ReadJob { item, server_time });
                    known.read.insert(wanted.job_id, read);
                }
            }
            Query::IsListed(_, wanted) => _ = known.listed.insert(wanted.job_id, self.answer(Self::bit)),
            Query::Recognize(_, ids) => {
                let recognized = self.answer(|world| Recognized { identity: world.bit(), config: world.bit() });
                known.recognized.insert(ids.identity_id, recognized);
            }
        }
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let job = mutated(vec![json!({
        "id": "job", "identity_id": "9ca7716e846cfa97", "authenticator_config_id": "4e129fc8", "delivery_method": "EMAIL",
        "state": "LINK_SENT", "create_time": "2026-01-01T12:00:02Z", "expire_time": "2026-01-08T12:00:02Z",
    })]);
    let job = (job, 0..4_u8).prop_filter_map("no job", |(job, number)| {
        let job: CredentialBindingJob = serde_json::from_value(job).ok()?;
        Some(CredentialBindingJob { id: if number == 0 { job.id } else { format!("job-{number}") }, ..job })
    });
    let seconds = prop_oneof![0..200_u64, any::<u64>().prop_map(|seconds| seconds >> 20)];
    (collection::vec(job, 0..5), collection::vec(any::<bool>(), 7..40), seconds, text())
        .prop_map(|(jobs, bits, seconds, text)| World { jobs, bits, seconds, text })
}

/// Any status that can be stored.
fn statuses() -> impl Strategy<Value = EnrollmentRequestStatus> {
    let in_doubt = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let again = EnrollmentRequestStatus { send: Some(send()), ..concluded() };
    let mut earlier = json!(concluded());
    earlier["previousJobs"] = json!([
        {"id": "job-1", "identityID": "9ca7716e846cfa97", "state": "LINK_SENT"},
        {"id": "job-2", "identityID": "9ca7716e846cfa97", "state": "REVOKED"},
    ]);
    let valid = [EnrollmentRequestStatus::default(), in_doubt, concluded(), again].map(|status| json!(status));
    mutated(valid.into_iter().chain([earlier]).collect())
        .prop_filter_map("no status", |status| serde_json::from_value(status).ok())
}

#[test]
fn request_plans_end() {
    let spec = (any::<[bool; 5]>(), 1..4_i64, option::of(text()));
    run("plans of requests", &(statuses(), worlds(), spec), |(status, mut world, spec)| {
        let ([deleting, revoked, orphan, fresh, may_call_service], attempt, action) = spec;
        let desired = desired().with(|it| {
            (it.revoked, it.attempt, it.lifecycle.orphan) = (revoked, attempt, orphan);
            it.lifecycle.deleted_at = deleting.then(now);
            it.annotation_actions = action.map(|job| actions("beyondidentity.dev/resend", &job)).unwrap_or_default();
        });
        let mut known = Known::default().with(|it| {
            it.status = status;
            it.object = fresh_object();
            (it.object.fresh, it.object.may_call_service) = (fresh, may_call_service);
        });
        let ends = (0..256).any(|_| {
            let step = next(&desired, &known);
            !world.execute(step, &mut known)
        });
        assert!(ends, "no end after 256 steps, but {:?} of {known:?}", next(&desired, &known));
    });
}
