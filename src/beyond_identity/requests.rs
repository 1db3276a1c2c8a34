//! The requests: their paths and bodies, and how the responses are decoded.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::asked::Asked;
use super::authorization::Authorization;
use super::client::{Call, HttpClient, OBJECT_LIMIT, PAGE_LIMIT, Success};
use super::decode::{self, Listed, Object, Page};
use super::endpoint::Endpoint;
use super::error::Error;
use super::filter;
use super::gate::Gate;
use super::listing::{self, Listing, union_by_id};
use super::operation::{self, Operation};
use super::outcome;
use super::redaction::Redactor;
use super::token::ApiToken;
use super::types::{
    AuthenticatorConfig, AuthenticatorConfigPatch, CredentialBindingJob, Identity, NewAuthenticatorConfig, NewJob,
    PatchedConfig,
};
use super::username;

/// All characters except the unreserved ones of RFC 3986.
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client for one realm with one token. Cheap to clone.
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

/// An object as the service returned it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The object.
    pub item: T,
    /// The service's time of the response, from the `Date` header.
    pub server_time: Option<Timestamp>,
}

/// A page of a list of a whole realm.
#[derive(Debug, Clone, PartialEq)]
pub struct RealmPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// The number of items on all pages.
    pub total_size: Option<u64>,
    /// For the next page, unless this is the last one.
    pub next_page_token: Option<String>,
    /// The service's time of the response, from the `Date` header.
    pub server_time: Option<Timestamp>,
}

/// A page of the jobs of a realm.
pub type JobsPage = RealmPage<CredentialBindingJob>;

impl RealmClient {
    /// A client for one realm. `request_timeout` applies to each call without its own timeout, from connecting to the
    /// last byte of the response. A list may take ten times as long, and each of its pages once.
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

    /// The same client with a gate. Each page of a list passes through it separately.
    #[must_use]
    pub fn behind(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The tenant of the requests.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.inner.tenant_id
    }

    /// The realm of the requests.
    #[must_use]
    pub fn realm_id(&self) -> &str {
        &self.inner.realm_id
    }

