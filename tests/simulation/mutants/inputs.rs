//! Mutants of the inputs that no port carries: times, local states, reservations, send turns, and the objects to reconcile.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::enrollment_request::Skipped;
use beyond_identity_operator::api::{EnrollmentRequest, EnrollmentRequestStatus, PAUSED, ProviderConfigRef};
use beyond_identity_operator::enrollment_request::enrollment_key::EnrollmentKey;
use beyond_identity_operator::enrollment_request::pacer::SendPacer;
use beyond_identity_operator::enrollment_request::reservations::Reservations;
use beyond_identity_operator::enrollment_request::shared::Shared;
use beyond_identity_operator::reconcile::{KindName, LocalStates, ObjectKey, ObjectUid};
use kube::ResourceExt;
use tokio::time::Instant;

use super::kinds::Mutable;
use super::{Mutant, Mutation};

impl Mutation {
    /// The settle time.
    pub fn settle(&self, settle: Duration) -> Duration {
        match self.mutant {
            Some(Mutant::NoSettleTime) => Duration::ZERO,
            Some(Mutant::NoSettleTimeAfterRestart) if self.process.restarted => Duration::ZERO,
            _ => settle,
        }
    }

    /// The requests that seed the reservations.
    pub fn seed(&self, requests: Vec<EnrollmentRequest>) -> Vec<EnrollmentRequest> {
        if self.is(Mutant::NoSeeding) {
            return Vec::new();
        }
        if !self.is(Mutant::SeedsDoubtFirst) {
            return requests;
        }
        let in_doubt: Vec<_> = requests.iter().filter_map(|request| request.status.as_ref()?.send.clone()).collect();
        let is_in_doubt_elsewhere = |request: &EnrollmentRequest| {
            let status = request.status.clone().unwrap_or_default();
            let concluded = status.identity_id.zip(status.authenticator_config_id);
            status.send.is_none()
                && in_doubt.iter().any(|send| {
                    concluded.as_ref() == Some(&(send.identity_id.clone(), send.authenticator_config_id.clone()))
                })
        };
        requests.into_iter().filter(|request| !is_in_doubt_elsewhere(request)).collect()
    }

    /// The requests that seed the reservations of a namespace that could not be read at the start.
    pub fn late_seed(&self, requests: Vec<EnrollmentRequest>) -> Vec<EnrollmentRequest> {
        if self.is(Mutant::NoLateSeeding) { Vec::new() } else { self.seed(requests) }
    }

    /// Whether the objects of a namespace that cannot be read count as deleted.
    pub fn forgets_denied_namespaces(&self) -> bool {
        self.is(Mutant::ForgetsDeniedNamespaces)
    }

    /// What requests share: all of them, or some of them with separate reservations.
    pub fn shares(&self, shared: &Shared) -> Vec<Shared> {
        let separate = || {
            let none = Reservations::new(|_| {});
            none.seed(&[]);
            Shared { reservations: Arc::new(none), ..shared.clone() }
        };
        if self.is(Mutant::NoReservations) { vec![separate(), separate()] } else { vec![shared.clone()] }
    }

    /// Whether a request whose job may be read is enqueued.
    pub fn enqueues_reads(&self) -> bool {
        !self.is(Mutant::AllowedReadEnqueuesNothing)
    }

    /// Starts the pacer of a process.
    pub fn start(&self, pacer: &SendPacer) {
        let (now, wall) = (Instant::now(), self.process.world.wall());
        if self.is(Mutant::NoWaitAfterStart) {
            return pacer.start(now.checked_sub(Duration::from_secs(3600)).expect("a time before the start"));
        }
        pacer.start(now);
        if self.is(Mutant::TurnNeverReleased) {
            let namespace = "a".to_owned();
            let gone = ObjectKey { namespace, kind: KindName::EnrollmentRequest, name: "gone".to_owned() };
            pacer.start(now.checked_sub(Duration::from_secs(3600)).expect("a time before the start"));
            _ = pacer.take(&ProviderConfigRef::default().resolve(""), &gone, 60, (now, wall));
        }
    }

    /// The index of the reservations of a request.
    pub fn share_of(&self, request: &EnrollmentRequest) -> usize {
        usize::from(self.is(Mutant::NoReservations) && request.name_any() != "r0")
    }

    /// Reserves the keys of requests that were revoked before they sent.
    pub fn change_reservations(&self, reservations: &Reservations) {
        if !self.is(Mutant::KeepsKeyOfRevoked) {
            return;
        }
        let requests: Vec<_> = self.process.world.lock().cluster.requests.objects.values().cloned().collect();
        for request in requests {
            let status = request.status.clone().unwrap_or_default();
            let ids = [status.tenant_id, status.realm_id, status.identity_id, status.authenticator_config_id];
            if let [Some(tenant_id), Some(realm_id), Some(identity_id), Some(authenticator_config_id)] = ids
                && status.skipped == Some(Skipped::Revoked)
            {
                let key = EnrollmentKey { tenant_id, realm_id, identity_id, authenticator_config_id };
                _ = reservations.reserve(&key, &ObjectUid::of(&*request));
                reservations.settled(&ObjectUid::of(&*request), &EnrollmentRequestStatus::default());
            }
        }
    }

    /// An object at the start of a reconcile.
    pub fn reconciled<K: Mutable>(&self, object: K) -> K {
        let mut object = self.observed(object);
        object.change_annotations(self.mutant);
        object
    }

    /// An object as the process observes it.
    pub(super) fn observed<K: Mutable>(&self, mut object: K) -> K {
        if self.is(Mutant::IgnoresPauses) {
            object.meta_mut().annotations.iter_mut().for_each(|annotations| _ = annotations.remove(PAUSED));
        }
        object
    }

    /// Changes the local state of a request before its reconcile.
    pub fn change_local_state(&self, local_states: &LocalStates<EnrollmentRequest>, request: &EnrollmentRequest) {
        let uid = request.uid().unwrap_or_default();
        let mut local_state = local_states.get(&uid);
        match self.mutant {
            Some(Mutant::SharesRefusals) => {
                let status = request.status.clone().unwrap_or_default();
                let refused = local_state.own.revocations.refused_within(Duration::from_secs(3600), Instant::now());
                if let Some(reason) = refused.values().next() {
                    let named = status.job_id.into_iter().chain(status.previous_jobs.into_iter().map(|job| job.id));
                    named.for_each(|id| _ = local_state.own.revocations.refuse(&id, Instant::now(), reason));
                }
            }
            Some(Mutant::ForgetsRefusedWrites) => local_state.write_stored(),
            _ => return,
        }
        local_states.insert(&uid, local_state, || true);
    }
}
