//! The next step for a request: ordered rules, a file for each, of which the first that has something to say
//! decides. Pure: the same facts give the same step, and conditions are none of them.

mod adopt;
mod doubt;
mod follow;
mod hold;
mod leave;
mod prepare;
mod recognize;
mod revoke;
mod send;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::desired::Desired;
use super::observed::{Listed, Observed};
use super::phase;
use super::step::{Question, Step};
use crate::api::phase::why;
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::reconcile::home::{Away, Home, at_home};
use crate::reconcile::{Destination, Fact, Outcome, RealmIds, Trouble, Wait};
pub use revoke::to_revoke;

/// The times that a plan goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long one call to the service may take.
    pub request_timeout: Duration,
    /// How long after a send in doubt a list may still miss its job.
    pub settle: Duration,
    /// How soon an outstanding job is looked at again at the earliest.
    pub job_poll_min: Duration,
    /// How late at the latest.
    pub job_poll_max: Duration,
    /// When what only a person can mend is tried again.
    pub resync: Duration,
    /// How long what could come right by itself is in progress, before it is stalled.
    pub grace: Duration,
}

/// How far the clocks of the service's machines may be apart.
pub(super) const SERVICE_CLOCK_MARGIN: Duration = Duration::from_secs(30);

/// Whether there is more to do than to look how the job gets on.
pub fn is_anything_owed(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    desired.deleting || status.send.is_some() || is_send_owed(desired, status) || !to_revoke(desired, status).is_empty()
}

/// Whether an email has yet to be sent, or to be found needless. While the request is revoked, none is.
pub(super) fn is_send_owed(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    let again = status.attempt < Some(desired.attempt) || desired.wishes.resend_of(status).is_some();
    status.attempt.is_none() || (again && !desired.revoked)
}

/// What the rules decide by.
struct Facts<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    times: &'a Times,
    now: Timestamp,
}

/// The next step.
pub fn plan(desired: &Desired, observed: &Observed, times: &Times, now: Timestamp) -> Step {
    let facts = Facts { desired, observed, times, now };
    if let Some(step) = undecodable(&facts).or_else(|| send::rule(&facts)) {
        return step;
    }
    let step =
        doubt::rule(&facts).or_else(|| leave::rule(&facts)).or_else(|| hold::rule(&facts)).unwrap_or_else(|| {
            match revoke::rule(&facts) {
                Ok(again) => follow::rule(&facts).unwrap_or_else(|| prepare::rule(&facts)).or_sooner(again),
                Err(step) => step,
            }
        });
    facts.unless_unwritable(step)
}

/// By a spec that this version cannot decode, nothing is done: no email is sent or looked for, and no link revoked. What
/// came of a send just now is written down first. A deletion goes on by the status.
fn undecodable(facts: &Facts<'_>) -> Option<Step> {
    let Facts { desired, observed, .. } = facts;
    let told = observed.sent.as_ref().is_some_and(|sent| !matches!(sent.outcome, Outcome::InDoubt));
    let why = desired.undecodable.as_ref().filter(|_| !(desired.deleting || observed.ticket || told))?;
    Some(Step::Wait(Wait::undecodable(why)))
}

impl Facts<'_> {
    /// Whether an email is owed.
    fn is_owed(&self) -> bool {
        is_send_owed(self.desired, &self.observed.status)
    }

    /// Waits, saying what went wrong.
    fn troubled(&self, trouble: &Trouble) -> Step {
        Step::Wait(Wait::troubled(trouble, self.times.resync, self.is_overdue(), self.is_seen()))
    }

    /// Waits, saying what is in the way, until something changes; looks again after a while all the same.
    fn blocked(&self, reason: Reason, what: impl AsRef<str>) -> Step {
        self.troubled(&Phase::Blocked(why(reason, what)).into())
    }

    /// Whether something was said of all that is asked for now: of this version of the spec, and of its annotations, of
    /// which the generation tells nothing.
    fn is_seen(&self) -> bool {
        let (status, wishes) = (&self.observed.status, &self.desired.wishes);
        let wished = wishes.resend_of(status).is_some() || wishes.revoke(status);
        status.observed_generation == Some(self.desired.generation) && !wished
    }

    /// Whether what could have come right by itself has not done so within the grace period.
    fn is_overdue(&self) -> bool {
        self.observed.patience.is_zero()
    }

    /// What is said of a concluded attempt.
    fn settled_phase(&self) -> Phase {
        // An owed revocation that the service refuses is said beside it.
        phase::of_status(&self.observed.status, self.desired)
    }

    /// The realm that the status names.
    fn home(&self) -> Option<RealmIds> {
        let EnrollmentRequestStatus { tenant_id, realm_id, .. } = &self.observed.status;
        Some(RealmIds { tenant_id: tenant_id.clone()?, realm_id: realm_id.clone()? })
    }

    /// Nothing new is sent for a namespace that the provider config does not allow. What was sent is followed and
    /// revoked all the same.
    fn allowed(&self, reference: &ProviderConfigRef) -> Result<(), Step> {
        match self.observed.not_allowed.get(reference) {
            None => Ok(()),
            Some(phase) => Err(self.troubled(&phase.clone().into())),
        }
    }

    /// `Ok` when `reference` leads to the realm and the endpoint that are given, as far as they are; otherwise what to do
    /// first, or instead.
    fn same_realm(
        &self,
        reference: &ProviderConfigRef,
        realm: Option<&RealmIds>,
        endpoint: Option<&str>,
    ) -> Result<&Destination, Step> {
        let found = self.observed.destinations.get(reference).unwrap_or(&Fact::Unknown);
        at_home(found, reference, Home { realm, endpoint }, self.times.resync).map_err(|away| match away {
            Away::Unknown => Step::Learn(Question::Realm(reference.clone())),
            Away::Trouble(trouble) => self.troubled(&trouble),
            Away::Wait(wait) => Step::Wait(wait),
        })
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
        let Some(Fact::Known(destination)) = self.observed.destinations.get(reference) else { return None };
        let known = self.observed.status.endpoint.as_ref()?;
        (*known != destination.endpoint).then(|| destination.endpoint.clone())
    }

    /// What cannot be written down is not tried to be: it would be again at each look. A deletion goes on without it.
    fn unless_unwritable(&self, step: Step) -> Step {
        match (&self.observed.unwritable, step) {
            (Some(unwritable), Step::Record(_) | Step::Withdraw { .. }) if !self.desired.deleting => {
                Step::Wait(Wait::unwritable(unwritable))
            }
            (_, step) => step,
        }
    }

    /// A time that the service wrote, where it can be read.
    fn time(&self, text: Option<&str>) -> Option<Timestamp> {
        text?.parse().ok()
    }

    /// The identity's jobs, as they were listed in this look.
    fn jobs(&self, reference: &ProviderConfigRef, identity_id: &str) -> Result<&Listed, Step> {
        match &self.observed.jobs {
            Fact::Unknown => Err(Step::Learn(Question::Jobs(reference.clone(), identity_id.to_owned()))),
            Fact::Failed(trouble) => Err(self.troubled(trouble)),
            Fact::Known(listed) => Ok(listed),
        }
    }
}
