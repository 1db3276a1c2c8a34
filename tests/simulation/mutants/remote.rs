//! Mutants of the calls to the service.

use std::time::Duration;

use beyond_identity_operator::api::authenticator_config::CreateRecord;
use beyond_identity_operator::api::enrollment_request::SendRecord;
use beyond_identity_operator::beyond_identity::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity, JobState, NewAuthenticatorConfig,
    PatchedConfig,
};
use beyond_identity_operator::beyond_identity::{Answer, Doubt, Error, JobsPage, Listing, NotSent, RealmPage};
use beyond_identity_operator::reconcile::{Destination, Remote, Ticket};
use jiff::Timestamp;

use super::{Mutant, Mutated, Mutation};
use crate::calls::SimRemote;
use crate::injected_failure::InjectedFailure;
use crate::service;

impl Remote for Mutated<SimRemote> {
    fn destination(&self) -> Destination {
        let destination = self.port.destination();
        if self.mutation.is(Mutant::AnyEndpoint) {
            return Destination { endpoint: "https://service".to_owned(), ..destination };
        }
        destination
    }

    async fn identity(&self, id: &str) -> Result<Identity, Error> {
        match self.port.identity(id).await {
            Err(Error::NotFound { .. }) if self.mutation.is(Mutant::RecognizesAnyService) => {
                Ok(service::minimal_identity(id))
            }
            identity => identity,
        }
    }

    async fn jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        let Listing { items, server_time } = self.mutation.list(self.port.jobs(identity_id).await)?;
        let items = items.into_iter().map(|job| self.mutation.observed_job(job)).collect();
        let server_time = server_time.filter(|_| !self.mutation.is(Mutant::IgnoresTimesOfLists));
        Ok(Listing { items, server_time })
    }

    async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        let Answer { mut item, server_time } = self.port.job(identity_id, job_id).await?;
        if self.mutation.is(Mutant::AdoptsFromList)
            && let Ok(list) = self.port.jobs(identity_id).await
        {
            item = list.items.into_iter().find(|job| job.id == job_id).unwrap_or(item);
        }
        Ok(Answer { item: self.mutation.observed_job(self.mutation.read_job(item)), server_time })
    }

    async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        self.port.identities_by_username(username).await
    }

    async fn page_of_all_jobs(&self, page_token: Option<String>) -> Result<JobsPage, Error> {
        let key = page_token.clone();
        if self.mutation.is(Mutant::BelievesOldLists)
            && let Some(page) = self.mutation.process.old_pages.lock().get(&key)
        {
            return Ok(page.clone());
        }
        let mut page = self.port.page_of_all_jobs(page_token).await?;
        if self.mutation.is(Mutant::MissesPages) {
            (page.next_page_token, page.total_size) = (None, Some(page.items.len() as u64));
        }
        if self.mutation.is(Mutant::BelievesOldLists) {
            self.mutation.process.old_pages.lock().insert(key, page.clone());
        }
        Ok(page)
    }

    async fn page_of_identities(&self, page_token: Option<String>) -> Result<RealmPage<Identity>, Error> {
        self.port.page_of_identities(page_token).await
    }

    async fn revoke_job(&self, identity_id: &str, job_id: &str) -> Result<(), Error> {
        self.port.revoke_job(identity_id, job_id).await
    }

    async fn create_job(
        &self,
        ticket: Ticket<SendRecord>,
        timeout: Duration,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        let record = ticket.record().clone();
        let mut answer = self.port.create_job(ticket, timeout).await;
        if self.mutation.posts_again(&answer) {
            answer = self.port.post(&record, timeout).await;
        }
        if self.mutation.sends_while_rate_limited(&answer) {
            _ = self.port.post(&record, timeout).await;
        }
        self.mutation.classified(answer)
    }

    async fn configs(&self) -> Result<Listing<AuthenticatorConfig>, Error> {
        self.mutation.list(self.port.configs().await)
    }

    async fn config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        self.port.config(id).await
    }

    async fn create_config(
        &self,
        ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<AuthenticatorConfig, Error> {
        self.mutation.classified(self.port.create_config(ticket, config, timeout).await)
    }

    async fn patch_config(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<PatchedConfig, Error> {
        self.port.patch_config(id, patch).await
    }

    async fn delete_config(&self, id: &str) -> Result<(), Error> {
        self.port.delete_config(id).await
    }
}

impl Mutation {
    /// A list as the process receives it.
    fn list<T>(&self, list: Result<Listing<T>, Error>) -> Result<Listing<T>, Error> {
        match list {
            Err(Error::InDoubt { cause: Doubt::Unusable, .. }) if self.is(Mutant::UnusableListIsEmpty) => {
                Ok(Listing { items: Vec::new(), server_time: None })
            }
            list => list,
        }
    }

    /// A job as the process receives it.
    fn observed_job(&self, mut job: CredentialBindingJob) -> CredentialBindingJob {
        if self.is(Mutant::IgnoresExpireTimes) {
            job.expire_time = None;
        }
        job
    }

    /// A job from a read by id.
    fn read_job(&self, mut job: CredentialBindingJob) -> CredentialBindingJob {
        if self.is(Mutant::AdoptsExpired) && job.state == Some(JobState::Expired) {
            job.state = Some(JobState::LinkSent);
        }
        if self.is(Mutant::FinalizesBeforeSettleTime)
            && let Some(created) = job.create_time.as_mut()
            && let Ok(time) = created.parse::<Timestamp>()
        {
            // As if it were old. Only a deletion uses this time.
            *created = (time - Duration::from_secs(3600)).to_string();
        }
        job
    }

    /// Whether the POST is repeated.
    fn posts_again<T>(&self, answer: &Result<T, Error>) -> bool {
        self.is(Mutant::PostsAgain) && matches!(answer, Err(Error::InDoubt { cause: Doubt::Timeout, .. }))
    }

    /// Whether a rate-limited call is sent.
    fn sends_while_rate_limited<T>(&self, answer: &Result<T, Error>) -> bool {
        let rate_limited = Error::from(InjectedFailure::RateLimited).to_string();
        let is_rate_limited = answer.as_ref().is_err_and(|error| error.to_string() == rate_limited);
        self.is(Mutant::SendsWhileRateLimited) && is_rate_limited
    }

    /// The answer to a POST as it is classified.
    fn classified<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        let not_sent = |message| Err(Error::Retry { cause: NotSent::NoConnection, after: None, message });
        match (self.mutant, answer) {
            (Some(Mutant::ServerErrorIsNotSent), Err(Error::InDoubt { cause: Doubt::Server, message, .. })) => {
                not_sent(message)
            }
            (Some(Mutant::ConnectionLostIsNotSent), Err(Error::InDoubt { cause: Doubt::Connection, message, .. })) => {
                not_sent(message)
            }
            (_, answer) => answer,
        }
    }
}
