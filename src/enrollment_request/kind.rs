//! The request as a kind: its types and rules, for the shared planner and the shared reconcile loop. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::change::Change;
use super::desired::Desired;
use super::observed::{Observed, Published, ReadJob};
use super::plan::input::{Input, Step};
use super::plan::{self, doubt, finalize, pending};
use super::revocations::Revocations;
use super::shared::Shared;
use super::step::{Action, Query};
use crate::api::enrollment_request::SendRecord;
use crate::api::phase::{Why, why};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, Phase, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::reconcile::write_ahead::{Record, seconds};
use crate::reconcile::{Kind, KindName, Lifecycle, ObjectState, Options, RealmIds, Rules, Sent, View, WritesAhead};

impl Kind for EnrollmentRequest {
    const NAME: KindName = KindName::EnrollmentRequest;

    type Desired = Desired;
    type Observed = Observed;
    type Query = Query;
    type Change = Change;
    type Action = Action;
    type Created = CredentialBindingJob;
    type Shared = Shared;
    type Published = Published;
    type LocalState = RequestState;

    fn desired(&self, options: &Options) -> Desired {
        Desired::of(self, options)
    }

    fn lifecycle(desired: &Desired) -> &Lifecycle {
        &desired.lifecycle
    }

    fn remote_id(status: &EnrollmentRequestStatus) -> Option<&str> {
        status.job_id.as_deref()
    }

    fn recorded_realm(status: &EnrollmentRequestStatus) -> Option<RealmIds> {
        let EnrollmentRequestStatus { tenant_id, realm_id, .. } = status;
        Some(RealmIds { tenant_id: tenant_id.clone()?, realm_id: realm_id.clone()? })
    }

    fn has_state(RequestState { revocations, read_before }: &RequestState) -> bool {
        !revocations.is_empty() || !read_before.is_empty()
    }

    fn retry_now(state: &mut RequestState) {
        state.revocations.retry_now();
    }
}

impl Rules for EnrollmentRequest {
    const IN_DOUBT: (Reason, &'static str) = doubt::IN_DOUBT;

    fn object_state(observed: &Observed) -> &ObjectState<Self> {
        &observed.object
    }

    fn observe(before: Observed, view: View<'_, Self>) -> Observed {
        Observed::from(before, view)
    }

    fn reset_fetched(before: Observed) -> Observed {
        // These jobs do not depend on the desired state.
        Observed { read_before: before.read_before, ..Observed::default() }
    }

    fn is_pending(input: &Input<'_>) -> bool {
        pending::is_pending(input)
    }

    fn is_send_pending(input: &Input<'_>) -> bool {
        pending::is_send_pending(input)
    }

    fn is_removing(input: &Input<'_>) -> bool {
        input.is_deleting() || !plan::to_revoke(input).is_empty()
    }

    fn has_annotation_request(input: &Input<'_>) -> bool {
        pending::asks_by_annotation(input)
    }

    fn revoke_refused(input: &Input<'_>) -> Option<Why> {
        let to_revoke = plan::to_revoke(input);
        let is_over = |id: &str| to_revoke.iter().any(|job| job.job_id == id && job.expired);
        let refused = input.observed.revoke_refused.iter().filter(|(id, _)| !is_over(id));
        let message = refused.map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("; ");
        (!message.is_empty()).then(|| why(Reason::RevokeRefused, message))
    }

    fn conclude(sent: &Sent<Self>, created: &CredentialBindingJob) -> Change {
        let (send_id, job) = (sent.record.id.clone(), Box::new(created.clone()));
        Change::Conclude { send_id, job, answered: true, others: Vec::new() }
    }

    fn resolve_doubt(input: &Input<'_>, record: &SendRecord) -> Result<Step, Step> {
        doubt::resolve(input, record)
    }

    fn delay_deletion(input: &Input<'_>, step: Step) -> Step {
        finalize::delayed_by_doubt(input, step)
    }

    fn finalize(input: &Input<'_>) -> Step {
        finalize::rule(input)
    }

    fn proceed(input: &Input<'_>) -> Step {
        plan::proceed(input)
    }

    fn apply(&mut self, change: &Change) -> bool {
        change.apply(self.status.get_or_insert_default())
    }

    fn phase_after(input: &Input<'_>, change: &Change) -> Option<Phase> {
        change.phase(input)
    }
}

impl WritesAhead for EnrollmentRequest {
    type Record = SendRecord;

    fn record(status: &EnrollmentRequestStatus) -> Option<&SendRecord> {
        status.send.as_ref()
    }

    fn set_record(status: &mut EnrollmentRequestStatus, record: Option<SendRecord>) {
        status.send = record;
    }
}

impl Record for SendRecord {
    fn id(&self) -> &str {
        &self.id
    }

    fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds)
    }
}

/// The local state of one request between two reconciles, in addition to the local state of every object.
#[derive(Clone, Debug, Default)]
pub struct RequestState {
    /// The revocations of its jobs.
    pub revocations: Revocations,
    /// The jobs that were read by id before an attempt was concluded, and that could not be adopted.
    pub read_before: BTreeMap<String, ReadJob>,
}
