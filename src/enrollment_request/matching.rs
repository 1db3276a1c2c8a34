//! Matching of jobs to sends. Pure.

use jiff::Timestamp;

use super::enrollment_key::EnrollmentKey;
use super::job_state;
use super::observed::JobList;
use crate::api::EnrollmentRequestStatus;
use crate::api::enrollment_request::SendRecord;
use crate::beyond_identity::types::{CredentialBindingJob, DeliveryMethod, JobState};

/// Whether `job` matches the identity, configuration and delivery method of `send`. A field that the response omits
/// is not a mismatch.
fn asked_for(job: &CredentialBindingJob, send: &SendRecord) -> bool {
    agrees(&job.identity_id, &send.identity_id)
        && agrees(&job.authenticator_config_id, &send.authenticator_config_id)
        && delivered_by(job, send.delivery_method.as_str())
}

fn agrees(value: &Option<String>, wanted: &str) -> bool {
    value.as_deref().is_none_or(|value| value == wanted)
}

/// Whether `job` may have this delivery method. A method that this version does not know may be another spelling of
/// it.
fn delivered_by(job: &CredentialBindingJob, delivery_method: &str) -> bool {
    match &job.delivery_method {
        None | Some(DeliveryMethod::Other(_)) => true,
        Some(known) => known.as_str() == delivery_method,
    }
}

/// Whether `job` was created at `not_before` or later. A job without a readable create time may have been.
fn recent(job: &CredentialBindingJob, not_before: &str) -> bool {
    match (created(job), not_before.parse::<Timestamp>()) {
        (Some(created), Ok(not_before)) => created >= not_before,
        _ => true,
    }
}

/// The listed jobs that existed before `send`, but that it could take for its own. The record must name them.
pub fn existing<'a>(
    jobs: &'a [CredentialBindingJob],
    send: &'a SendRecord,
) -> impl Iterator<Item = &'a CredentialBindingJob> {
    jobs.iter().filter(|job| asked_for(job, send) && recent(job, &send.not_before))
}

/// Whether a job existed before the call of `send`, by its record or by the status.
pub fn is_known(job_id: &str, send: &SendRecord, status: &EnrollmentRequestStatus) -> bool {
    send.existing_job_ids.iter().any(|id| id == job_id)
        || status.job_id.as_deref() == Some(job_id)
        || status.previous_jobs.iter().any(|previous| previous.id == job_id)
}

/// The listed jobs that the call of `send` may have created, oldest first. Excluded are the jobs that its record
/// names, the jobs of earlier attempts in status, and the jobs of other requests.
pub fn created_by<'a>(
    listed: &'a JobList,
    send: &SendRecord,
    status: &EnrollmentRequestStatus,
) -> Vec<&'a CredentialBindingJob> {
    let known = |id: &String| is_known(id, send, status) || listed.named_elsewhere.contains(id);
    let ours = |job: &&CredentialBindingJob| asked_for(job, send) && recent(job, &send.not_before) && !known(&job.id);
    let mut made: Vec<_> = listed.jobs.iter().filter(ours).collect();
    // A job without a create time is not known to be older than a job that has one.
    made.sort_by_key(|job| (created(job).unwrap_or(Timestamp::MAX), job.id.clone()));
    made
}

/// The listed jobs that a request may adopt without a send: the identity of `key` already has a link or a passkey
/// through them. Newest first; jobs without a create time are last.
pub fn adoptable<'a>(
    listed: &'a JobList,
    key: &EnrollmentKey,
    delivery_method: &str,
) -> impl Iterator<Item = &'a CredentialBindingJob> {
    let fits = |job: &&CredentialBindingJob| is_adoptable(job, key, delivery_method, listed.server_time);
    let free = |job: &&CredentialBindingJob| !listed.named_elsewhere.contains(&job.id);
    let mut jobs: Vec<_> = listed.jobs.iter().filter(fits).filter(free).collect();
    jobs.sort_by_key(|job| (created(job), job.id.clone()));
    jobs.into_iter().rev()
}

