//! Adopt, or skip: a request for which nothing was ever sent looks first whether anything has to be. So a cluster
//! that was rebuilt, or a status that was lost, mails nobody who has a link or a passkey.

use super::Facts;
use crate::api::ProviderConfigRef;
use crate::api::enrollment_request::Skipped;
use crate::beyond_identity::types::{EnrollmentStatus, Identity};
use crate::enrollment_request::change::{Change, SettledBy};
use crate::enrollment_request::matching;
use crate::enrollment_request::observed::{Listed, Person};
use crate::enrollment_request::step::{JobRef, Question, Step};

/// What settles the attempt without a send; `None` when a send is owed.
pub(super) fn instead_of_sending(
    facts: &Facts<'_>,
    reference: &ProviderConfigRef,
    person: &Person,
    identity: &Identity,
    listed: &Listed,
) -> Option<Step> {
    let observed = facts.observed;
    if observed.status.attempt.is_some() {
        return None;
    }
    let delivery_method = facts.desired.delivery_method.as_str();
    for job in matching::adoptable(listed, person, delivery_method) {
        // A list lags: what counts is what the job is now.
        match observed.read.get(&job.id) {
            Some(Some(read)) if matching::is_adoptable(read, person, delivery_method) => {
                return Some(settle(facts, reference, person, SettledBy::Adopted(Box::new(read.clone()))));
            }
            Some(_) => {}
            None => {
                if let Some(trouble) = &observed.job_trouble {
                    return Some(facts.troubled(trouble));
                }
                let identity_id = person.identity_id.clone();
                return Some(Step::Learn(Question::Job(JobRef { identity_id, job_id: job.id.clone() })));
            }
        }
    }
    if facts.desired.revoked {
        Some(settle(facts, reference, person, SettledBy::Skipped(Skipped::Revoked)))
    } else if identity.enrollment_status == Some(EnrollmentStatus::Enrolled) {
        Some(settle(facts, reference, person, SettledBy::Skipped(Skipped::AlreadyEnrolled)))
    } else {
        None
    }
}

fn settle(facts: &Facts<'_>, reference: &ProviderConfigRef, person: &Person, by: SettledBy) -> Step {
    Step::Record(Change::Settle {
        attempt: facts.desired.attempt,
        provider_config_ref: reference.clone(),
        person: person.clone(),
        by,
    })
}
