//! Other requests: those with the same enrolment key or identity, and the owners of jobs.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::enrollment_key::EnrollmentKey;
use super::reconciler::RequestReconcile;
use super::reservations::ReserveError;
use crate::api::conditions::{PAUSED, STALLED};
use crate::api::{EnrollmentRequest, HasStatus, Reason};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::reconcile::{Backend, Fact, Failure, ObjectUid, Objects};

impl<B: Backend> RequestReconcile<'_, B> {
    /// Reserves the key, unless another request holds it.
    pub(super) async fn reserve(&mut self, key: EnrollmentKey) {
        let reservations = self.context.shared.reservations.clone();
        let mut taken = reservations.reserve(&key, &self.object_uid());
        if let Err(ReserveError::HeldBy(other) | ReserveError::Busy(other)) = &taken
            && !self.is_there(other).await
        {
            reservations.release(other);
            taken = reservations.reserve(&key, &self.object_uid());
        }
        self.observed.reservation = match taken {
            Ok(()) => Fact::Known(key),
            Err(ReserveError::NotSeeded) => {
                Fact::Failed(Failure::transient(Reason::Sending, "Waiting until all EnrollmentRequests are loaded"))
            }
            Err(ReserveError::Busy(other)) => Fact::Failed(self.busy(&other)),
            Err(ReserveError::HeldBy(other)) => {
                let other = self.shown(&other, Reason::DuplicateRequest);
                Fact::Failed(Failure::blocked(
                    Reason::DuplicateRequest,
                    format!(
                        "The same identity and authenticator configuration belong to {other}, so nothing is sent; \
                         delete this one; to send another email, raise spec.attempt of the other one"
                    ),
                ))
            }
        };
    }

    /// The failure while another request's email to the same identity is in flight or in doubt. If that request makes
    /// no progress by itself, manual action is required.
    fn busy(&self, other: &ObjectUid) -> Failure {
        let request = Objects::<EnrollmentRequest>::cached(&*self.context.backend, &other.namespace, &other.name);
        let conditions = request.as_deref().map_or(&[][..], HasStatus::conditions);
        let named = self.shown(other, Reason::WaitingForAnotherSend);
        let what = format!("Waiting for the outcome of an email to the same identity from {named}");
        let has = |type_: &str| conditions.iter().any(|condition| condition.type_ == type_);
        if has(PAUSED) || has(STALLED) {
            return Failure::blocked(
                Reason::WaitingForAnotherSend,
                format!("{what}, which is paused or stalled; see its conditions"),
            );
        }
        Failure::transient(Reason::WaitingForAnotherSend, what)
    }

    /// The name of another request, as a condition may show it. Users of this namespace may not see other namespaces, so
    /// only the log names a request there: once, before the condition has this reason.
    fn shown(&self, other: &ObjectUid, reason: Reason) -> String {
        if other.namespace == self.desired.namespace {
            return format!("EnrollmentRequest {}", other.name);
        }
        let object = self.handle.object();
        if !object.conditions().iter().any(|condition| condition.reason == reason.to_string()) {
            let (kind, name) = (<EnrollmentRequest as kube::Resource>::kind(&()), object.name_any());
            tracing::info!(
                %kind,
                namespace = self.desired.namespace,
                name,
                %reason,
                other_namespace = other.namespace,
                other_name = other.name,
                "Another request for the same identity comes first"
            );
        }
        "an EnrollmentRequest in another namespace".to_owned()
    }

    /// The ids of those of `jobs` that a send in doubt must not take for its own. These are the jobs that another
    /// request names. If another request in doubt holds the same key, they are all jobs.
    pub(super) async fn not_ours(&self, jobs: &[CredentialBindingJob]) -> BTreeSet<String> {
        if let Some(rival) = self.context.shared.reservations.rival_in_doubt(&self.object_uid(), &self.status)
            && self.is_there(&rival).await
        {
            return jobs.iter().map(|job| job.id.clone()).collect();
        }
        self.named_elsewhere(jobs.iter().map(|job| job.id.as_str())).await
    }

    /// The ids of those of `jobs` that another request names.
    pub(super) async fn named_elsewhere(&self, jobs: impl IntoIterator<Item = &str>) -> BTreeSet<String> {
        let named = self.context.shared.reservations.named_elsewhere(&self.object_uid(), jobs.into_iter());
        let mut elsewhere = BTreeSet::new();
        for (job, others) in named {
            for other in &others {
                if self.is_there(other).await {
                    elsewhere.insert(job);
                    break;
                }
                self.context.shared.reservations.release(other);
            }
        }
        elsewhere
    }

    /// Whether another request exists. Only the API server can confirm that it does not: the watch cache may not have
    /// it yet. The watch may also not have delivered a deletion yet.
    async fn is_there(&self, other: &ObjectUid) -> bool {
        let backend = &*self.context.backend;
        let same = |uid: Option<String>| uid.as_deref() == Some(&other.uid);
        if Objects::<EnrollmentRequest>::cached(backend, &other.namespace, &other.name)
            .is_some_and(|cached| same(cached.uid()))
        {
            return true;
        }
        let read = Objects::<EnrollmentRequest>::read(backend, &other.namespace, &other.name).await;
        read.map_or(true, |read| read.is_some_and(|read| same(read.uid())))
    }
}
