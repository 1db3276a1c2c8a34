//! Adopt, or skip: a request for which nothing was ever sent looks first whether anything has to be. So a cluster
//! that was rebuilt, or a status that was lost, mails nobody who has a link or a passkey.

use std::time::Duration;

use super::input::{Input, Step};
use crate::api::enrollment_request::Skipped;
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{EnrollmentStatus, Identity};
use crate::enrollment_request::change::{Change, SettledBy};
use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::enrollment_request::matching;
use crate::enrollment_request::observed::{Listed, ReadJob};
use crate::enrollment_request::step::{JobRef, Query};
use crate::reconcile::{Destination, Until, Wait};

/// How many jobs are read by their ids in one look.
const READS: usize = 16;
/// How soon the next look goes on with that.
const NEXT_READS: Duration = Duration::from_secs(1);

/// What settles the attempt without a send; `None` when a send is owed.
pub(super) fn instead_of_sending(
    input: &Input<'_>,
    way: (&ProviderConfigRef, &Destination),
    key: &EnrollmentKey,
    identity: &Identity,
    listed: &Listed,
) -> Option<Step> {
    let observed = input.observed;
    if input.status.attempt.is_some() {
        return None;
    }
    let delivery_method = input.desired.delivery_method.as_str();
    for job in matching::adoptable(listed, key, delivery_method) {
        // A list lags: what counts is what the job is now. One that could not be adopted never can be later.
        if observed.read_before.contains_key(&job.id) {
            continue;
        }
        match observed.read.get(&job.id) {
            Some(Some(read)) if is_adoptable(read, listed, key, delivery_method) => {
                return Some(settle(input, way, key, SettledBy::Adopted(Box::new(read.clone()))));
            }
            Some(Some(_)) => {}
            // Whatever is wrong with one of the two answers, an email cannot be called back.
            Some(None) => return Some(input.disagreeing(&job.id)),
            None => return Some(read(input, way.0, key, &job.id)),
        }
    }
    if input.desired.revoked {
        Some(settle(input, way, key, SettledBy::Skipped(Skipped::Revoked)))
    } else if identity.enrollment_status == Some(EnrollmentStatus::Enrolled) {
        Some(settle(input, way, key, SettledBy::Skipped(Skipped::AlreadyEnrolled)))
    } else {
        None
    }
}

/// Reads a job, or goes on with that in the next look, so that an identity with thousands of jobs neither holds up others
/// nor makes a look endless.
fn read(input: &Input<'_>, reference: &ProviderConfigRef, key: &EnrollmentKey, job_id: &str) -> Step {
    if let Some(failure) = input.observed.job_failures.get(job_id) {
        return input.failed(failure);
    }
    if input.observed.read.len() >= READS {
        let message = "Reading the identity's existing credential binding jobs to find one whose link is still valid";
        return Step::Wait(Wait::saying(Phase::AtWork(why(Reason::Sending, message)), Until::After(NEXT_READS)));
    }
    let job =
        JobRef { identity_id: key.identity_id.clone(), job_id: job_id.to_owned(), endpoint: None, expired: false };
    Step::Fetch(Query::Job(reference.clone(), job))
}

fn is_adoptable(read: &ReadJob, listed: &Listed, key: &EnrollmentKey, delivery_method: &str) -> bool {
    matching::is_adoptable(&read.item, key, delivery_method, read.server_time.or(listed.server_time))
}

fn settle(
    input: &Input<'_>,
    (reference, destination): (&ProviderConfigRef, &Destination),
    key: &EnrollmentKey,
    by: SettledBy,
) -> Step {
    Step::Record(Change::Settle {
        attempt: input.desired.attempt,
        provider_config_ref: reference.clone(),
        endpoint: destination.endpoint.clone(),
        key: key.clone(),
        by,
    })
}
