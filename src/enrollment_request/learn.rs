//! One look: asks the world outside what the plan wants to know, and who else may be about the same person.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;

use super::desired::Who;
use super::execute::Look;
use super::observed::{Config, Listed, Person, ReadyConfig};
use super::phase::is_outstanding;
use super::plan;
use super::ports::Remote;
use super::reservations::{Holder, Taken};
use super::step::{JobRef, Question};
use crate::api::conditions::{is_ready, is_stalled};
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::Listing;
use crate::beyond_identity::types::{CredentialBindingJob, Identity, JobState};
use crate::reconcile::outcome;
use crate::reconcile::{Caller, Fact, Objects, RealmIds, Realms, Trouble};

impl<O, C, R> Look<'_, O, C, R>
where
    O: Objects<EnrollmentRequest>,
    C: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
{
    /// Answers a question into what is known.
    pub(super) async fn learn(&mut self, question: Question) {
        match question {
            Question::Config(name) => {
                let config = self.ports.configs.cached(&self.desired.namespace, &name);
                self.observed.config = Fact::Known(config.as_deref().map(of_config));
            }
            Question::Realm(reference) => {
                let (namespace, name) = (&self.desired.namespace, &self.holder.name);
                let is_owed = plan::is_anything_owed(&self.desired, &self.observed.status);
                let is_leaving = self.desired.deleting || plan::has_to_revoke(&self.desired, &self.observed.status);
                let caller = Caller { namespace, name, is_owed, is_leaving };
                let opened = self.ports.realms.open(caller, &reference).await;
                self.observed.not_allowed = opened.as_ref().ok().and_then(|opened| opened.not_allowed.clone());
                let realm = opened.as_ref().map(|opened| opened.remote.realm());
                self.observed.realm = realm.map_err(Clone::clone).into();
                self.realm = opened.ok().map(|opened| (opened.remote, reference));
            }
            Question::Identity(who) => {
                self.observed.identity = match &self.realm {
                    Some((realm, provider)) => identity(realm, &who, provider).await.into(),
                    None => Fact::Unknown,
                }
            }
            Question::Jobs(identity_id) => {
                let age = match &self.observed.status.send {
                    Some(send) => self.memory.known_for(&send.id, self.ports.environment.monotonic()),
                    None => Duration::ZERO,
                };
                if let Some((realm, provider)) = &self.realm {
                    self.observed.jobs = match realm.jobs(&identity_id).await {
                        Ok(Listing { items, server_time }) => {
                            let named_elsewhere = self.not_ours(&items).await;
                            Fact::Known(Listed { jobs: items, named_elsewhere, server_time, age })
                        }
                        Err(error) => Fact::Failed(outcome::trouble(&error, provider)),
                    };
                }
            }
            Question::Job(reference) => {
                let JobRef { identity_id, job_id } = &reference;
                let Some((realm, provider)) = &self.realm else { return };
                match outcome::found(realm.job(identity_id, job_id).await, provider) {
                    Ok(job) => {
                        // Somebody may have edited the id in status into that of another identity's job.
                        let job = job.filter(|job| job.identity_id.as_ref().is_none_or(|owner| owner == identity_id));
                        if self.observed.status.job_id.as_ref() == Some(job_id) {
                            self.looked(job.is_some());
                        }
                        let outstanding =
                            job.as_ref().is_some_and(|job| is_outstanding(job.state.as_ref().map(JobState::as_str)));
                        if let Some(said) = self.observed.revoke_said.take().filter(|_| outstanding) {
                            self.refuse_revoke(&reference, &said);
                        }
                        self.observed.read.insert(job_id.clone(), job);
                    }
                    Err(trouble) => self.observed.job_trouble = Some(trouble),
                }
            }
        }
    }

    /// Takes the person, unless another request has it.
    pub(super) async fn reserve(&mut self, person: Person) {
        let reservations = &self.ports.reservations;
        let mut taken = reservations.take(&person, &self.holder);
        if let Err(Taken::By(other) | Taken::Busy(other)) = &taken
            && !self.is_there(other).await
        {
            reservations.release(other);
            taken = reservations.take(&person, &self.holder);
        }
        let request = self.held.object();
        self.observed.reservation = match taken {
            Ok(()) => Fact::Known(person),
            Err(Taken::NotFilled) => Fact::Failed(
                Phase::AtWork(why(Reason::Sending, "waiting until all EnrollmentRequests have been read")).into(),
            ),
            Err(Taken::Busy(_)) => Fact::Failed(
                Phase::AtWork(why(
                    Reason::Sending,
                    "waiting until it is known what became of another request's email to the same identity",
                ))
                .into(),
            ),
            Err(Taken::By(other)) => {
                let same_namespace = request.namespace().as_deref() == Some(&other.namespace);
                let other =
                    if same_namespace { format!(" {}", other.name) } else { " in another namespace".to_owned() };
                Fact::Failed(
                    Phase::Blocked(why(
                        Reason::DuplicateRequest,
                        format!(
                            "the EnrollmentRequest{other} is about the same identity and authenticator configuration, so \
                             this one sends nothing: delete this one, and raise spec.attempt of the other one to send again"
                        ),
                    ))
                    .into(),
                )
            }
        };
    }

    /// The ids of those of `jobs` that a send in doubt must not take for its own: those that another request names,
    /// and while another one is in doubt about the same person, and has it, all of them.
    async fn not_ours(&self, jobs: &[CredentialBindingJob]) -> BTreeSet<String> {
        if let Some(rival) = self.ports.reservations.rival_in_doubt(&self.holder, &self.observed.status)
            && self.is_there(&rival).await
        {
            return jobs.iter().map(|job| job.id.clone()).collect();
        }
        self.named_elsewhere(jobs.iter().map(|job| job.id.as_str())).await
    }

    /// The ids of those of `jobs` that another request names.
    pub(super) async fn named_elsewhere(&self, jobs: impl IntoIterator<Item = &str>) -> BTreeSet<String> {
        let named = self.ports.reservations.named_elsewhere(&self.holder, jobs.into_iter());
        let mut elsewhere = BTreeSet::new();
        for (job, others) in named {
            for other in &others {
                if self.is_there(other).await {
                    elsewhere.insert(job);
                    break;
                }
                self.ports.reservations.release(other);
            }
        }
        elsewhere
    }

    /// Whether another request is there. Only the API server can say that it is not: a watch cache may not have it
    /// yet, and the watch may not have told yet of what is gone.
    async fn is_there(&self, other: &Holder) -> bool {
        let requests = &self.ports.requests;
        let same = |uid: Option<String>| uid.as_deref() == Some(&other.uid);
        if requests.cached(&other.namespace, &other.name).is_some_and(|cached| same(cached.uid())) {
            return true;
        }
        let read = requests.read(&other.namespace, &other.name).await;
        read.map_or(true, |read| read.is_some_and(|read| same(read.uid())))
    }
}

/// The identity that `who` leads to; `None` when it leads to none.
async fn identity(realm: &impl Remote, who: &Who, provider: &ProviderConfigRef) -> Result<Option<Identity>, Trouble> {
    let username = match who {
        Who::Id(id) => return outcome::found(realm.identity(id).await, provider),
        Who::Username(username) => username,
    };
    let found = realm.identities_by_username(username).await.map_err(|error| outcome::trouble(&error, provider))?;
    // The filter is the service's; whom it leads to is decided here.
    let mut found = found.into_iter().filter(|identity| identity.has_username(username));
    match (found.next(), found.next()) {
        (identity, None) => Ok(identity),
        (_, Some(_)) => Err(Phase::Blocked(why(
            Reason::IdentityAmbiguous,
            "spec.identity.username: it leads to more than one identity of the realm: give spec.identity.id instead",
        ))
        .into()),
    }
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
        ready: ready.and_then(|status| {
            Some(ReadyConfig {
                id: status.id.clone()?,
                realm: RealmIds { tenant_id: status.tenant_id.clone()?, realm_id: status.realm_id.clone()? },
            })
        }),
    }
}
