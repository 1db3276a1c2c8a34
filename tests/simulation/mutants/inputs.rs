//! What a process goes by that no port carries: its times, its memory, whom it knows to be enrolled, and the objects that
//! its looks begin with.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{EnrollmentRequest, PAUSED};
use beyond_identity_operator::enrollment_request::reservations::Reservations;
use beyond_identity_operator::reconcile::LocalStates;
use kube::ResourceExt;
use tokio::time::Instant;

use super::kinds::Mutable;
use super::{Mutant, Mutation};

impl Mutation {
    /// How long an effect or a list may be late.
    pub fn settle(&self, settle: Duration) -> Duration {
        match self.mutant {
            Some(Mutant::NoSettling) => Duration::ZERO,
            Some(Mutant::SettledByRestart) if self.process.restarted => Duration::ZERO,
            _ => settle,
        }
    }

    /// The requests that the reservations are filled from.
    pub fn filled(&self, requests: Vec<EnrollmentRequest>) -> Vec<EnrollmentRequest> {
        if self.is(Mutant::NoReservationsAtTheStart) { Vec::new() } else { requests }
    }

    /// The reservations: those that all requests share, or as if each request were alone.
    pub fn reservations(&self, shared: &Arc<Reservations>) -> Vec<Arc<Reservations>> {
        let alone = || {
            let none = Reservations::new(|_| {});
            none.seed(&[]);
            Arc::new(none)
        };
        if self.is(Mutant::NoReservations) { vec![alone(), alone()] } else { vec![shared.clone()] }
    }

    /// Which of these a request goes by.
    pub fn share_of(&self, request: &EnrollmentRequest) -> usize {
        usize::from(self.is(Mutant::NoReservations) && request.name_any() != "r0")
    }

    /// An object, as a look begins with it.
    pub fn looked_at<K: Mutable>(&self, object: K) -> K {
        let mut object = self.seen(object);
        object.wish(self.mutant);
        object
    }

    /// An object, as it is seen anywhere.
    pub(super) fn seen<K: Mutable>(&self, mut object: K) -> K {
        if self.is(Mutant::IgnoresPauses) {
            object.meta_mut().annotations.iter_mut().for_each(|annotations| _ = annotations.remove(PAUSED));
        }
        object
    }

    /// What is remembered of a request, before it is looked at.
    pub fn remember(&self, local_states: &LocalStates<EnrollmentRequest>, request: &EnrollmentRequest) {
        let uid = request.uid().unwrap_or_default();
        let mut local_state = local_states.get(&uid);
        match self.mutant {
            Some(Mutant::SharesRefusals) => {
                let status = request.status.clone().unwrap_or_default();
                let refused = local_state.own.revocations.refused_within(Duration::from_secs(3600), Instant::now());
                if let Some(said) = refused.values().next() {
                    let named = status.job_id.into_iter().chain(status.previous_jobs.into_iter().map(|job| job.id));
                    named.for_each(|id| _ = local_state.own.revocations.refuse(&id, Instant::now(), said));
                }
            }
            Some(Mutant::ForgetsRefusedWrites) => local_state.write_stored(),
            _ => return,
        }
        local_states.insert(&uid, local_state, || true);
    }
}