/// Whether the identity of `key` has a working link or a passkey through this job. The service returned the job at
/// `server_time`, by its own clock.
pub fn is_adoptable(
    job: &CredentialBindingJob,
    key: &EnrollmentKey,
    delivery_method: &str,
    server_time: Option<Timestamp>,
) -> bool {
    let state = job.state.as_ref().map(JobState::as_str);
    agrees(&job.identity_id, &key.identity_id)
        && agrees(&job.authenticator_config_id, &key.authenticator_config_id)
        && delivered_by(job, delivery_method)
        && (job_state::is_complete(state)
            || (job_state::is_outstanding(state) && !job_state::is_expired(job, server_time)))
}

/// When the service created `job`, if that is known.
pub fn created(job: &CredentialBindingJob) -> Option<Timestamp> {
    job.create_time.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::enrollment_request::testing::{job, send};

    fn ids<'a>(jobs: impl IntoIterator<Item = &'a CredentialBindingJob>) -> Vec<&'a str> {
        jobs.into_iter().map(|job| job.id.as_str()).collect()
    }

    /// The ids of the jobs that `send` may have created.
    fn matching_ids(jobs: &[CredentialBindingJob], send: &SendRecord) -> Vec<String> {
        let listed = JobList {
            jobs: jobs.to_vec(),
            named_elsewhere: [].into(),
            ages: [].into(),
            server_time: None,
            listed_at: None,
            age: Duration::ZERO,
            lists: 1,
        };
        ids(created_by(&listed, send, &EnrollmentRequestStatus::default())).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn matching_job_has_same_identity_config_and_delivery_method() {
        let mut others = [job("a"), job("b"), job("c")];
        others[0].identity_id = Some("another-identity".to_owned());
        others[1].authenticator_config_id = Some("another".to_owned());
        others[2].delivery_method = Some(DeliveryMethod::Return);
        assert_eq!(matching_ids(&others, &send()), Vec::<String>::new());
    }

    #[test]
    fn absent_fields_do_not_exclude_a_job() {
        let bare = CredentialBindingJob { id: "bare".to_owned(), ..CredentialBindingJob::default() };
        assert_eq!(matching_ids(std::slice::from_ref(&bare), &send()), ["bare"]);
        assert_eq!(ids(existing(&[bare], &send())), ["bare"], "so an earlier one must be recorded as existing");
    }

    #[test]
    fn unknown_delivery_method_does_not_exclude_a_job() {
        let SendRecord { tenant_id, realm_id, identity_id, authenticator_config_id, .. } = send();
        let key = EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id };
        let delivered = |method: Option<&str>| {
            let job = CredentialBindingJob { delivery_method: method.map(DeliveryMethod::from), ..job("job") };
            (!matching_ids(std::slice::from_ref(&job), &send()).is_empty(), is_adoptable(&job, &key, "EMAIL", None))
        };
        for method in [None, Some("EMAIL"), Some("email"), Some("DELIVERY_METHOD_EMAIL")] {
            assert_eq!(delivered(method), (true, true), "{method:?}");
        }
        assert_eq!(delivered(Some("RETURN")), (false, false));
    }

    #[test]
    fn job_from_before_the_send_does_not_match() {
        let (mut early, mut named) = (job("early"), job("named"));
        early.create_time = Some("2026-01-01T11:59:29Z".to_owned());
        named.create_time = None;
        let send = SendRecord { existing_job_ids: vec!["named".to_owned()], ..send() };
        assert_eq!(matching_ids(&[early, named], &send), Vec::<String>::new());
    }

    #[test]
    fn matching_jobs_are_sorted_oldest_first_and_undated_last() {
        let (mut a, mut b, mut c) = (job("a"), job("b"), job("c"));
        a.create_time = None;
        b.create_time = Some("2026-01-01T12:00:02Z".to_owned());
        c.create_time = Some("2026-01-01T12:00:01.5Z".to_owned());
        assert_eq!(matching_ids(&[a, b, c], &send()), ["c", "b", "a"]);
    }
}
