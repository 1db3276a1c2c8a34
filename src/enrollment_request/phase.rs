//! Maps the state of a request's job to a phase, which determines the conditions. Pure.

use super::desired::Desired;
use super::job_state::is_outstanding;
use super::plan::input::Input;
use crate::api::REVOKE;
use crate::api::enrollment_request::Skipped;
use crate::api::phase::{Why, why};
use crate::api::{EnrollmentRequestStatus, Phase, Reason};
use crate::beyond_identity::types::JobState;
use crate::reconcile::PlanInput;

/// The remedy that sends another email.
const AGAIN: &str = "raise spec.attempt to send another email";

/// The phase of a request with a concluded attempt. Pending work takes precedence.
pub fn of_request(input: &Input<'_>) -> Phase {
    let PlanInput { desired, status, .. } = input;
    let Desired { attempt, revoked, annotation_actions, .. } = desired;
    let is_out = status.job_id.is_some() && is_outstanding(status.state.as_deref());
    if is_out && desired.wants_revocation(status) {
        Phase::Progressing(why(Reason::Revoking, "The link is being revoked"))
    } else if *revoked {
        of_status(input)
    } else if status.attempt < Some(*attempt) {
        Phase::Progressing(why(Reason::Sending, format!("Attempt {attempt} is about to be sent")))
    } else if let Some(job) = annotation_actions.resend_of(status) {
        Phase::Progressing(why(
            Reason::Sending,
            format!("Another email is about to be sent after the one of credential binding job {job}"),
        ))
    } else {
        of_status(input)
    }
}

/// The phase of a request whose attempt is concluded as `status` records.
pub fn of_status(input: &Input<'_>) -> Phase {
    let PlanInput { desired, status, .. } = input;
    let revoked = desired.revoked;
    match status.skipped {
        Some(Skipped::AlreadyEnrolled) => {
            return Phase::Complete(why(
                Reason::AlreadyEnrolled,
                format!("The identity already had a passkey, so nothing was sent; {AGAIN} for another device"),
            ));
        }
        Some(Skipped::Revoked) => return revoked_phase(true, "Nothing was sent because spec.revoked was true"),
        None => {}
    }
    let state = status.state.as_deref().map(JobState::from);
    match state {
        Some(JobState::Complete) => Phase::Complete(match status.adopted {
            Some(true) => why(
                Reason::Adopted,
                format!(
                    "The user has bound a passkey through a job that existed before this request; {AGAIN} for \
                     another device"
                ),
            ),
            _ => why(Reason::Complete, "The user has bound a passkey"),
        }),
        Some(JobState::Revoked) if !revoked && desired.annotation_actions.name_for_revocation(status) => {
            Phase::Revoked {
                why: why(Reason::Revoked, format!("The job was revoked, as the annotation {REVOKE} requests; {AGAIN}")),
                asked: true,
            }
        }
        Some(JobState::Revoked) => revoked_phase(revoked, "The job was revoked"),
        Some(JobState::Expired) if revoked => revoked_phase(true, "The link expired before it was revoked"),
        Some(JobState::FailedToSend) if revoked => revoked_phase(true, "The email was never sent"),
        Some(JobState::Expired) => {
            Phase::Expired(why(Reason::LinkExpired, format!("The link expired before a passkey was bound; {AGAIN}")))
        }
        Some(JobState::FailedToSend) => Phase::FailedToSend(why(
            Reason::FailedToSend,
            format!("The service could not send the email; check the identity's primary email address, then {AGAIN}"),
        )),
        _ if status.expired == Some(true) => Phase::Expired(why(Reason::LinkExpired, still_shown(status))),
        state => Phase::Outstanding(outstanding(status, state, desired)),
    }
}

/// The message about an expired link whose job the service still shows as active.
fn still_shown(status: &EnrollmentRequestStatus) -> String {
    let shown = status.state.as_deref().map(|state| format!(", although the job is still in state {state}"));
    let (at, shown) = (status.expire_time.as_deref().unwrap_or("an unknown time"), shown.unwrap_or_default());
    format!("The link expired at {at}{shown}; {AGAIN}")
}

fn outstanding(status: &EnrollmentRequestStatus, state: Option<JobState>, desired: &Desired) -> Why {
    let (reason, what) = match state {
        Some(JobState::LinkSent) => (Reason::LinkSent, "The enrolment email was sent".to_owned()),
        Some(JobState::LinkOpened) => (Reason::LinkOpened, "The user has opened the link".to_owned()),
        Some(JobState::RequestDelivered) => {
            (Reason::RequestDelivered, "The link has reached the user's authenticator".to_owned())
        }
        Some(state) => (Reason::UnknownState, format!("The job is in state {state}, which this version does not know")),
        None => (Reason::UnknownState, "The service does not report the state of the job".to_owned()),
    };
    let expires = match &status.expire_time {
        Some(at) => format!("; the link expires at {at}"),
        None => "; the service reports no valid time at which the link expires".to_owned(),
    };
    match status.adopted {
        Some(true) => why(
            Reason::Adopted,
            format!(
                "Nothing was sent because an earlier link is still active. {what}{expires}. To send another email, \
                 raise spec.attempt. {}.",
                if desired.lifecycle.orphan {
                    "Deleting this request leaves that link valid".to_owned()
                } else if status.adopted_through_observe == Some(true) {
                    let provider = status.provider_config_ref.as_ref().map(ToString::to_string).unwrap_or_default();
                    format!(
                        "Another team may have sent that link, because the configuration is only observed, so this request \
                         revokes it only if {provider} says spec.allowRevokingAdoptedLinks: true"
                    )
                } else {
                    "Deleting this request revokes that link".to_owned()
                }
            ),
        ),
        _ => why(reason, format!("{what}{expires}")),
    }
}

