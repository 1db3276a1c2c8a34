//! Fetches the facts that the plan needs.

use std::time::Duration;

use jiff::Timestamp;

use super::desired::IdentitySelector;
use super::job_state::is_outstanding;
use super::observed::{Config, JobList, Recognized};
use super::plan::budget::is_dated;
use super::realm_lists::IdentityJobs;
use super::reconciler::RequestReconcile;
use super::step::{JobRef, Query, RecognizableIds};
use crate::api::{AuthenticatorConfig, ProviderConfigRef, Reason};
use crate::beyond_identity::types::{Identity, JobState};
use crate::beyond_identity::{Answer, Listing, union_by_id};
use crate::reconcile::outcome::{failure, found};
use crate::reconcile::times::RETRY_IDENTITY;
use crate::reconcile::{Backend, Fact, Failure, FailureKind, Objects, Remote};

impl<B: Backend> RequestReconcile<'_, B> {
    /// Fetches the result of a query into the observed facts.
    pub(super) async fn fetch_query(&mut self, query: Query) {
        match query {
            Query::Config(name) => {
                let config =
                    Objects::<AuthenticatorConfig>::cached(&*self.context.backend, &self.desired.namespace, &name);
                self.observed.config = Fact::Known(config.as_deref().map(Config::from));
            }
            Query::Identity(reference, who) => {
                let Some(realm) = self.remote(&reference) else { return };
                self.observed.identity = match self.identity_of_realm(realm, &who, &reference).await {
                    Some(identity) => Fact::Known(identity),
                    None => {
                        let asked = self.context.environment.monotonic();
                        let found = identity(realm, &who, &reference).await;
                        if matches!(found, Ok(Some(_))) {
                            self.context.shared.realm_lists.recognized(&self.listed_realm(realm, &reference), asked);
                        }
                        found.into()
                    }
                };
            }
            Query::Jobs(reference, identity_id) => self.list_jobs(&reference, &identity_id).await,
            Query::Job(reference, job) => self.read_job(&reference, job).await,
            Query::IsListed(reference, JobRef { identity_id, job_id, .. }) => {
                if let Some(realm) = self.remote(&reference) {
                    let listed = realm.jobs(&identity_id).await;
                    let listed = listed.map(|listing| listing.items.iter().any(|job| job.id == job_id));
                    let listed = listed.map_err(|error| failure(&error, &reference));
                    self.observed.listed.insert(job_id, listed.into());
                }
            }
            Query::Recognize(reference, known) => {
                if let Some(realm) = self.remote(&reference) {
                    let recognized = recognized(realm, &known, &reference).await;
                    self.observed.recognized.insert(known.identity_id, recognized.into());
                }
            }
        }
    }

    /// Lists the jobs of an identity. Jobs from an earlier list are kept, because either list can miss an existing
    /// job.
    async fn list_jobs(&mut self, reference: &ProviderConfigRef, identity_id: &str) {
        let Some(realm) = self.remote(reference) else { return };
        let age = match &self.status.send {
            Some(send) => self.local_state.record_known_for(&send.id, self.context.environment.monotonic()),
            None => Duration::ZERO,
        };
        let in_realm = realm.destination().realm;
        let IdentityJobs { mut jobs, mut server_time, mut listed_at } = match self
            .jobs_of_realm(realm, reference, identity_id)
            .await
        {
            Some(of_realm) => of_realm,
            None => match realm.jobs(identity_id).await {
                Ok(Listing { items, server_time }) => {
                    IdentityJobs { jobs: items, server_time: self.earlier_time(server_time), listed_at: server_time }
                }
                Err(error) => {
                    self.observed.jobs = Fact::Failed(failure(&error, reference));
                    return;
                }
            },
        };
        let mut lists = 1;
        if let Fact::Known(before) = std::mem::take(&mut self.observed.jobs) {
            jobs = union_by_id(jobs, before.jobs, |job| &job.id);
            (server_time, lists) = (before.server_time, before.lists + 1);
            listed_at = listed_at.zip(before.listed_at).map(|(this, before)| this.min(before));
        }
        let named_elsewhere = self.not_ours(&jobs).await;
        let undated = jobs.iter().filter(|job| !is_dated(job, server_time)).map(|job| job.id.as_str());
        let (known, now) = (&self.context.shared.recent_jobs, self.context.environment.monotonic());
        let ages = known.ages(&in_realm, identity_id, undated, now);
        self.observed.jobs = Fact::Known(JobList { jobs, named_elsewhere, ages, server_time, listed_at, age, lists });
    }

    async fn read_job(&mut self, reference: &ProviderConfigRef, job: JobRef) {
        let JobRef { identity_id, job_id, .. } = &job;
        let Some(realm) = self.remote(reference) else { return };
        let read = match found(realm.job(identity_id, job_id).await, reference) {
            // The id in status may have been changed, outside the operator, to that of another identity's job.
            Ok(read) => read
                .filter(|read| read.item.identity_id.as_ref().is_none_or(|owner| owner == identity_id))
                .map(|read| Answer { server_time: self.earlier_time(read.server_time), ..read }),
            Err(failure) => {
                if failure.kind != FailureKind::RateLimited {
                    self.context.shared.watcher.read(&self.object_uid().uid, job_id, false);
                }
                self.observed.job_failures.insert(job_id.clone(), failure);
                return;
            }
        };
        if self.status.job_id.as_ref() == Some(job_id) {
            self.context.shared.watcher.read(&self.object_uid().uid, job_id, true);
            self.polled(read.as_ref().map(|read| &read.item));
        }
        let state = read.as_ref().map(|read| read.item.state.as_ref().map(JobState::as_str));
        let message = self.observed.revoke_messages.remove(job_id);
        if let Some(message) = message.filter(|_| state.is_some_and(is_outstanding)) {
            self.refuse_revoke(&job, &message);
        }
        self.observed.read.insert(job_id.clone(), read);
    }

    /// The time of the service, or of this machine if that is earlier.
    fn earlier_time(&self, server_time: Option<Timestamp>) -> Option<Timestamp> {
        server_time.map(|time| time.min(self.context.environment.now()))
    }
}

