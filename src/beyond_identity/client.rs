//! Sends one HTTP request exactly once, with a limit on its time and size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use parking_lot::RwLock;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Client, Method, Response, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;

use super::authorization::Authorization;
use super::ca_bundle::CaBundle;
use super::endpoint::Endpoint;
use super::error::Error;
use super::headers;
use super::operation::Operation;
use super::outcome;
use super::redaction::Redactor;
use super::secret::KnownSecrets;
use super::trace::{self, TraceId};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the idle timeouts of servers and load balancers. A POST on a connection that the other side has just
/// closed would be in doubt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The size limit of a response about one object, in bytes. Such a response never waits for other large bodies, so that the
/// answer to a POST is not lost.
pub(super) const OBJECT_LIMIT: usize = 256 * 1024;

/// The size limit of one page of a list, in bytes.
pub(super) const PAGE_LIMIT: usize = 4 * 1024 * 1024;

/// The number of bodies larger than [`OBJECT_LIMIT`] that are in memory at the same time. Decoded, each is several times as
/// large. Other calls wait before they read on.
pub(super) const LARGE_BODIES: usize = 4;

/// The size limit of an error body, in bytes. A longer one is not from the API.
const ERROR_LIMIT: usize = 64 * 1024;

/// The connections, shared by all clones. Tenant and credentials are not part of it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    user_agent: Arc<str>,
    clients: Arc<RwLock<Clients>>,
    /// For the bodies that are larger than [`OBJECT_LIMIT`].
    pub(super) large_bodies: Arc<Semaphore>,
    /// The proxy rules of the outward client, so that an error can say whether a proxy was used.
    proxies: Arc<Matcher>,
    /// The credentials that calls were made with.
    secrets: Arc<KnownSecrets>,
    shows_messages: bool,
}

/// The clients that trust the same certificate authorities.
#[derive(Debug)]
struct Clients {
    /// Honors the proxy environment variables.
    outward: Client,
    /// For loopback, without a proxy: a token on plain http must not go to another machine.
    loopback: Client,
}

/// Why the client cannot be built: the user agent is not a valid header value, or TLS has no trusted certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct BuildError(#[from] reqwest::Error);

/// A request that is ready to be sent.
pub(super) struct Call<'a> {
    pub operation: Operation,
    pub url: Url,
    pub authorization: Authorization<'a>,
    pub body: Option<Vec<u8>>,
    /// For the whole call, from connecting to the last byte of the response.
    pub timeout: Duration,
    /// The size limit of a success's body, in bytes. With 0, the body is not read.
    pub limit: usize,
}

/// A success, with its complete body.
pub(super) struct Success {
    pub status: u16,
    pub server_time: Option<Timestamp>,
    pub body: Vec<u8>,
    /// The permit for a large body. Other calls wait for it until this is dropped.
    pub _large: Option<OwnedSemaphorePermit>,
}

enum BodyError {
    TooLarge,
    Broken(reqwest::Error),
}

impl Clients {
    fn new(user_agent: &str, authorities: &CaBundle) -> reqwest::Result<Self> {
        let builder = || {
            Client::builder()
                .user_agent(user_agent)
                .tls_backend_rustls()
                .tls_certs_merge(authorities.certificates().iter().cloned())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        };
        Ok(Self { outward: builder().build()?, loopback: builder().no_proxy().build()? })
    }
}

