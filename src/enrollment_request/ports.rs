//! The ports: what the loop reaches the world by, and what it awaits from the remote side.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Times;
use super::reservations::Reservations;
use crate::api::enrollment_request::SendRecord;
use crate::beyond_identity::types::{CredentialBindingJob, DeliveryMethod, Identity, NewJob};
use crate::beyond_identity::{Answer, Error, Listing, RealmClient};
use crate::reconcile::{Destination, Environment, Memories, Ticket};

/// All that the loop reaches the world by.
pub struct Ports<O, C, R> {
    /// The requests.
    pub requests: O,
    /// The authenticator configurations.
    pub configs: C,
    /// The way to the remote side.
    pub realms: R,
    /// Time, chance, leave to act.
    pub environment: Arc<dyn Environment>,
    /// Which person belongs to which request. Shared by all loops of a process.
    pub reservations: Arc<Reservations>,
    /// What is remembered of each request.
    pub memories: Memories,
    /// Whether no deletion touches the remote side, whatever a spec says.
    pub orphan_on_delete: bool,
    /// The times to go by.
    pub times: Times,
}

/// The calls that the loop makes in one realm.
pub trait Remote: Send + Sync {
    /// Where the calls go.
    fn destination(&self) -> Destination;

    /// Reads an identity.
    fn identity(&self, id: &str) -> impl Future<Output = Result<Identity, Error>> + Send;

    /// Lists all jobs of an identity.
    fn jobs(&self, identity_id: &str) -> impl Future<Output = Result<Listing<CredentialBindingJob>, Error>> + Send;

    /// Reads one job.
    fn job(
        &self,
        identity_id: &str,
        job_id: &str,
    ) -> impl Future<Output = Result<Answer<CredentialBindingJob>, Error>> + Send;

    /// Lists the ids of all authenticator configurations.
    fn config_ids(&self) -> impl Future<Output = Result<BTreeSet<String>, Error>> + Send;

    /// Reads the identities of a username.
    fn identities_by_username(&self, username: &str) -> impl Future<Output = Result<Vec<Identity>, Error>> + Send;

    /// Revokes a job.
    fn revoke_job(&self, identity_id: &str, job_id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes a job, which sends an email. It takes the ticket: there is one email for each record written.
    fn create_job(
        &self,
        ticket: Ticket<SendRecord>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer<CredentialBindingJob>, Error>> + Send;
}

impl Remote for RealmClient {
    fn destination(&self) -> Destination {
        self.into()
    }

    async fn identity(&self, id: &str) -> Result<Identity, Error> {
        self.identity(id).await
    }

    async fn jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        self.list_jobs(identity_id).await
    }

    async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        self.job(identity_id, job_id).await
    }

    async fn config_ids(&self) -> Result<BTreeSet<String>, Error> {
        Ok(self.list_authenticator_configs().await?.items.into_iter().map(|config| config.id).collect())
    }

    async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        self.identities_by_username(username).await
    }

    async fn revoke_job(&self, identity_id: &str, job_id: &str) -> Result<(), Error> {
        self.revoke_job(identity_id, job_id).await
    }

    async fn create_job(
        &self,
        ticket: Ticket<SendRecord>,
        timeout: Duration,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        let send = ticket.record();
        let job = NewJob {
            delivery_method: DeliveryMethod::from(send.delivery_method.as_str()),
            authenticator_config_id: send.authenticator_config_id.clone(),
            post_binding_redirect_uri: send.post_binding_redirect_uri.clone(),
        };
        self.create_job(&send.identity_id, &job, timeout).await
    }
}