/// The identity that `who` selects; `None` if there is none.
async fn identity(
    realm: &impl Remote,
    who: &IdentitySelector,
    provider: &ProviderConfigRef,
) -> Result<Option<Identity>, Failure> {
    let username = match who {
        IdentitySelector::Id(id) => return found(realm.identity(id).await, provider),
        IdentitySelector::Username(username) => username,
    };
    let found = realm.identities_by_username(username).await.map_err(|error| failure(&error, provider))?;
    // The service filters by username, but the operator decides which identity matches.
    let is_similar = found.iter().any(|identity| identity.has_similar_username(username));
    let mut found = found.into_iter().filter(|identity| identity.has_username(username));
    match (found.next(), found.next()) {
        (None, _) if is_similar => Err(Failure::blocked(
            Reason::IdentityNotFound,
            "The identity of spec.identity.username does not exist in the realm, but one with a similar username does, \
             which differs in blanks, invisible characters or variants of letters; correct that field, or set \
             spec.identity.id instead",
        )
        .retried_within(RETRY_IDENTITY)),
        (identity, None) => Ok(identity),
        (_, Some(_)) => Err(Failure::blocked(
            Reason::IdentityAmbiguous,
            "The username in spec.identity.username matches more than one identity of the realm; set \
             spec.identity.id instead",
        )
        .retried_within(RETRY_IDENTITY)),
    }
}

/// The evidence that the service behind `provider` is the expected one. If the identity is unknown, it is fetched
/// again after the list has shown the configuration. Another service may have responded before.
async fn recognized(
    realm: &impl Remote,
    known: &RecognizableIds,
    provider: &ProviderConfigRef,
) -> Result<Recognized, Failure> {
    let knows_identity = async || {
        let found = found(realm.identity(&known.identity_id).await, provider)?;
        Ok::<_, Failure>(found.is_some())
    };
    if knows_identity().await? {
        return Ok(Recognized { identity: true, config: false });
    }
    let configs = realm.configs().await.map_err(|error| failure(&error, provider))?;
    let config = configs.items.iter().any(|config| config.id == known.authenticator_config_id);
    Ok(Recognized { identity: config && knows_identity().await?, config })
}
