//! The rules of a request, a file each, in the order in which the planner asks them (`reconcile/plan.rs`). Pure: the same
//! input gives the same step, and conditions are no part of it.

mod adopt;
mod doubt;
mod follow;
mod leave;
pub mod poll;
mod prepare;
mod recognize;
mod revoke;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::observed::Listed;
use super::phase;
use super::step::Query;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::reconcile::{self, Fact, PlanInput, RealmIds};
pub use revoke::to_revoke;

/// What the rules of a request take.
pub type Input<'a> = PlanInput<'a, EnrollmentRequest>;
/// One thing to do for a request.
pub type Step = reconcile::Step<EnrollmentRequest>;

/// How far the clocks of the service's machines may be apart.
pub(super) const SERVICE_CLOCK_MARGIN: Duration = Duration::from_secs(30);

/// Whether there is more to do than to poll the job.
pub fn is_pending(input: &Input<'_>) -> bool {
    input.is_deleting() || input.status.send.is_some() || is_send_pending(input) || !to_revoke(input).is_empty()
}

/// Whether an email has yet to be sent, or to be found needless. While the request is revoked, none is.
pub fn is_send_pending(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    let again = status.attempt < Some(desired.attempt) || desired.wishes.resend_of(status).is_some();
    status.attempt.is_none() || (again && !desired.revoked)
}

/// Whether an annotation asks for something, of which the generation tells nothing.
pub(super) fn asks_by_annotation(input: &Input<'_>) -> bool {
    let PlanInput { desired, status, .. } = input;
    desired.wishes.resend_of(status).is_some() || desired.wishes.revoke(status)
}

/// Looks for the job of a send in doubt.
pub(super) use doubt::{look as settle_doubt, rule as delay_deletion};
/// The next step of a deletion.
pub(super) use leave::rule as finalize;

/// The next step of a request that is not being deleted, of which nothing is in doubt.
pub(super) fn proceed(input: &Input<'_>) -> Step {
    match revoke::rule(input) {
        Ok(again) => follow::rule(input).unwrap_or_else(|| prepare::rule(input)).or_sooner(again),
        Err(step) => step,
    }
}

impl Input<'_> {
    /// The phase of a concluded attempt.
    fn settled_phase(&self) -> Phase {
        // A pending revocation that the service refuses is a condition beside it.
        phase::of_status(self.status, self.desired)
    }

    /// The realm that the status names.
    fn home(&self) -> Option<RealmIds> {
        let EnrollmentRequestStatus { tenant_id, realm_id, .. } = self.status;
        Some(RealmIds { tenant_id: tenant_id.clone()?, realm_id: realm_id.clone()? })
    }

    /// Waits, since the service lists a job and does not find it by its id. One of the two may come from another one.
    fn disagreeing(&self, job_id: &str) -> Step {
        self.blocked(
            Reason::InconsistentAnswers,
            format!(
                "the service lists credential binding job {job_id}, and does not find it by its id: nothing is done until its \
                 answers agree; if they never do, tell the vendor"
            ),
        )
    }

    /// The endpoint behind `reference`, where it is another one than the status has.
    fn moved(&self, reference: &ProviderConfigRef) -> Option<String> {
        let destination = &self.resolved(reference)?.destination;
        let known = self.status.endpoint.as_ref()?;
        (*known != destination.endpoint).then(|| destination.endpoint.clone())
    }

    /// A time that the service wrote, where it can be read.
    fn time(&self, text: Option<&str>) -> Option<Timestamp> {
        text?.parse().ok()
    }

    /// The identity's jobs, as they were listed in this look.
    fn jobs(&self, reference: &ProviderConfigRef, identity_id: &str) -> Result<&Listed, Step> {
        match &self.observed.jobs {
            Fact::Unknown => Err(Step::Fetch(Query::Jobs(reference.clone(), identity_id.to_owned()))),
            Fact::Failed(failure) => Err(self.failed(failure)),
            Fact::Known(listed) => Ok(listed),
        }
    }
}
