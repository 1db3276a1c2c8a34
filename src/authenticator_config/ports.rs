//! The ports: what the loop reaches the world by, and what it awaits from the remote side.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Times;
use crate::api::authenticator_config::CreateRecord;
use crate::beyond_identity::types::{AuthenticatorConfig, AuthenticatorConfigPatch, NewAuthenticatorConfig};
use crate::beyond_identity::{Error, Listing, RealmClient};
use crate::reconcile::{Destination, Environment, Memories, Ticket};

/// All that the loop reaches the world by.
pub struct Ports<O, R, U> {
    /// The objects.
    pub configs: O,
    /// Who refers to them.
    pub users: U,
    /// The way to the remote side.
    pub realms: R,
    /// Time, chance, leave to act.
    pub environment: Arc<dyn Environment>,
    /// What is remembered of each object.
    pub memories: Memories,
    /// The cluster's name, for the mark.
    pub cluster: String,
    /// Whether no deletion touches the remote side, whatever a spec says.
    pub orphan_on_delete: bool,
    /// The times to go by.
    pub times: Times,
}

/// The calls that the loop makes in one realm.
pub trait Remote: Send + Sync {
    /// Where the calls go.
    fn destination(&self) -> Destination;

    /// Lists all configurations.
    fn configs(&self) -> impl Future<Output = Result<Listing<AuthenticatorConfig>, Error>> + Send;

    /// Reads one configuration.
    fn config(&self, id: &str) -> impl Future<Output = Result<AuthenticatorConfig, Error>> + Send;

    /// Makes a configuration. It takes the ticket: there is one for each record written.
    fn create(
        &self,
        ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> impl Future<Output = Result<AuthenticatorConfig, Error>> + Send;

    /// Changes a configuration.
    fn patch(&self, id: &str, patch: &AuthenticatorConfigPatch) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deletes a configuration.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
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

    async fn create(
        &self,
        _ticket: Ticket<CreateRecord>,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<AuthenticatorConfig, Error> {
        Ok(self.create_authenticator_config(config, timeout).await?.item)
    }

    async fn patch(&self, id: &str, patch: &AuthenticatorConfigPatch) -> Result<(), Error> {
        self.patch_authenticator_config(id, patch).await.map(|_| ())
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        self.delete_authenticator_config(id).await
    }
}
