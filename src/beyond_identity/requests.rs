//! The calls: which path, which body, and how the answer is read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::client::{Call, HttpClient, OBJECT_LIMIT, PAGE_LIMIT, Success};
use super::decode::{self, Listed, Object};
use super::endpoint::Endpoint;
use super::error::Error;
use super::filter;
use super::gate::Gate;
use super::listing::{self, Listing};
use super::operation::{self, Operation};
use super::outcome;
use super::token::ApiToken;
use super::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity, NewAuthenticatorConfig, NewJob,
};

/// All but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The calls of one realm, with one token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RealmClient {
    inner: Arc<Inner>,
    gate: Option<Arc<dyn Gate>>,
}

#[derive(Debug)]
struct Inner {
    http: HttpClient,
    endpoint: Endpoint,
    tenant_id: String,
    realm_id: String,
    token: ApiToken,
    request_timeout: Duration,
}

/// An object as the service answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The object.
    pub item: T,
    /// The service's own time when it answered, from the `Date` header.
    pub server_time: Option<Timestamp>,
}

impl RealmClient {
    /// A client for one realm. `request_timeout` is for each call that takes no timeout of its own, from the connection to
    /// the last byte of the answer; a list may take ten times as long, and each of its pages once.
    #[must_use]
    pub fn new(
        http: HttpClient,
        endpoint: Endpoint,
        tenant_id: impl Into<String>,
        realm_id: impl Into<String>,
        token: ApiToken,
        request_timeout: Duration,
    ) -> Self {
        let (tenant_id, realm_id) = (tenant_id.into(), realm_id.into());
        let inner = Arc::new(Inner { http, endpoint, tenant_id, realm_id, token, request_timeout });
        Self { inner, gate: None }
    }

    /// The same, whose calls pass through `gate`, each page of a list by itself.
    #[must_use]
    pub fn behind(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The tenant that the calls are for.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.inner.tenant_id
    }

    /// The realm that the calls are for.
    #[must_use]
    pub fn realm_id(&self) -> &str {
        &self.inner.realm_id
    }