impl HttpClient {
    /// Creates a client with the `User-Agent` `NAME/VERSION`. It trusts these authorities in addition to the system's.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(user_agent: &str, authorities: &CaBundle) -> Result<Self, BuildError> {
        Ok(Self {
            user_agent: user_agent.into(),
            clients: Arc::new(RwLock::new(Clients::new(user_agent, authorities)?)),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
            proxies: Arc::new(Matcher::from_env()),
            secrets: Arc::default(),
            shows_messages: false,
        })
    }

    /// From the next call on, this client and its clones trust these authorities in addition to the system's.
    ///
    /// # Errors
    /// See [`BuildError`]. The client then stays as it is.
    pub fn trust(&self, authorities: &CaBundle) -> Result<(), BuildError> {
        let clients = Clients::new(&self.user_agent, authorities)?;
        *self.clients.write() = clients;
        Ok(())
    }

    /// The same client, whose errors contain the messages of the service. They can name people in any form.
    #[must_use]
    pub fn showing_messages(self, shows_messages: bool) -> Self {
        Self { shows_messages, ..self }
    }

    /// For the response to a call with this authorization.
    pub(super) fn redactor(&self, authorization: Authorization<'_>) -> Redactor {
        Redactor::new(authorization.secret(), self.secrets.all(), self.shows_messages)
    }

    pub(super) async fn send(&self, endpoint: &Endpoint, call: Call<'_>) -> Result<Success, Error> {
        let operation = call.operation;
        let started = Instant::now();
        self.secrets.add(call.authorization.secret());
        let outcome = self.attempt(endpoint, call).await;
        let status = match &outcome {
            Ok(success) => Some(success.status),
            Err(error) => error.status(),
        };
        debug!(
            method = operation.method,
            operation = operation.path,
            status,
            trace_id = TraceId::current().map(tracing::field::display),
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "Called the Beyond Identity API"
        );
        outcome
    }

    fn is_proxied(&self, url: &Url) -> bool {
        url.as_str().parse().is_ok_and(|uri| self.proxies.intercept(&uri).is_some())
    }

    async fn attempt(&self, endpoint: &Endpoint, call: Call<'_>) -> Result<Success, Error> {
        let Call { operation, url, authorization, body, timeout, limit } = call;
        let method = Method::from_bytes(operation.method.as_bytes())
            .map_err(|_| outcome::local(operation, "the method is not an HTTP method"))?;
        let credentials = authorization
            .header()
            .ok_or_else(|| outcome::local(operation, "the credentials are not a valid header value"))?;
        let client = {
            let clients = self.clients.read();
            if endpoint.is_loopback() { clients.loopback.clone() } else { clients.outward.clone() }
        };
        let proxied = !endpoint.is_loopback() && self.is_proxied(&url);
        let mut request = client
            .request(method, url)
            .header(AUTHORIZATION, credentials)
            .header(ACCEPT, "application/json")
            .timeout(timeout);
        if operation.is_read() {
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        if let Some(traceparent) = trace::header() {
            request = request.header("traceparent", traceparent);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, authorization.content_type()).body(body);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| outcome::unanswered(operation, &error, proxied, timeout, &self.redactor(authorization)))?;

        let status = response.status().as_u16();
        if operation.is_read()
            && let Some(seconds) = headers::cached_for(response.headers())
        {
            return Err(outcome::cached(operation, status, seconds));
        }
        if !response.status().is_success() {
            let after = headers::wait(response.headers());
            // An incomplete body is not from the service.
            let (body, _) = self.read(&mut response, ERROR_LIMIT).await.unwrap_or_default();
            return Err(authorization.refused(operation, status, after, &body, &self.redactor(authorization)));
        }
        let server_time = headers::server_time(response.headers());
        if limit == 0 {
            return Ok(Success { status, server_time, body: Vec::new(), _large: None });
        }
        match self.read(&mut response, limit).await {
            Ok((body, _large)) => Ok(Success { status, server_time, body, _large }),
            Err(BodyError::TooLarge) => {
                Err(outcome::unusable(operation, status, &format!("the body is larger than {limit} bytes")))
            }
            Err(BodyError::Broken(error)) => {
                Err(outcome::broken(operation, Some(status), &error, timeout, &self.redactor(authorization)))
            }
        }
    }

    /// Reads a body of at most `limit` bytes, and stops at the first excess byte. Returns the permit of a large body too.
    async fn read(
        &self,
        response: &mut Response,
        limit: usize,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), BodyError> {
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(BodyError::TooLarge);
        }
        let (mut body, mut large) = (Vec::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
            if chunk.len() > limit - body.len() {
                return Err(BodyError::TooLarge);
            }
            if large.is_none() && body.len() + chunk.len() > OBJECT_LIMIT {
                large = self.large_bodies.clone().acquire_owned().await.ok();
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, large))
    }
}
