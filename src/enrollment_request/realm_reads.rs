//! Reads lists of a whole realm for all requests that wait, by the rules of [`super::realm_lists`].

use std::collections::{HashMap, HashSet};

use super::desired::IdentitySelector;
use super::plan::is_active;
use super::realm_lists::{
    IDENTITY_AGE, IdentityJobs, IdentityPage, JOBS_AGE, JobSet, ListedRealm, MOST_PAGES, NotRead,
};
use super::reconciler::RequestReconcile;
use crate::api::{EnrollmentRequestStatus, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{CredentialBindingJob, EnrollmentStatus, Identity};
use crate::reconcile::times::RETRY_IDENTITY;
use crate::reconcile::{Backend, Remote};

/// The jobs on a page, unless a service has longer ones.
const PAGE_SIZE: u64 = 200;
/// The most jobs of a list, if its pages are longer.
const MOST_JOBS: usize = 20_000;
/// The most reads of a list.
const READS: u32 = 3;

impl<B: Backend> RequestReconcile<'_, B> {
    /// The identity that the request names by its id, from a list of the realm. `Some(None)` if it still does not exist.
    pub(super) async fn identity_of_realm(
        &self,
        realm: &impl Remote,
        who: &IdentitySelector,
        reference: &ProviderConfigRef,
    ) -> Option<Option<Identity>> {
        // A username could belong to somebody else by now.
        let IdentitySelector::Id(id) = who else { return None };
        let (lists, uid) = (&self.context.shared.realm_lists, self.object_uid().uid);
        let (of, now) = (self.listed_realm(realm, reference), || self.context.environment.monotonic());
        // A request that reports a problem with its identity waits for a change of it.
        let reported = [Reason::IdentityNotFound, Reason::IdentityNotActive, Reason::NoEmailAddress]
            .map(|reason| has_reason(&self.status, reason));
        let (is_reported, is_not_found) = (reported.contains(&true), reported[0]);
        let age = if is_reported { RETRY_IDENTITY } else { IDENTITY_AGE };
        let known = |age| {
            let found = lists.identity(&of, &uid, id, age, now());
            found.filter(|identity| is_reported || may_be_sent_to(identity))
        };
        // Read again before it is too old, so that a page that does not show this identity costs no further call.
        let again = age / 2;
        if let found @ Some(_) = known(again) {
            return Some(found);
        }
        if let Some(token) = lists.identities_to_read(&of, &uid, again, now()) {
            let page = realm.page_of_identities(token).await.ok();
            let page = page.map(|page| IdentityPage {
                identities: page.items,
                total: page.total_size,
                next: page.next_page_token,
            });
            lists.identities_read(&of, page, now());
        }
        let is_absent = || is_not_found && lists.lacks_identity(&of, id, age, now());
        known(age).map(Some).or_else(|| is_absent().then_some(None))
    }

    /// The jobs of an identity, from a list of the realm, if that may justify a send.
    pub(super) async fn jobs_of_realm(
        &self,
        realm: &impl Remote,
        reference: &ProviderConfigRef,
        identity_id: &str,
    ) -> Option<IdentityJobs> {
        let is_first_send = self.status.attempt.is_none() && self.status.send.is_none();
        let (lists, uid) = (&self.context.shared.realm_lists, self.object_uid().uid);
        let (of, now) = (self.listed_realm(realm, reference), || self.context.environment.monotonic());
        if !is_first_send || self.context.shared.recent_jobs.has_sent(&of.destination.realm, identity_id, now()) {
            return None;
        }
        if let Some(most_pages) = lists.jobs_to_read(&of, &uid, now()) {
            let (began, time) = (now(), self.context.environment.now());
            let is_late = || now().saturating_duration_since(began) > JOBS_AGE;
            let mut read = all_jobs(realm, most_pages, is_late).await.map(|(jobs, pages, listed_at)| JobSet {
                began,
                server_time: listed_at.map(|at| at.min(time)),
                listed_at,
                jobs,
                pages,
            });
            if read.is_ok() {
                let asked = now();
                match realm.identity(identity_id).await {
                    Ok(_) => lists.recognized(&of, asked),
                    Err(_) => read = Err(NotRead::Failed),
                }
            }
            lists.jobs_read(&of, read, now());
        }
        let has_sent = self.context.shared.recent_jobs.has_sent(&of.destination.realm, identity_id, now());
        lists.jobs_of(&of, &uid, identity_id, now()).filter(|_| !has_sent)
    }

    pub(super) fn listed_realm(&self, realm: &impl Remote, reference: &ProviderConfigRef) -> ListedRealm {
        ListedRealm { provider: reference.resolve(&self.desired.namespace), destination: realm.destination() }
    }
}

/// Whether the conditions of this status have this reason.
fn has_reason(status: &EnrollmentRequestStatus, reason: Reason) -> bool {
    let reason = reason.to_string();
    status.conditions.iter().any(|condition| condition.reason == reason)
}

/// Whether nothing in it stops a send.
fn may_be_sent_to(identity: &Identity) -> bool {
    is_active(identity)
        && identity.enrollment_status != Some(EnrollmentStatus::Enrolled)
        && identity.primary_email_address().is_some()
}

type AllJobs = (HashMap<String, Vec<CredentialBindingJob>>, u64, Option<jiff::Timestamp>);

/// Reads all jobs of a realm, by their identities, unless they have more pages. Returns also the number of pages, and the
/// service's time of the first one.
async fn all_jobs(realm: &impl Remote, most_pages: u64, is_late: impl Fn() -> bool) -> Result<AllJobs, NotRead> {
    let (mut jobs, mut ids) = (HashMap::<String, Vec<CredentialBindingJob>>::new(), HashSet::new());
    let mut listed_at = None;
    for read in 1..=READS {
        let (mut token, mut tokens, mut pages, mut total) = (None, HashSet::new(), 0, 0);
        loop {
            let page = realm.page_of_all_jobs(token.take()).await.map_err(|_| NotRead::Failed)?;
            if read == 1 && pages == 0 {
                listed_at = page.server_time;
            }
            if is_late() {
                return Err(NotRead::Failed);
            }
            let on_page = page.items.len() as u64;
            for job in page.items {
                // A job that does not say whose it is could be anybody's.
                let of = job.identity_id.clone().ok_or(NotRead::Failed)?;
                if ids.insert(job.id.clone()) {
                    jobs.entry(of).or_default().push(job);
                }
            }
            (pages, total) = (pages + 1, page.total_size.ok_or(NotRead::Failed)?.max(total));
            let Some(next) = page.next_page_token else { break };
            let all_pages = total.div_ceil(on_page.max(PAGE_SIZE)).max(pages + 1);
            if all_pages > most_pages.min(MOST_PAGES) || ids.len() > MOST_JOBS {
                return Err(NotRead::TooLong(all_pages));
            }
            if !tokens.insert(next.clone()) {
                return Err(NotRead::Failed);
            }
            token = Some(next);
        }
        if ids.len() as u64 >= total && (pages == 1 || read > 1) {
            return Ok((jobs, pages, listed_at));
        }
    }
    Err(NotRead::Failed)
}
