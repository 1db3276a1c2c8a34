//! The next step for a request: ordered rules, a file for each, of which the first that has something to say
//! decides. Pure: the same facts give the same step, and conditions are none of them.

mod adopt;
mod doubt;
mod follow;
mod hold;
mod leave;
mod prepare;
mod revoke;
mod send;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use super::desired::Desired;
use super::observed::Observed;
use super::phase;
use super::step::{Question, Step};
use crate::api::phase::why;
use crate::api::{EnrollmentRequestStatus, Phase, ProviderConfigRef, Reason};
use crate::reconcile::home::{Away, at_home};
use crate::reconcile::{Outcome, RealmIds, Trouble, Wait};

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

/// Whether a link is out that should not be.
pub(super) fn has_to_revoke(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    let leaves = desired.deleting && !desired.orphan;
    let current = if leaves { revoke::current(status) } else { revoke::unwanted(desired, status) };
    revoke::earlier(status).next().is_some() || current.is_some()
}

/// Whether there is more to do than to look how the job gets on.
pub fn is_anything_owed(desired: &Desired, status: &EnrollmentRequestStatus) -> bool {
    desired.deleting || status.send.is_some() || is_send_owed(desired, status) || has_to_revoke(desired, status)
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
    undecodable(&facts)
        .or_else(|| send::rule(&facts))
        .or_else(|| doubt::rule(&facts))
        .or_else(|| leave::rule(&facts))
        .or_else(|| hold::rule(&facts))
        .or_else(|| follow::rule(&facts))
        .unwrap_or_else(|| prepare::rule(&facts))
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
    fn allowed(&self) -> Result<(), Step> {
        match &self.observed.not_allowed {
            None => Ok(()),
            Some(phase) => Err(self.troubled(&phase.clone().into())),
        }
    }

    /// `Ok` when `reference` leads to the realm `home`; otherwise what to do first, or instead.
    fn same_realm(&self, reference: &ProviderConfigRef, home: &RealmIds) -> Result<(), Step> {
        match at_home(&self.observed.realm, reference, Some(home), self.times.resync) {
            Ok(_) => Ok(()),
            Err(Away::Unknown) => Err(Step::Learn(Question::Realm(reference.clone()))),
            Err(Away::Trouble(trouble)) => Err(self.troubled(&trouble)),
            Err(Away::Wait(wait)) => Err(Step::Wait(wait)),
        }
    }
}
