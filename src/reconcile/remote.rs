//! The calls of reconciles to one realm of the service.

use std::future::Future;
use std::time::Duration;

use super::{Destination, Ticket};
use crate::api::authenticator_config::CreateRecord;
use crate::api::enrollment_request::SendRecord;
use crate::beyond_identity::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, DeliveryMethod, Identity,
    NewAuthenticatorConfig, NewJob, PatchedConfig,
};
use crate::beyond_identity::{Answer, Error, JobsPage, Listing, RealmClient, RealmPage};

/// The calls of reconciles to one realm of the service.
pub trait Remote: Send + Sync {
    /// Where the calls go.
    fn destination(&self) -> Destination;

    /// Lists all authenticator configurations.
    fn configs(&self) -> impl Future<Output = Result<Listing<AuthenticatorConfig>, Error>> + Send;

    /// Reads one authenticator configuration.
    fn config(&self, id: &str) -> impl Future<Output = Result<AuthenticatorConfig, Error>> + Send;

    /// Creates an authenticator configuration. It consumes the ticket: each stored record permits one call.
    fn create_config(
        &self,
        ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> impl Future<Output = Result<AuthenticatorConfig, Error>> + Send;

    /// Updates an authenticator configuration.
    fn patch_config(
        &self,
        id: &str,
        patch: &AuthenticatorConfigPatch,
    ) -> impl Future<Output = Result<PatchedConfig, Error>> + Send;

    /// Deletes an authenticator configuration.
    fn delete_config(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads an identity.
    fn identity(&self, id: &str) -> impl Future<Output = Result<Identity, Error>> + Send;

    /// Lists the identities with a username.
    fn identities_by_username(&self, username: &str) -> impl Future<Output = Result<Vec<Identity>, Error>> + Send;

    /// Lists all jobs of an identity.
    fn jobs(&self, identity_id: &str) -> impl Future<Output = Result<Listing<CredentialBindingJob>, Error>> + Send;

    /// Reads one job.
    fn job(
        &self,
        identity_id: &str,
        job_id: &str,
    ) -> impl Future<Output = Result<Answer<CredentialBindingJob>, Error>> + Send;

    /// Reads a page of the jobs of all identities: the first one, or the one of `page_token`.
    fn page_of_all_jobs(&self, page_token: Option<String>) -> impl Future<Output = Result<JobsPage, Error>> + Send;

    /// Reads a page of all identities: the first one, or the one of `page_token`.
    fn page_of_identities(
        &self,
        page_token: Option<String>,
    ) -> impl Future<Output = Result<RealmPage<Identity>, Error>> + Send;

    /// Revokes a job.
    fn revoke_job(&self, identity_id: &str, job_id: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Creates a job, which sends an email. It consumes the ticket: each stored record permits one email.
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

    async fn configs(&self) -> Result<Listing<AuthenticatorConfig>, Error> {
        self.list_authenticator_configs().await
    }

    async fn config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        self.authenticator_config(id).await
    }

    async fn create_config(
        &self,
        _ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<AuthenticatorConfig, Error> {
        Ok(self.create_authenticator_config(config, timeout).await?.item)
    }

    async fn patch_config(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<PatchedConfig, Error> {
        self.patch_authenticator_config(id, patch).await
    }

    async fn delete_config(&self, id: &str) -> Result<(), Error> {
        self.delete_authenticator_config(id).await
    }

    async fn identity(&self, id: &str) -> Result<Identity, Error> {
        self.identity(id).await
    }

    async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        self.identities_by_username(username).await
    }

    async fn jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        self.list_jobs(identity_id).await
    }

    async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        self.job(identity_id, job_id).await
    }

    async fn page_of_all_jobs(&self, page_token: Option<String>) -> Result<JobsPage, Error> {
        self.page_of_all_jobs(page_token.as_deref()).await
    }

    async fn page_of_identities(&self, page_token: Option<String>) -> Result<RealmPage<Identity>, Error> {
        self.page_of_identities(page_token.as_deref()).await
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
