//! The Lease in the Kubernetes API: each call has a timeout, and each write the resourceVersion that was read.

use std::fmt::{self, Display};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::decide;
use crate::runtime::cause;

/// How long one call may take: short enough for several before the holder has to stop.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A lease, and who wants it.
pub struct Lease {
    /// Its client must not retry by itself, or a call outlasts what it was made for.
    pub client: Client,
    /// Where the lease lies.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Under which name this process takes it: no other process may have that, not even the next one of the same pod.
    pub holder: String,
    /// The wall clock, for what is shown to people.
    pub clock: fn() -> Timestamp,
}

/// Why a call about the lease came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// A right is missing.
    #[error(
        "grant the operator get and update on Lease {name} and create on leases in a Role of namespace {namespace}"
    )]
    Forbidden { namespace: String, name: String },
    /// Somebody else wrote first.
    #[error("another client changed it first")]
    Conflict,
    /// No answer.
    #[error("no response from the Kubernetes API within {} s", TIMEOUT.as_secs())]
    Late,
    /// The API server says no.
    #[error("{0}")]
    Refused(String),
    /// There is no way to the API server.
    #[error("{}", cause(.0))]
    Failed(kube::Error),
}

impl Lease {
    /// The lease as it is now.
    pub(super) async fn read(&self) -> Result<Option<Object>, LeaseError> {
        self.answer(self.api().get_opt(&self.name)).await
    }

    /// Makes it this process's, if it is still as it was read.
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

    /// Makes it nobody's, where it is this process's. Says whether it was.
    pub(super) async fn release(&self) -> Result<bool, LeaseError> {
        loop {
            let Some(Object { metadata, spec: Some(spec) }) = self.read().await? else { return Ok(false) };
            if spec.holder_identity.as_ref() != Some(&self.holder) {
                return Ok(false);
            }
            match self.replace(Object { metadata, spec: Some(decide::free(&spec)) }).await {
                // A last renewal was still on its way.
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
