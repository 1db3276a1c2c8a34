//! The Lease in the Kubernetes API. Each request has a timeout, and each write has the resourceVersion that was read.

use std::fmt::{self, Display};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::decide;
use crate::runtime::cause;

/// The timeout of one request: short enough for several attempts before the holder has to stop.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A lease, and the process that wants it.
pub struct Lease {
    /// This client must not retry, or a request would outlast the renewal that it was sent for.
    pub client: Client,
    /// The namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The holder identity of this process. It must be unique, even among successive processes of one pod.
    pub holder: String,
    /// The wall clock, for times that people read.
    pub clock: fn() -> Timestamp,
}

/// Why a request for the lease failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// A permission is missing.
    #[error(
        "grant the operator get and update on Lease {name} and create on leases in a Role of namespace {namespace}"
    )]
    Forbidden { namespace: String, name: String },
    /// The credentials are not valid, or not any more.
    #[error("the Kubernetes API rejects the operator's credentials (401): renew them")]
    Unauthorized,
    /// Another client wrote first.
    #[error("another client changed it first")]
    Conflict,
    /// No response within the timeout.
    #[error("no response from the Kubernetes API within {} s", TIMEOUT.as_secs())]
    Late,
    /// The API server refused the request.
    #[error("{0}")]
    Refused(String),
    /// The API server cannot be reached.
    #[error("{}", cause(.0))]
    Failed(kube::Error),
}

impl Lease {
    /// Reads the lease.
    pub(super) async fn read(&self) -> Result<Option<Object>, LeaseError> {
        self.answer(self.api().get_opt(&self.name)).await
    }

    /// Makes this process the holder, if the lease is unchanged since it was read.
    pub(super) async fn hold(&self, read: Option<Object>) -> Result<Object, LeaseError> {
        let spec = |before: Option<&LeaseSpec>| Some(decide::held(before, &self.holder, (self.clock)()));
        match read {
            Some(read) => self.replace(Object { spec: spec(read.spec.as_ref()), ..read }).await,
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let new = Object { metadata, spec: spec(None) };
                self.answer(self.api().create(&PostParams::default(), &new)).await
            }
        }
    }

    /// Releases the lease if this process holds it. Returns whether it did.
    pub(super) async fn release(&self) -> Result<bool, LeaseError> {
        loop {
            let Some(Object { metadata, spec: Some(spec) }) = self.read().await? else { return Ok(false) };
            if spec.holder_identity.as_ref() != Some(&self.holder) {
                return Ok(false);
            }
            match self.replace(Object { metadata, spec: Some(decide::free(&spec)) }).await {
                // A last renewal was still in flight.
                Err(LeaseError::Conflict) => {}
                result => return result.map(|_| true),
            }
        }
    }

    async fn replace(&self, lease: Object) -> Result<Object, LeaseError> {
        self.answer(self.api().replace(&self.name, &PostParams::default(), &lease)).await
    }

    fn api(&self) -> Api<Object> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn answer<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseError> {
        match tokio::time::timeout(TIMEOUT, call).await {
            Err(_) => Err(LeaseError::Late),
            Ok(result) => result.map_err(|error| match error {
                kube::Error::Api(status) => match status.code {
                    403 => LeaseError::Forbidden { namespace: self.namespace.clone(), name: self.name.clone() },
                    401 => LeaseError::Unauthorized,
                    409 => LeaseError::Conflict,
                    _ => LeaseError::Refused(status.message),
                },
                error => LeaseError::Failed(error),
            }),
        }
    }
}

impl Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease {}/{}", self.namespace, self.name)
    }
}
