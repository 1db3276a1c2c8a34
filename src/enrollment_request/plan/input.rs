//! What the rules of a request take, and what they say most. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{EnrollmentRequest, ProviderConfigRef, Reason};
use crate::enrollment_request::observed::Listed;
use crate::enrollment_request::step::Query;
use crate::reconcile::{self, Fact, PlanInput};

/// What the rules of a request take.
pub type Input<'a> = PlanInput<'a, EnrollmentRequest>;
/// One thing to do for a request.
pub type Step = reconcile::Step<EnrollmentRequest>;

/// How far the clocks of the service's machines may be apart.
pub const SERVICE_CLOCK_MARGIN: Duration = Duration::from_secs(30);

impl Input<'_> {
    /// Waits, since the service lists a job and does not find it by its id. One of the two may come from another one.
    pub(super) fn disagreeing(&self, job_id: &str) -> Step {
        self.blocked(
            Reason::InconsistentAnswers,
            format!(
                "The service lists credential binding job {job_id} but does not find it by its id, so nothing is \
                 done until its answers agree; if they never do, report it to the vendor"
            ),
        )
    }

    /// The endpoint behind `reference`, where it is another one than the status has.
    pub(super) fn moved(&self, reference: &ProviderConfigRef) -> Option<String> {
        let destination = &self.resolved(reference)?.destination;
        let known = self.status.endpoint.as_ref()?;
        (*known != destination.endpoint).then(|| destination.endpoint.clone())
    }

    /// A time that the service wrote, where it can be read.
    pub(super) fn time(&self, text: Option<&str>) -> Option<Timestamp> {
        text?.parse().ok()
    }

    /// The identity's jobs, as they were listed in this look.
    pub(super) fn jobs(&self, reference: &ProviderConfigRef, identity_id: &str) -> Result<&Listed, Step> {
        match &self.observed.jobs {
            Fact::Unknown => Err(Step::Fetch(Query::Jobs(reference.clone(), identity_id.to_owned()))),
            Fact::Failed(failure) => Err(self.failed(failure)),
            Fact::Known(listed) => Ok(listed),
        }
    }
}