fn revoked_phase(asked: bool, what: &str) -> Phase {
    let message = if asked {
        format!("{what}; to enrol again, set spec.revoked to false and raise spec.attempt")
    } else {
        // This spec may have requested the revocation earlier, before it was changed back.
        format!("{what}, but spec.revoked does not request it; {AGAIN}")
    };
    Phase::Revoked { why: why(Reason::Revoked, message), asked }
}

/// The phase of a request whose job the service no longer finds.
pub fn of_missing_job(input: &Input<'_>) -> Phase {
    let PlanInput { desired, status, .. } = input;
    if desired.revoked {
        return revoked_phase(true, "The job was not found in Beyond Identity");
    }
    let job = match status.job_id.as_deref() {
        None | Some("") => "The job of this request".to_owned(),
        Some(id) => format!("Credential binding job {id}"),
    };
    Phase::JobNotFound(why(
        Reason::JobNotFound,
        format!("{job} was not found in Beyond Identity, and nothing is sent again for it; {AGAIN}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment_request::testing::{concluded, request};
    use crate::reconcile::rules::judge;
    use crate::reconcile::testing::{now, options};

    /// The phase of a request with this status and this `spec.revoked`.
    fn of(status: &EnrollmentRequestStatus, revoked: bool, phase: fn(&Input<'_>) -> Phase) -> Phase {
        let mut request = request("request", status.clone());
        request.spec.revoked = revoked;
        judge(&request, &options(), now(), phase)
    }

    fn phase(state: Option<&str>, revoked: bool) -> Phase {
        let status = EnrollmentRequestStatus { state: state.map(str::to_owned), ..concluded() };
        of(&status, revoked, of_status)
    }

    fn phase_of(status: &EnrollmentRequestStatus) -> Phase {
        of(status, false, of_status)
    }

    #[test]
    fn each_state_has_its_phase_and_reason() {
        use Reason as R;
        let outstanding = |state, reason| {
            assert!(matches!(phase(state, false), Phase::Outstanding(why) if why.reason == reason), "{state:?}");
            assert!(is_outstanding(state));
        };
        outstanding(Some("LINK_SENT"), R::LinkSent);
        outstanding(Some("LINK_OPENED"), R::LinkOpened);
        outstanding(Some("REQUEST_DELIVERED"), R::RequestDelivered);
        outstanding(Some("SOMETHING_NEW"), R::UnknownState);
        outstanding(None, R::UnknownState);
        assert!(matches!(phase(Some("COMPLETE"), false), Phase::Complete(why) if why.reason == R::Complete));
        assert!(matches!(phase(Some("EXPIRED"), false), Phase::Expired(why) if why.reason == R::LinkExpired));
        assert!(
            matches!(phase(Some("REVOKED"), false), Phase::Revoked { why, asked: false } if why.reason == R::Revoked)
        );
        assert!(
            matches!(phase(Some("FAILED_TO_SEND"), false), Phase::FailedToSend(why) if why.reason == R::FailedToSend)
        );
        for state in ["COMPLETE", "EXPIRED", "REVOKED", "FAILED_TO_SEND"] {
            assert!(!is_outstanding(Some(state)));
        }
    }

    #[test]
    fn revoked_spec_is_satisfied_by_any_inactive_link_except_complete() {
        for state in ["REVOKED", "EXPIRED", "FAILED_TO_SEND"] {
            assert!(matches!(phase(Some(state), true), Phase::Revoked { asked: true, .. }), "{state}");
        }
        assert!(matches!(of(&concluded(), true, of_missing_job), Phase::Revoked { asked: true, .. }));
        assert!(matches!(of(&concluded(), false, of_missing_job), Phase::JobNotFound(_)));
        assert!(matches!(phase(Some("COMPLETE"), true), Phase::Complete(_)));
        assert!(matches!(phase(Some("LINK_SENT"), true), Phase::Outstanding(_)), "until it is revoked");
    }

    #[test]
    fn revocation_requested_by_annotation_is_no_warning() {
        for (state, named, says, warns) in [
            ("REVOKED", "job", "as the annotation beyondidentity.dev/revoke requests", false),
            ("REVOKED", "another", "but spec.revoked does not request it", true),
            ("EXPIRED", "job", "The link expired before a passkey was bound", true),
            ("FAILED_TO_SEND", "job", "The service could not send the email", true),
            ("COMPLETE", "job", "The user has bound a passkey", false),
        ] {
            let status = EnrollmentRequestStatus { state: Some(state.to_owned()), ..concluded() };
            let mut request = request("request", status.clone());
            request.metadata.annotations = Some([(REVOKE.to_owned(), named.to_owned())].into());
            let phase = judge(&request, &options(), now(), of_status);
            assert!(phase.why().message.contains(says), "{state} {named}: {phase:?}");
            assert_eq!(phase.is_warning(false), warns, "{state} {named}");
        }
    }

    #[test]
    fn adopted_and_skipped_phases_mention_spec_attempt() {
        let adopted = |state: &str| {
            let status = EnrollmentRequestStatus { state: Some(state.to_owned()), adopted: Some(true), ..concluded() };
            phase_of(&status)
        };
        let skipped = |skipped| {
            phase_of(&EnrollmentRequestStatus { skipped: Some(skipped), ..EnrollmentRequestStatus::default() })
        };
        for (phase, reason) in [
            (adopted("LINK_SENT"), Reason::Adopted),
            (adopted("COMPLETE"), Reason::Adopted),
            (skipped(Skipped::AlreadyEnrolled), Reason::AlreadyEnrolled),
            (skipped(Skipped::Revoked), Reason::Revoked),
        ] {
            assert_eq!(phase.why().reason, reason);
            assert!(phase.why().message.contains("spec.attempt"), "{phase:?}");
        }
    }
}
