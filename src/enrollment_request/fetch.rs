//! Fetches from the world outside what the plan wants to know, and who else may be about the same person.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;

use super::desired::Who;
use super::job_state::is_outstanding;
use super::observed::{Config, Listed, ReadyConfig, Recognized};
use super::person::Person;
use super::reconciler::Request;
use super::reservations::{Holder, Taken};
use super::step::{JobRef, Known, Query};
use crate::api::conditions::{PAUSED, STALLED, is_ready, is_stalled};
use crate::api::{AuthenticatorConfig, EnrollmentRequest, HasStatus, ProviderConfigRef, Reason};
use crate::beyond_identity::Listing;
use crate::beyond_identity::types::{CredentialBindingJob, Identity, JobState};
use crate::reconcile::annotations::is_paused;
use crate::reconcile::outcome::{failure, found};
use crate::reconcile::{Backend, Fact, Failure, Objects, RealmIds, Remote};

impl<B: Backend> Request<'_, B> {
    /// Fetches the answer to a query into what is known.
    pub(super) async fn fetch_query(&mut self, query: Query) {
        match query {
            Query::Config(name) => {
                let config =
                    Objects::<AuthenticatorConfig>::cached(&*self.context.backend, &self.desired.namespace, &name);
                self.observed.config = Fact::Known(config.as_deref().map(of_config));
            }
            Query::Identity(reference, who) => {
                if let Some(realm) = self.remote(&reference) {
                    self.observed.identity = identity(realm, &who, &reference).await.into();
                }
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

    /// Lists the jobs of an identity. What a list before has shown stays, since either can miss a job that is there.
    async fn list_jobs(&mut self, reference: &ProviderConfigRef, identity_id: &str) {
        let Some(realm) = self.remote(reference) else { return };
        let age = match &self.status.send {
            Some(send) => self.memory.record_known_for(&send.id, self.context.environment.monotonic()),
            None => Duration::ZERO,
        };
        let Listing { items, server_time } = match realm.jobs(identity_id).await {
            Ok(listing) => listing,
            Err(error) => {
                self.observed.jobs = Fact::Failed(failure(&error, reference));
                return;
            }
        };
        let (mut jobs, mut server_time, mut lists) = (items, server_time, 1);
        if let Fact::Known(before) = std::mem::take(&mut self.observed.jobs) {
            let missed = |job: &CredentialBindingJob| jobs.iter().all(|other| other.id != job.id);
            let missed: Vec<_> = before.jobs.into_iter().filter(missed).collect();
            jobs.extend(missed);
            (server_time, lists) = (before.server_time, before.lists + 1);
        }
        let named_elsewhere = self.not_ours(&jobs).await;
        self.observed.jobs = Fact::Known(Listed { jobs, named_elsewhere, server_time, age, lists });
    }

    async fn read_job(&mut self, reference: &ProviderConfigRef, job: JobRef) {
        let JobRef { identity_id, job_id, .. } = &job;
        let Some(realm) = self.remote(reference) else { return };
        let read = match found(realm.job(identity_id, job_id).await, reference) {
            // Somebody may have edited the id in status into that of another identity's job.
            Ok(read) => read.filter(|read| read.item.identity_id.as_ref().is_none_or(|owner| owner == identity_id)),
            Err(failure) => {
                self.observed.job_failures.insert(job_id.clone(), failure);
                return;
            }
        };
        if self.status.job_id.as_ref() == Some(job_id) {
            self.polled(read.as_ref().map(|read| &read.item));
        }
        let state = read.as_ref().map(|read| read.item.state.as_ref().map(JobState::as_str));
        if let Some(said) = self.observed.revoke_said.take().filter(|_| state.is_some_and(is_outstanding)) {
            self.refuse_revoke(&job, &said);
        }
        self.observed.read.insert(job_id.clone(), read);
    }

    /// Takes the person, unless another request has it.
    pub(super) async fn reserve(&mut self, person: Person) {
        let reservations = self.context.shared.clone();
        let mut taken = reservations.take(&person, &self.holder());
        if let Err(Taken::By(other) | Taken::Busy(other)) = &taken
            && !self.is_there(other).await
        {
            reservations.release(other);
            taken = reservations.take(&person, &self.holder());
        }
        let request = self.held.object();
        self.observed.reservation = match taken {
            Ok(()) => Fact::Known(person),
            Err(Taken::NotFilled) => {
                Fact::Failed(Failure::transient(Reason::Sending, "waiting until all EnrollmentRequests have been read"))
            }
            Err(Taken::Busy(other)) => Fact::Failed(self.busy(&other)),
            Err(Taken::By(other)) => {
                let same_namespace = request.namespace().as_deref() == Some(&other.namespace);
                let other =
                    if same_namespace { format!(" {}", other.name) } else { " in another namespace".to_owned() };
                Fact::Failed(Failure::blocked(
                    Reason::DuplicateRequest,
                    format!(
                        "the EnrollmentRequest{other} is about the same identity and authenticator configuration, so \
                         this one sends nothing: delete this one, and raise spec.attempt of the other one to send again"
                    ),
                ))
            }
        };
    }

    /// What is said while another request's email to the same identity is under way or in doubt. Where that one does not get
    /// on by itself, somebody has to act.
    fn busy(&self, other: &Holder) -> Failure {
        let request = Objects::<EnrollmentRequest>::cached(&*self.context.backend, &other.namespace, &other.name);
        let conditions = request.as_deref().map_or(&[][..], HasStatus::conditions);
        let here = other.namespace == self.desired.namespace;
        let named = if here { format!("EnrollmentRequest {}", other.name) } else { "another namespace".to_owned() };
        let what = format!("waiting until it is known what became of an email to the same identity from {named}");
        let has = |type_: &str| conditions.iter().any(|condition| condition.type_ == type_);
        if has(PAUSED) || has(STALLED) {
            let remedy = "it is paused or stalled: its conditions say what is to be done";
            return Failure::blocked(Reason::WaitingForAnotherSend, format!("{what}; {remedy}"));
        }
        Failure::transient(Reason::WaitingForAnotherSend, what)
    }

    /// The ids of those of `jobs` that a send in doubt must not take for its own: those that another request names,
    /// and while another one is in doubt about the same person, and has it, all of them.
    async fn not_ours(&self, jobs: &[CredentialBindingJob]) -> BTreeSet<String> {
        if let Some(rival) = self.context.shared.rival_in_doubt(&self.holder(), &self.status)
            && self.is_there(&rival).await
        {
            return jobs.iter().map(|job| job.id.clone()).collect();
        }
        self.named_elsewhere(jobs.iter().map(|job| job.id.as_str())).await
    }

    /// The ids of those of `jobs` that another request names.
    pub(super) async fn named_elsewhere(&self, jobs: impl IntoIterator<Item = &str>) -> BTreeSet<String> {
        let named = self.context.shared.named_elsewhere(&self.holder(), jobs.into_iter());
        let mut elsewhere = BTreeSet::new();
        for (job, others) in named {
            for other in &others {
                if self.is_there(other).await {
                    elsewhere.insert(job);
                    break;
                }
                self.context.shared.release(other);
            }
        }
        elsewhere
    }

    /// Whether another request is there. Only the API server can say that it is not: a watch cache may not have it
    /// yet, and the watch may not have told yet of what is gone.
    async fn is_there(&self, other: &Holder) -> bool {
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

/// The identity that `who` leads to; `None` when it leads to none.
async fn identity(realm: &impl Remote, who: &Who, provider: &ProviderConfigRef) -> Result<Option<Identity>, Failure> {
    let username = match who {
        Who::Id(id) => return found(realm.identity(id).await, provider),
        Who::Username(username) => username,
    };
    let found = realm.identities_by_username(username).await.map_err(|error| failure(&error, provider))?;
    // The filter is the service's; whom it leads to is decided here.
    let mut found = found.into_iter().filter(|identity| identity.has_username(username));
    match (found.next(), found.next()) {
        (identity, None) => Ok(identity),
        (_, Some(_)) => Err(Failure::blocked(
            Reason::IdentityAmbiguous,
            "spec.identity.username: it leads to more than one identity of the realm: give spec.identity.id instead",
        )),
    }
}

/// By what the service behind `provider` is recognized. That it does not know the identity is asked again after its list has
/// shown the configuration: before, it may have been another one that answered.
async fn recognized(realm: &impl Remote, known: &Known, provider: &ProviderConfigRef) -> Result<Recognized, Failure> {
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

/// What a request needs to know of its AuthenticatorConfig.
fn of_config(config: &AuthenticatorConfig) -> Config {
    let status = config.status.as_ref();
    // What its conditions say is of a spec that this version could decode.
    let is_decoded = config.spec.undecodable.is_none();
    let is_usable = is_decoded && config.metadata.deletion_timestamp.is_none();
    let ready = status.filter(|status| is_usable && is_ready(&status.conditions));
    Config {
        provider_config_ref: config.spec.provider_config_ref.clone(),
        leaving: config.metadata.deletion_timestamp.is_some(),
        stalled: !is_decoded || status.is_some_and(|status| is_stalled(&status.conditions)),
        paused: is_paused(config),
        ready: ready.and_then(|status| {
            Some(ReadyConfig {
                id: status.id.clone()?,
                realm: RealmIds { tenant_id: status.tenant_id.clone()?, realm_id: status.realm_id.clone()? },
            })
        }),
    }
}