    /// The base URL that the calls go to, without a slash at the end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.inner.endpoint.as_str()
    }

    /// Reads an identity.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none with this id.
    pub async fn identity(&self, id: &str) -> Result<Identity, Error> {
        Ok(self.read(operation::GET_IDENTITY, &["identities", id]).await?.item)
    }

    /// Reads the identities with this username: none or one, as far as the service keeps to its filter. So whoever asks
    /// compares with [`Identity::has_username`].
    ///
    /// # Errors
    /// Where the list is not whole. An identity that does not exist is an empty list. A username that cannot stand in a filter is refused without being sent. What the service says
    /// about a failure is left out of the error, since it may repeat the username.
    pub async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let operation = operation::FIND_IDENTITIES;
        let filter = filter::by_username(username).map_err(|why| outcome::local(operation, why))?;
        Ok(self.list(operation, &["identities"], Some(&filter)).await?.items)
    }

    /// Reads all jobs of an identity, finished ones too.
    ///
    /// # Errors
    /// Where the list is not whole, in whatever way: it is never taken for a shorter or an empty one.
    pub async fn list_jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        self.list(operation::LIST_JOBS, &["identities", identity_id, "credential-binding-jobs"], None).await
    }

    /// Reads one job.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none with this id.
    pub async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        self.read(operation::GET_JOB, &["identities", identity_id, "credential-binding-jobs", job_id]).await
    }

    /// Makes a job, which **sends an email to a person** where the delivery method says so. It is sent at most once, and
    /// the whole call takes at most `timeout`.
    ///
    /// # Errors
    /// After [`Error::InDoubt`] the job may exist, and the email may be on its way.
    pub async fn create_job(
        &self,
        identity_id: &str,
        job: &NewJob,
        timeout: Duration,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        let path = ["identities", identity_id, "credential-binding-jobs"];
        self.write(operation::CREATE_JOB, &path, &json!({ "job": job }), timeout).await
    }

    /// Revokes a job, so that its link leads nowhere. It is sent once, and a body of the answer is not read.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none with this id. The service refuses it with 409, which is [`Error::InDoubt`],
    /// where the job is not outstanding any more. In either case, and after any other doubt, a read tells where it stands.
    pub async fn revoke_job(&self, identity_id: &str, job_id: &str) -> Result<(), Error> {
        let operation = operation::REVOKE_JOB;
        let mut url = self.url(operation, &["identities", identity_id, "credential-binding-jobs", job_id])?;
        url.set_path(&format!("{}:revoke", url.path()));
        self.send(operation, url, Some(b"{}".to_vec()), self.inner.request_timeout, 0).await.map(drop)
    }

    /// Reads all authenticator configurations of the realm.
    ///
    /// # Errors
    /// As for [`list_jobs`](Self::list_jobs).
    pub async fn list_authenticator_configs(&self) -> Result<Listing<AuthenticatorConfig>, Error> {
        self.list(operation::LIST_CONFIGS, &["authenticator-configs"], None).await
    }

    /// Reads one authenticator configuration.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none with this id.
    pub async fn authenticator_config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        Ok(self.read(operation::GET_CONFIG, &["authenticator-configs", id]).await?.item)
    }

    /// Makes an authenticator configuration. It is sent at most once, and the whole call takes at most `timeout`.
    ///
    /// # Errors
    /// After [`Error::InDoubt`] it may exist.
    pub async fn create_authenticator_config(
        &self,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<Answer<AuthenticatorConfig>, Error> {
        let body = json!({ "authenticator_config": config });
        self.write(operation::CREATE_CONFIG, &["authenticator-configs"], &body, timeout).await
    }

    /// Changes what the patch names, and leaves the rest as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none with this id; after [`Error::InDoubt`] it may be changed.
    pub async fn patch_authenticator_config(
        &self,
        id: &str,
        patch: &AuthenticatorConfigPatch,
    ) -> Result<AuthenticatorConfig, Error> {
        let body = json!({ "authenticator_config": patch });
        let path = ["authenticator-configs", id];
        Ok(self.write(operation::PATCH_CONFIG, &path, &body, self.inner.request_timeout).await?.item)
    }

    /// Deletes an authenticator configuration. The answer has no body (the OpenAPI document says so), and none is read.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there was none with this id; after [`Error::InDoubt`] it may be gone.
    pub async fn delete_authenticator_config(&self, id: &str) -> Result<(), Error> {
        let url = self.url(operation::DELETE_CONFIG, &["authenticator-configs", id])?;
        self.send(operation::DELETE_CONFIG, url, None, self.inner.request_timeout, 0).await.map(drop)
    }

    async fn read<T: Object>(&self, operation: Operation, path: &[&str]) -> Result<Answer<T>, Error> {
        let url = self.url(operation, path)?;
        let success = self.send(operation, url, None, self.inner.request_timeout, OBJECT_LIMIT).await?;
        answer(operation, &success)
    }

    async fn write<T: Object>(
        &self,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<Answer<T>, Error> {
        let url = self.url(operation, path)?;
        let body = serde_json::to_vec(body)
            .map_err(|_| outcome::local(operation, "the request body cannot be written as JSON"))?;
        let success = self.send(operation, url, Some(body), timeout, OBJECT_LIMIT).await?;
        answer(operation, &success)
    }

    async fn list<T: Listed>(
        &self,
        operation: Operation,
        path: &[&str],
        filter: Option<&str>,
    ) -> Result<Listing<T>, Error> {
        let first = self.url(operation, path)?;
        let fetch = |page_token: Option<String>, timeout| {
            let mut query = format!("page_size={}", T::PAGE_SIZE);
            for (name, value) in [("filter", filter), ("page_token", page_token.as_deref())] {
                if let Some(value) = value {
                    // Writing to a String cannot fail.
                    let _ = write!(query, "&{name}={}", utf8_percent_encode(value, SEGMENT));
                }
            }
            let mut url = first.clone();
            url.set_query(Some(&query));
            self.send(operation, url, None, timeout, PAGE_LIMIT)
        };
        listing::read_all(operation, self.inner.request_timeout, fetch).await
    }

    async fn send(
        &self,
        operation: Operation,
        url: Url,
        body: Option<Vec<u8>>,
        timeout: Duration,
        limit: usize,
    ) -> Result<Success, Error> {
        let Inner { http, endpoint, token, .. } = &*self.inner;
        let call = Call { operation, url, token, body, timeout, limit };
        let Some(gate) = &self.gate else { return http.send(endpoint, call).await };
        gate.begin().map_err(|after| outcome::held_back(operation, after))?;
        let begun = Instant::now();
        let answer = http.send(endpoint, call).await;
        gate.end(operation, begun, answer.as_ref().err());
        answer
    }

    /// The URL of a path below the realm.
    fn url(&self, operation: Operation, path: &[&str]) -> Result<Url, Error> {
        let Inner { endpoint, tenant_id, realm_id, .. } = &*self.inner;
        let mut url = format!("{endpoint}/v1");
        for segment in ["tenants", tenant_id, "realms", realm_id].iter().chain(path) {
            // A dot segment would lead out of the realm. A dash stands for every object in this API, so that a list
            // of one person's jobs would be the list of everybody's.
            if matches!(*segment, "" | "." | ".." | "-") {
                return Err(outcome::local(operation, "an id in the path is empty, `.`, `..` or `-`"));
            }
            let _ = write!(url, "/{}", utf8_percent_encode(segment, SEGMENT));
        }
        Url::parse(&url).map_err(|_| outcome::local(operation, "the ids do not form a valid URL"))
    }
}

fn answer<T: Object>(operation: Operation, success: &Success) -> Result<Answer<T>, Error> {
    let item = decode::object_of(&success.body).map_err(|why| outcome::unusable(operation, success.status, why))?;
    Ok(Answer { item, server_time: success.server_time })
}
