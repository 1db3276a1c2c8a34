//! Adopt, or skip: before its first send, a request checks whether a send is necessary. So a rebuilt cluster or a
//! lost status does not email an identity that has a link or a passkey.

use std::time::Duration;

use super::input::{Input, Step};
use crate::api::enrollment_request::Skipped;
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigKind, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{EnrollmentStatus, Identity};
use crate::enrollment_request::change::{Change, NoSendBecause};
use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::enrollment_request::matching;
use crate::enrollment_request::observed::{JobList, ReadJob};
use crate::enrollment_request::step::{JobRef, Query};
use crate::reconcile::{Destination, End, Fact, Requeue};

/// The maximum number of jobs that are read by id in one reconcile.
const READS: usize = 16;
/// The delay until the next reconcile continues with these reads.
const NEXT_READS: Duration = Duration::from_secs(1);

/// The step that settles the attempt without a send; `None` when a send is pending.
pub(super) fn instead_of_sending(
    input: &Input<'_>,
    way: (&ProviderConfigRef, &Destination),
    key: &EnrollmentKey,
    identity: &Identity,
    listed: &JobList,
) -> Option<Step> {
    let observed = input.observed;
    if input.status.attempt.is_some() {
        return None;
    }
    let delivery_method = input.desired.delivery_method.as_str();
    for job in matching::adoptable(listed, key, delivery_method) {
        // Lists lag, so only the current state of the job counts. A job that could not be adopted can never be
        // adopted later.
        if observed.read_before.contains_key(&job.id) {
            continue;
        }
        match observed.read.get(&job.id) {
            Some(Some(read)) if is_adoptable(read, listed, key, delivery_method) => {
                let through_observe = is_of_others(input, way.0);
                return Some(settle(
                    input,
                    way,
                    key,
                    NoSendBecause::Adopted { read: Box::new(read.clone()), through_observe },
                ));
            }
            Some(Some(_)) => {}
            // Whichever of the two answers is wrong, a sent email cannot be recalled.
            Some(None) => return Some(input.disagreeing(&job.id)),
            None => return Some(read(input, way.0, key, &job.id)),
        }
    }
    if input.desired.revoked {
        Some(settle(input, way, key, NoSendBecause::Skipped(Skipped::Revoked)))
    } else if identity.enrollment_status == Some(EnrollmentStatus::Enrolled) {
        Some(settle(input, way, key, NoSendBecause::Skipped(Skipped::AlreadyEnrolled)))
    } else {
        None
    }
}

/// Reads a job, or continues in the next reconcile. So an identity with thousands of jobs neither delays others nor
/// makes a reconcile endless.
fn read(input: &Input<'_>, reference: &ProviderConfigRef, key: &EnrollmentKey, job_id: &str) -> Step {
    if let Some(failure) = input.observed.job_failures.get(job_id) {
        return input.failed(failure);
    }
    if input.observed.read.len() >= READS {
        let message = "Reading the identity's existing credential binding jobs to find one whose link is still active";
        return Step::End(End::with_phase(
            Phase::Progressing(why(Reason::Sending, message)),
            Requeue::After(NEXT_READS),
        ));
    }
    Step::Fetch(Query::Job(reference.clone(), JobRef::new(&key.identity_id, job_id)))
}

/// Whether the links of the configuration may be those of another team: it is only observed, in a realm that namespaces
/// share. A namespaced provider config is of one team.
fn is_of_others(input: &Input<'_>, reference: &ProviderConfigRef) -> bool {
    let observes = matches!(&input.observed.config, Fact::Known(Some(config)) if config.observes);
    observes && reference.kind == ProviderConfigKind::ClusterProviderConfig
}

fn is_adoptable(read: &ReadJob, listed: &JobList, key: &EnrollmentKey, delivery_method: &str) -> bool {
    matching::is_adoptable(&read.item, key, delivery_method, read.server_time.or(listed.server_time))
}

fn settle(
    input: &Input<'_>,
    (reference, destination): (&ProviderConfigRef, &Destination),
    key: &EnrollmentKey,
    by: NoSendBecause,
) -> Step {
    Step::Record(Change::ConcludeWithoutSend {
        attempt: input.desired.attempt,
        provider_config_ref: reference.clone(),
        endpoint: destination.endpoint.clone(),
        key: key.clone(),
        by,
    })
}
