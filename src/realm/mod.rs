//! Resolves a reference to a ready client: the provider config, the access check, and the credentials.

mod access;
mod endpoints;
pub mod health;
mod last_seen;
pub mod limiter;
mod metered;
mod provider_config;
mod provider_stores;
mod providers;
mod secret;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{ProviderConfigKey, ProviderConfigRef};
use crate::beyond_identity::{ApiToken, HttpClient, REQUEST_TOKEN, RealmClient, TokenEndpoint};
use crate::metrics::Metrics;
use crate::reconcile::{Caller, Failure, Permissions, Realms, Resolved};
use access::{no_resource_ids, no_revoking_adopted, not_allowed};
use health::{HealthGate, Healths, Purpose, Restrictions, TokenClaims};
use last_seen::Credentials;
use limiter::{EnqueueFn, Limiters};
use metered::{Metered, Open};
pub(crate) use provider_config::ProviderConfigResource;
use provider_config::{Application, ProviderConfig};
use providers::Missing;
use secret::Credential;
use tokens::{Issuer, Renewed, UsedToken};

pub use endpoints::EndpointRules;
pub use provider_stores::ProviderStores;
pub use providers::{ProviderCallbacks, Providers};

/// Resolves the realms of this cluster's provider configs.
pub struct KubeRealms {
    /// The provider configs.
    pub providers: Arc<Providers>,
    /// The HTTP client.
    pub http: HttpClient,
    /// The timeout of one request.
    pub request_timeout: Duration,
    /// Which endpoints may be called.
    pub endpoints: EndpointRules,
    /// The health of the provider configs.
    pub healths: Arc<Healths>,
    /// The rate limiters of the tenants.
    pub limiters: Arc<Limiters>,
    /// Counts the requests.
    pub metrics: Arc<Metrics>,
    /// Enqueues an object when it is its turn.
    pub enqueue: EnqueueFn,
}

/// A client for the checks of a provider config's credentials.
pub struct CheckSession {
    /// The client. Its calls wait for no turn, since they are few.
    pub client: RealmClient,
    /// The version of the spec and the credentials.
    pub version: u64,
    /// The tenant.
    pub tenant_id: String,
    /// What the token says about itself.
    pub claims: TokenClaims,
    /// What the provider config stops, whatever its credentials are.
    pub restrictions: Restrictions,
}

impl KubeRealms {
    /// A client for the checks of a provider config, or why there are no credentials to check.
    pub(crate) async fn check_session(&self, key: &ProviderConfigKey) -> Result<CheckSession, Failure> {
        let credentials = self.providers.credentials(key).await.map_err(|Missing { why, .. }| why)?;
        let Credentials { provider, credential } = credentials;
        let endpoint = self.endpoints.of(&provider)?;
        let version = provider.version(&credential);
        let (token, renewable) = self.token(&provider, credential).await?;
        let claims = if renewable.is_some() { TokenClaims::of_issued(&token) } else { TokenClaims::of(&token) };
        let ProviderConfig { tenant_id, realm_id, is_paused, realm_rules: realm, .. } = provider;
        let client = RealmClient::new(self.http.clone(), endpoint, &tenant_id, realm_id, token, self.request_timeout);
        let gate = Metered { gate: Open, metrics: self.metrics.clone() };
        let client = client.behind(Arc::new(Renewed { gate, token: renewable, retry: || {} }));
        Ok(CheckSession { client, version, tenant_id, claims, restrictions: Restrictions { is_paused, realm } })
    }
}

impl Realms for KubeRealms {
    type Remote = RealmClient;

    async fn resolve(&self, caller: Caller, reference: &ProviderConfigRef) -> Result<Resolved<RealmClient>, Failure> {
        let Caller { object, is_pending, is_new, is_removing } = caller;
        let namespace = object.namespace.clone();
        let key = reference.resolve(&namespace);
        let (Credentials { provider, credential }, gone) = match self.providers.credentials(&key).await {
            Ok(credentials) => (credentials, None),
            Err(Missing { why, last }) => match last.filter(|_| is_removing) {
                Some(last) => {
                    self.providers.log_use_of_last_token(&key, &why);
                    (last, Some(why))
                }
                None => return Err(why),
            },
        };
        let is_gone = gone.is_some();
        let labels = self.providers.stores().namespaces.labels(&namespace);
        let mut not_allowed = gone.or_else(|| not_allowed(&provider, &namespace, labels.as_deref()));
        let version = provider.version(&credential);
        // While there is no token, its failure is reported, and no object waits for a check.
        let token = self.token(&provider, credential).await;
        let (token, renewable) = token.inspect_err(|_| self.healths.holds_back(&key))?;
        let endpoint = self.endpoints.of(&provider)?;
        if !is_gone {
            let purpose = Purpose { kind: object.kind, is_new };
            self.healths.admit(&key, version, purpose, not_allowed.is_none()).await?;
            not_allowed = not_allowed.or_else(|| self.healths.realm_in_use(&key, version, &provider.realm_rules));
        }
        if provider.is_paused && not_allowed.is_none() {
            self.healths.holds_back(&key);
            not_allowed = Some(health::paused(&key));
        }
        let tenant_id = &provider.tenant_id;
        let permit =
            self.limiters.admit(endpoint.as_str(), tenant_id, object.clone(), is_pending, self.enqueue.clone());
        let permit = permit.map_err(Failure::not_its_turn)?;
        let http = self.http.clone();
        let remote = RealmClient::new(http, endpoint, tenant_id, &provider.realm_id, token, self.request_timeout);
        let gate = Metered { gate: permit, metrics: self.metrics.clone() };
        let enqueue = self.enqueue.clone();
        let retry = move || enqueue(&object);
        // The last known credentials are not those that the health is about.
        let remote = if is_gone {
            remote.behind(Arc::new(Renewed { gate, token: renewable, retry }))
        } else {
            let gate = HealthGate { gate, healths: self.healths.clone(), key, version };
            remote.behind(Arc::new(Renewed { gate, token: renewable, retry }))
        };
        Ok(Resolved {
            remote,
            permissions: Permissions {
                not_allowed,
                no_resource_ids: no_resource_ids(&provider),
                no_revoking_adopted: no_revoking_adopted(&provider),
                config_policy: provider.access.as_ref().map(|access| access.config_policy.clone()),
                enrollment: provider.enrollment.clone(),
                realm: provider.realm_rules.clone(),
            },
        })
    }
}

impl KubeRealms {
    /// The token for calls with this credential of `provider`, and the same one again if it can be renewed.
    async fn token(
        &self,
        provider: &ProviderConfig,
        credential: Credential,
    ) -> Result<(ApiToken, Option<UsedToken>), Failure> {
        let (Application { id, realm_id, scopes }, client) = match credential {
            Credential::Token(token) => return Ok((token, None)),
            Credential::Client(application, client) => (application, client),
        };
        let endpoint = TokenEndpoint {
            auth: self.endpoints.of_tokens(provider)?,
            tenant_id: provider.tenant_id.clone(),
            realm_id,
            application_id: id,
            scopes,
        };
        let issuer = Issuer { endpoint, client };
        let request = async {
            let begun = Instant::now();
            let result = self.http.request_token(&issuer.endpoint, &issuer.client, self.request_timeout).await;
            self.metrics.called(REQUEST_TOKEN, result.as_ref().err(), begun.elapsed());
            result.map_err(|error| tokens::failure(&error, provider))
        };
        let used = self.providers.tokens.get(&provider.key, &issuer, request).await?;
        Ok((used.issued().token.clone(), Some(used)))
    }
}
