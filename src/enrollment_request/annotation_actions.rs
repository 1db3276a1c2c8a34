//! Actions that an annotation requests. Each annotation names the job that it applies to, so it acts once: the next
//! job has another id, and no state is needed. Pure.

use std::collections::BTreeMap;

use super::job_state::is_outstanding;
use crate::api::{EnrollmentRequestStatus, RESEND, REVOKE};
use crate::beyond_identity::types::JobState;

/// The actions that the annotations of a request ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotationActions {
    resend: Option<String>,
    revoke: Option<String>,
}

impl AnnotationActions {
    /// Reads the actions from `annotations`.
    pub fn of(annotations: &BTreeMap<String, String>) -> Self {
        Self { resend: annotations.get(RESEND).cloned(), revoke: annotations.get(REVOKE).cloned() }
    }

    /// The job in `status` that another email must follow, if a resend is requested.
    pub fn resend_of<'a>(&self, status: &'a EnrollmentRequestStatus) -> Option<&'a str> {
        let (job_id, state) = (status.job_id.as_deref()?, status.state.as_deref()?);
        // A state contains no slash, but an id may.
        let (wanted_id, wanted_state) = self.resend.as_deref()?.rsplit_once('/')?;
        let dead = matches!(JobState::from(state), JobState::Expired | JobState::FailedToSend | JobState::Revoked);
        // The service may still show a job with an expired link as active.
        let expired = status.expired == Some(true) && wanted_state == JobState::Expired.as_str();
        let is_meant = (dead && wanted_state == state) || expired;
        (is_meant && wanted_id == job_id && status.attempt.is_some()).then_some(job_id)
    }

    /// Whether the annotation requests the revocation of the job in `status`.
    pub fn name_for_revocation(&self, status: &EnrollmentRequestStatus) -> bool {
        status.job_id.is_some() && self.revoke == status.job_id
    }

    /// Whether the annotation requests the revocation of an active link.
    pub fn revoke(&self, status: &EnrollmentRequestStatus) -> bool {
        self.name_for_revocation(status) && is_outstanding(status.state.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment_request::testing::concluded;

    /// The status of a request with the job `job` in this state.
    fn in_state(state: &str) -> EnrollmentRequestStatus {
        EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() }
    }

    fn actions(annotation: &str, value: &str) -> AnnotationActions {
        AnnotationActions::of(&BTreeMap::from([(annotation.to_owned(), value.to_owned())]))
    }

    #[test]
    fn resend_requires_the_current_job_in_a_final_unbound_state() {
        for state in ["EXPIRED", "FAILED_TO_SEND", "REVOKED"] {
            assert_eq!(actions(RESEND, &format!("job/{state}")).resend_of(&in_state(state)), Some("job"));
            assert_eq!(actions(RESEND, &format!("job/{state}")).resend_of(&in_state("LINK_SENT")), None, "too early");
            assert_eq!(
                actions(RESEND, &format!("earlier/{state}")).resend_of(&in_state(state)),
                None,
                "a repeated action"
            );
            assert_eq!(actions(REVOKE, &format!("job/{state}")).resend_of(&in_state(state)), None);
            let unconcluded = EnrollmentRequestStatus { attempt: None, ..in_state(state) };
            assert_eq!(actions(RESEND, &format!("job/{state}")).resend_of(&unconcluded), None);
        }
        for state in ["LINK_SENT", "LINK_OPENED", "REQUEST_DELIVERED", "COMPLETE", "SOMETHING_NEW", ""] {
            assert_eq!(actions(RESEND, &format!("job/{state}")).resend_of(&in_state(state)), None, "{state}");
        }
        for nonsense in ["", "/", "job", "job/", "/EXPIRED", "EXPIRED", "job/EXPIRED/", " job/EXPIRED", "job/expired"] {
            assert_eq!(actions(RESEND, nonsense).resend_of(&in_state("EXPIRED")), None, "{nonsense}");
        }
        assert_eq!(actions(RESEND, "/").resend_of(&EnrollmentRequestStatus::default()), None);
        let slashed = EnrollmentRequestStatus { job_id: Some("a/b".to_owned()), ..in_state("EXPIRED") };
        assert_eq!(actions(RESEND, "a/b/EXPIRED").resend_of(&slashed), Some("a/b"));
    }

    #[test]
    fn revoke_requires_the_current_outstanding_job() {
        for state in ["LINK_SENT", "LINK_OPENED", "REQUEST_DELIVERED", "SOMETHING_NEW"] {
            assert!(actions(REVOKE, "job").revoke(&in_state(state)), "{state}");
            assert!(!actions(REVOKE, "earlier").revoke(&in_state(state)), "{state}");
            assert!(!actions(RESEND, "job").revoke(&in_state(state)), "{state}");
        }
        for state in ["COMPLETE", "EXPIRED", "FAILED_TO_SEND", "REVOKED"] {
            assert!(!actions(REVOKE, "job").revoke(&in_state(state)), "{state}");
            assert!(actions(REVOKE, "job").name_for_revocation(&in_state(state)), "an inactive link can be named too");
        }
        assert!(!actions(REVOKE, "").name_for_revocation(&EnrollmentRequestStatus::default()));
        assert!(!AnnotationActions::default().name_for_revocation(&EnrollmentRequestStatus::default()));
    }
}
