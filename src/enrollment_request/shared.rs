//! What all requests share in a process.

use std::sync::Arc;

use super::pacer::SendPacer;
use super::realm_lists::RealmLists;
use super::recent_jobs::RecentJobs;
use super::reservations::Reservations;
use super::watcher::JobWatcher;
use crate::reconcile::{KindName, ObjectKey, ObjectUid};

/// What all requests share in a process.
#[derive(Clone)]
pub struct Shared {
    /// Which request may send to which identity.
    pub reservations: Arc<Reservations>,
    /// When a request may send through a provider config with a limit.
    pub pacer: Arc<SendPacer>,
    /// Which links are out, and when a job may be read.
    pub watcher: Arc<JobWatcher>,
    /// The lists of whole realms that serve many requests.
    pub realm_lists: Arc<RealmLists>,
    /// The jobs whose ages only this process knows.
    pub recent_jobs: Arc<RecentJobs>,
}

impl Shared {
    /// The state of a process that has sent nothing.
    pub fn new(reservations: Reservations, pacer: SendPacer, watcher: JobWatcher, realm_lists: RealmLists) -> Self {
        let recent_jobs = Arc::default();
        let (pacer, watcher, realm_lists) = (Arc::new(pacer), Arc::new(watcher), Arc::new(realm_lists));
        Self { reservations: Arc::new(reservations), pacer, watcher, realm_lists, recent_jobs }
    }

    /// Releases everything that a deleted request holds or waits for.
    pub fn released(&self, request: &ObjectUid) {
        self.reservations.release(request);
        self.watcher.leave(&request.uid);
        self.realm_lists.leave(&request.uid);
        let ObjectUid { namespace, name, .. } = request.clone();
        self.pacer.leave(&ObjectKey { namespace, kind: KindName::EnrollmentRequest, name });
    }
}
