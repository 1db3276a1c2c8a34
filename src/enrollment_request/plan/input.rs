//! The input of a request's rules, and the steps that the rules share. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{EnrollmentRequest, ProviderConfigRef, Reason};
use crate::enrollment_request::observed::JobList;
use crate::enrollment_request::step::Query;
use crate::reconcile::{self, Fact, PlanInput};

/// The input of a request's rules.
pub type Input<'a> = PlanInput<'a, EnrollmentRequest>;
/// One step of a request.
pub type Step = reconcile::Step<EnrollmentRequest>;

/// The maximum expected difference between the clocks of the service's machines.
pub const SERVICE_CLOCK_MARGIN: Duration = Duration::from_secs(30);

impl Input<'_> {
    /// Waits, because the service lists a job but does not find it by its id. One of the two answers may come from
    /// another service.
    pub(super) fn disagreeing(&self, job_id: &str) -> Step {
        self.blocked(
            Reason::InconsistentAnswers,
            format!(
                "The service lists credential binding job {job_id} but does not find it by its id, so nothing is \
                 done until its answers agree; if they never do, report it to the vendor"
            ),
        )
    }

    /// The endpoint behind `reference`, if it differs from the endpoint in status.
    pub(super) fn moved(&self, reference: &ProviderConfigRef) -> Option<String> {
        let destination = &self.resolved(reference)?.destination;
        let known = self.status.endpoint.as_ref()?;
        (*known != destination.endpoint).then(|| destination.endpoint.clone())
    }

    /// A time from the service, if it can be parsed.
    pub(super) fn time(&self, text: Option<&str>) -> Option<Timestamp> {
        text?.parse().ok()
    }

    /// The identity's jobs, as listed in this reconcile.
    pub(super) fn jobs(&self, reference: &ProviderConfigRef, identity_id: &str) -> Result<&JobList, Step> {
        match &self.observed.jobs {
            Fact::Unknown => Err(Step::Fetch(Query::Jobs(reference.clone(), identity_id.to_owned()))),
            Fact::Failed(failure) => Err(self.failed(failure)),
            Fact::Known(listed) => Ok(listed),
        }
    }
}
