//! The changes of a mutant to objects of each kind.

use std::time::Duration;

use beyond_identity_operator::api::RESEND;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use jiff::Timestamp;
use kube::ResourceExt;

use super::Mutant;
use crate::kubernetes::Kind;

/// A kind whose objects a mutant can change.
pub trait Mutable: Kind {
    /// Changes the status before its write.
    fn rewrite(&mut self, mutant: Option<Mutant>);
    /// Changes its annotations.
    fn change_annotations(&mut self, mutant: Option<Mutant>);
}

impl Mutable for EnrollmentRequest {
    fn rewrite(&mut self, mutant: Option<Mutant>) {
        let Some(status) = self.status.as_mut() else { return };
        match mutant {
            Some(Mutant::AdoptsWithoutMark) => status.adopted_through_observe = None,
            Some(Mutant::ReplacesWithoutMark) => {
                status.previous_jobs.iter_mut().for_each(|job| job.adopted_through_observe = None);
            }
            _ => {}
        }
        let Some(send) = status.send.as_mut() else { return };
        match mutant {
            Some(Mutant::NoExistingJobs) => send.existing_job_ids.clear(),
            Some(Mutant::NoNotBefore) => "1970-01-01T00:00:00Z".clone_into(&mut send.not_before),
            Some(Mutant::LateNotBefore) => delay(send, Duration::from_secs(90)),
            _ => {}
        }
    }

    fn change_annotations(&mut self, mutant: Option<Mutant>) {
        let status = self.status.clone().unwrap_or_default();
        let (id, state) = (status.job_id.unwrap_or_default(), status.state.unwrap_or_default());
        if let Some(annotation) = self.annotations_mut().get_mut(RESEND)
            && let Some((job, requested_state)) = annotation.rsplit_once('/')
        {
            *annotation = match mutant {
                Some(Mutant::ResendsInAnyState) => format!("{job}/{state}"),
                Some(Mutant::ResendsForAnyJob) => format!("{id}/{requested_state}"),
                _ => return,
            };
        }
    }
}

impl Mutable for AuthenticatorConfig {
    fn rewrite(&mut self, _mutant: Option<Mutant>) {}

    fn change_annotations(&mut self, _mutant: Option<Mutant>) {}
}

fn delay(send: &mut SendRecord, by: Duration) {
    if let Ok(time) = send.not_before.parse::<Timestamp>() {
        send.not_before = (time + by).to_string();
    }
}
