//! What the watcher learns from a reconcile of a request: which link is out, and when its job was read.

use super::job_state;
use super::plan::{poll_interval, revoke};
use super::reconciler::RequestReconcile;
use super::step::JobRef;
use super::watcher::{Link, WatchedRealm};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::beyond_identity::types::CredentialBindingJob;
use crate::reconcile::local_state::Poll;
use crate::reconcile::{Backend, Failure, FailureKind, ObjectKey, Objects};

impl<B: Backend> RequestReconcile<'_, B> {
    /// Has the watcher follow the link of this status, if it is out.
    pub(super) fn follow(&self, status: &EnrollmentRequestStatus) {
        let (watcher, uid) = (&self.context.shared.watcher, self.object_uid().uid);
        let is_out = status.skipped.is_none() && !job_state::is_complete(status.state.as_deref());
        let lifecycle = &self.desired.lifecycle;
        let is_followed = is_out && !self.handle.is_deleted() && !lifecycle.is_deleting() && !lifecycle.paused;
        let link = revoke::named(status).filter(|_| is_followed).zip(status.provider_config_ref.clone());
        let Some((JobRef { identity_id, job_id, endpoint, .. }, provider)) = link else { return watcher.leave(&uid) };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let realm = WatchedRealm { endpoint, tenant_id: text(&status.tenant_id), realm_id: text(&status.realm_id) };
        let poll = self.local_state.poll_of(Some(&job_id));
        let link = Link {
            request: ObjectKey::of(self.handle.object()),
            provider,
            job_id,
            identity_id,
            state: status.state.clone(),
            create_time: poll_interval::time(status.create_time.as_deref()),
            expire_time: poll_interval::time(status.expire_time.as_deref()),
            expired: status.expired == Some(true),
            found: poll.map(|poll| poll.found),
            due: poll.and_then(|poll| poll.next_poll_at),
        };
        let is_held = |failure: &Failure| failure.kind != FailureKind::RateLimited;
        if let Some(Err(failure)) = self.observed.object.realms.get(&link.provider)
            && is_held(failure)
        {
            watcher.held(&uid);
        }
        let ObjectKey { namespace, name, .. } = link.request.clone();
        watcher.follow(&uid, realm, link);
        // The watch removes an object from the cache before it has the watcher leave it.
        let cached = Objects::<EnrollmentRequest>::cached(&*self.context.backend, &namespace, &name);
        if cached.is_none_or(|cached| cached.metadata.uid.as_ref() != Some(&uid)) {
            watcher.leave(&uid);
        }
    }

    /// Records a poll of the current job that returned `job`, and when the next poll is due.
    pub(super) fn polled(&mut self, job: Option<&CredentialBindingJob>) {
        let Some(of) = self.handle.object().status.as_ref().and_then(|status| status.job_id.clone()) else { return };
        let now = self.context.environment.monotonic();
        let known = self.local_state.remote_known_for(&of, now);
        let next_poll_at = poll_interval::interval(&self.input(), job, known).and_then(|wait| now.checked_add(wait));
        let generation = self.desired.lifecycle.generation;
        self.local_state.polled(Poll { of, generation, found: job.is_some(), next_poll_at });
    }
}