    /// The base URL of the requests, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.inner.endpoint.as_str()
    }

    /// Reads an identity.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this id.
    pub async fn identity(&self, id: &str) -> Result<Identity, Error> {
        Ok(self.read(operation::GET_IDENTITY, &["identities", id], self.asked_for(id)).await?.item)
    }

    /// Reads the identities with this username, in each form that the service may store: none or one, if the service honors
    /// its filter. So the caller must compare with [`Identity::has_username`].
    ///
    /// # Errors
    /// If the list is incomplete. An identity that does not exist is an empty list. A username that a filter cannot
    /// express is refused without being sent. The error omits the service's message, because it may repeat the
    /// username.
    pub async fn identities_by_username(&self, username: &str) -> Result<Vec<Identity>, Error> {
        let operation = operation::FIND_IDENTITIES;
        let mut found: Vec<Identity> = Vec::new();
        for form in username::forms(username) {
            let filter = filter::by_username(&form).map_err(|why| outcome::local(operation, why))?;
            let listed = self.list::<Identity>(operation, &["identities"], Some(&filter), self.asked()).await?.items;
            found = union_by_id(found, listed, |identity| &identity.id);
        }
        Ok(found)
    }

    /// Reads all jobs of an identity, including finished ones.
    ///
    /// # Errors
    /// If the list is incomplete in any way. It is never treated as a shorter or an empty one.
    pub async fn list_jobs(&self, identity_id: &str) -> Result<Listing<CredentialBindingJob>, Error> {
        let path = ["identities", identity_id, "credential-binding-jobs"];
        self.list(operation::LIST_JOBS, &path, None, self.asked_of(identity_id)).await
    }

    /// Reads one page of the jobs of all identities, including finished jobs: the first one, or the one of `page_token`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the service does not know the wildcard `-` for an identity.
    pub async fn page_of_all_jobs(&self, page_token: Option<&str>) -> Result<JobsPage, Error> {
        let mut url = self.url(operation::LIST_ALL_JOBS, &["identities"])?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["-", "credential-binding-jobs"]);
        }
        self.page(operation::LIST_ALL_JOBS, url, page_token).await
    }

    /// Reads one page of all identities: the first one, or the one of `page_token`.
    ///
    /// # Errors
    /// If the page cannot be read or used. The error omits the service's message, because it may have personal data.
    pub async fn page_of_identities(&self, page_token: Option<&str>) -> Result<RealmPage<Identity>, Error> {
        let url = self.url(operation::FIND_IDENTITIES, &["identities"])?;
        self.page(operation::FIND_IDENTITIES, url, page_token).await
    }

    /// Reads one page of the list at `url`.
    async fn page<T: Listed>(
        &self,
        operation: Operation,
        url: Url,
        page_token: Option<&str>,
    ) -> Result<RealmPage<T>, Error> {
        let url = page_url(url, T::PAGE_SIZE, None, page_token);
        let success = self.send(operation, url, None, self.inner.request_timeout, PAGE_LIMIT).await?;
        let page = decode::page_of::<T>(&success.body, &self.redactor());
        let checked =
            page.and_then(|page| page.items.iter().try_for_each(|item| self.asked().check(item)).map(|()| page));
        let Page { items, total_size, next_page_token } =
            checked.map_err(|why| outcome::unusable(operation, success.status, why))?;
        Ok(RealmPage { items, total_size, next_page_token, server_time: success.server_time })
    }

    /// Reads one job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this id.
    pub async fn job(&self, identity_id: &str, job_id: &str) -> Result<Answer<CredentialBindingJob>, Error> {
        // Whether the job is one of the identity is for the caller to decide: both ids may come from a status that
        // somebody has edited.
        let path = ["identities", identity_id, "credential-binding-jobs", job_id];
        self.read(operation::GET_JOB, &path, self.asked_for(job_id)).await
    }

    /// Creates a job, which **sends an email to a person** if the delivery method says so. The request is sent at most
    /// once, and the whole call takes at most `timeout`.
    ///
    /// # Errors
    /// After [`Error::InDoubt`], the job may exist, and the email may have been sent.
    pub async fn create_job(
        &self,
        identity_id: &str,
        job: &NewJob,
        timeout: Duration,
    ) -> Result<Answer<CredentialBindingJob>, Error> {
        let path = ["identities", identity_id, "credential-binding-jobs"];
        self.write(operation::CREATE_JOB, &path, &json!({ "job": job }), self.asked_of(identity_id), timeout).await
    }

    /// Revokes a job, so that its link no longer works. The request is sent once, and the response body is not read.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this id. The service responds with 409, which is [`Error::InDoubt`],
    /// if the job is no longer outstanding. In both cases, and after any other doubt, a read shows the state of the
    /// job.
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
        self.list(operation::LIST_CONFIGS, &["authenticator-configs"], None, self.asked()).await
    }

    /// The same in pages of another size.
    pub(super) async fn list_authenticator_configs_by(
        &self,
        page_size: u32,
    ) -> Result<Listing<AuthenticatorConfig>, Error> {
        self.list_by(page_size, operation::LIST_CONFIGS, &["authenticator-configs"], None, self.asked()).await
    }

    /// Reads one authenticator configuration.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this id.
    pub async fn authenticator_config(&self, id: &str) -> Result<AuthenticatorConfig, Error> {
        Ok(self.read(operation::GET_CONFIG, &["authenticator-configs", id], self.asked_for(id)).await?.item)
    }

    /// Creates an authenticator configuration. The request is sent at most once, and the whole call takes at most
    /// `timeout`.
    ///
    /// # Errors
    /// After [`Error::InDoubt`], it may exist.
    pub async fn create_authenticator_config(
        &self,
        config: &NewAuthenticatorConfig,
        timeout: Duration,
    ) -> Result<Answer<AuthenticatorConfig>, Error> {
        let body = json!({ "authenticator_config": config });
        self.write(operation::CREATE_CONFIG, &["authenticator-configs"], &body, self.asked(), timeout).await
    }

    /// Changes the fields in the patch, and leaves the others unchanged.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none with this id. After [`Error::InDoubt`], it may be changed.
    pub async fn patch_authenticator_config(
        &self,
        id: &str,
        patch: &AuthenticatorConfigPatch,
    ) -> Result<PatchedConfig, Error> {
        let body = json!({ "authenticator_config": patch });
        let path = ["authenticator-configs", id];
        let (asked, timeout) = (self.asked_for(id), self.inner.request_timeout);
        Ok(self.write(operation::PATCH_CONFIG, &path, &body, asked, timeout).await?.item)
    }

    /// Deletes an authenticator configuration. By the OpenAPI document, the response has no body, so none is read.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there was none with this id. After [`Error::InDoubt`], it may be deleted.
    pub async fn delete_authenticator_config(&self, id: &str) -> Result<(), Error> {
        let url = self.url(operation::DELETE_CONFIG, &["authenticator-configs", id])?;
        self.send(operation::DELETE_CONFIG, url, None, self.inner.request_timeout, 0).await.map(drop)
    }

    /// Reads one page of a list with at most one item, to see whether the service answers.
    pub(super) async fn first_page<T: Listed>(
        &self,
        operation: Operation,
        path: &[&str],
        filter: Option<&str>,
    ) -> Result<(), Error> {
        let url = page_url(self.url(operation, path)?, 1, filter, None);
        let success = self.send(operation, url, None, self.inner.request_timeout, PAGE_LIMIT).await?;
        let page = decode::page_of::<T>(&success.body, &self.redactor());
        let checked = page.and_then(|page| page.items.iter().try_for_each(|item| self.asked().check(item)));
        checked.map_err(|why| outcome::unusable(operation, success.status, why))
    }

    async fn read<T: Object>(&self, operation: Operation, path: &[&str], asked: Asked<'_>) -> Result<Answer<T>, Error> {
        let url = self.url(operation, path)?;
        let success = self.send(operation, url, None, self.inner.request_timeout, OBJECT_LIMIT).await?;
        self.answer(operation, asked, &success)
    }

    async fn write<T: Object>(
        &self,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
        asked: Asked<'_>,
        timeout: Duration,
    ) -> Result<Answer<T>, Error> {
        let url = self.url(operation, path)?;
        let body = serde_json::to_vec(body)
            .map_err(|_| outcome::local(operation, "the request body cannot be written as JSON"))?;
        let success = self.send(operation, url, Some(body), timeout, OBJECT_LIMIT).await?;
        self.answer(operation, asked, &success)
    }

    async fn list<T: Listed>(
        &self,
        operation: Operation,
        path: &[&str],
        filter: Option<&str>,
        asked: Asked<'_>,
    ) -> Result<Listing<T>, Error> {
        self.list_by(T::PAGE_SIZE, operation, path, filter, asked).await
    }

    async fn list_by<T: Listed>(
        &self,
        page_size: u32,
        operation: Operation,
        path: &[&str],
        filter: Option<&str>,
        asked: Asked<'_>,
    ) -> Result<Listing<T>, Error> {
        let first = self.url(operation, path)?;
        let fetch = |page_token: Option<String>, timeout| {
            let url = page_url(first.clone(), page_size, filter, page_token.as_deref());
            self.send(operation, url, None, timeout, PAGE_LIMIT)
        };
        listing::read_all(operation, self.inner.request_timeout, &self.redactor(), &asked, fetch).await
    }

    fn redactor(&self) -> Redactor {
        self.inner.http.redactor(Authorization::Token(&self.inner.token))
    }

    fn answer<T: Object>(&self, operation: Operation, asked: Asked<'_>, success: &Success) -> Result<Answer<T>, Error> {
        let decoded = decode::object_of(&success.body, &self.redactor());
        let item = decoded
            .and_then(|item: T| asked.check(&item).map(|()| item))
            .map_err(|why| outcome::unusable(operation, success.status, why))?;
        Ok(Answer { item, server_time: success.server_time })
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
        let authorization = Authorization::Token(token);
        let call = Call { operation, url, authorization, body, timeout, limit };
        let Some(gate) = &self.gate else { return http.send(endpoint, call).await };
        gate.begin(operation).map_err(|held| outcome::held_back(operation, held))?;
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
            // A dot segment would lead out of the realm. A dash matches every object in this API, so a list of one
            // identity's jobs would become the list of all jobs.
            if matches!(*segment, "" | "." | ".." | "-") {
                return Err(outcome::local(operation, "an id in the path is empty, `.`, `..` or `-`"));
            }
            let _ = write!(url, "/{}", utf8_percent_encode(segment, SEGMENT));
        }
        Url::parse(&url).map_err(|_| outcome::local(operation, "the ids do not form a valid URL"))
    }
}

/// The URL of a page of the list at `url`.
fn page_url(mut url: Url, page_size: u32, filter: Option<&str>, page_token: Option<&str>) -> Url {
    let mut query = format!("page_size={page_size}");
    for (name, value) in [("filter", filter), ("page_token", page_token)] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(query, "&{name}={}", utf8_percent_encode(value, SEGMENT));
        }
    }
    url.set_query(Some(&query));
    url
}
