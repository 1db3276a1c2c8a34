//! A link that is out, and what a page of a realm's jobs shows of it.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::api::ProviderConfigRef;
use crate::beyond_identity::types::CredentialBindingJob;
use crate::beyond_identity::{Error, JobsPage, NotSent};
use crate::enrollment_request::plan::poll_interval;
use crate::reconcile::{Failure, FailureKind, ObjectKey};

/// A link that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The job.
    pub job_id: String,
    /// The request that sent it.
    pub request: ObjectKey,
    /// The provider config that it was sent through.
    pub provider: ProviderConfigRef,
    /// The identity.
    pub identity_id: String,
    /// The state of the job in the status.
    pub state: Option<String>,
    /// When the job was created, if that is known.
    pub create_time: Option<Timestamp>,
    /// When the link expires.
    pub expire_time: Option<Timestamp>,
    /// Whether the status shows that it has expired.
    pub expired: bool,
    /// Whether this process found the job when it last read it; `None` if it has not read it.
    pub found: Option<bool>,
    /// When the job is to be read; `None` for at once.
    pub due: Option<Instant>,
}

impl Link {
    /// Whether a page shows the job as the status does.
    pub(super) fn is_as(&self, shown: &Shown) -> bool {
        let same_identity = shown.identity_id.as_ref().is_none_or(|id| *id == self.identity_id);
        let same_expiry = shown.expire_time.is_none() || shown.expire_time == self.expire_time;
        shown.state == self.state && same_identity && same_expiry && self.found != Some(false)
    }
}

/// What a page shows of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The job.
    pub job_id: String,
    /// Its identity, unless the page omits that.
    pub identity_id: Option<String>,
    /// Its state.
    pub state: Option<String>,
    /// When it was created.
    pub create_time: Option<Timestamp>,
    /// When its link expires.
    pub expire_time: Option<Timestamp>,
}

/// The answer to a request for a page.
#[derive(Debug)]
pub struct ShownPage {
    /// The jobs.
    pub jobs: Vec<Shown>,
    /// How many jobs the list has, as the service says.
    pub total: Option<u64>,
    /// The token of the next page.
    pub next: Option<String>,
}

impl From<JobsPage> for ShownPage {
    fn from(JobsPage { items: jobs, total_size, next_page_token, .. }: JobsPage) -> Self {
        let shown = |job: CredentialBindingJob| Shown {
            state: job.state.as_ref().map(|state| state.as_str().to_owned()),
            create_time: poll_interval::time(job.create_time.as_deref()),
            expire_time: poll_interval::time(job.expire_time.as_deref()),
            job_id: job.id,
            identity_id: job.identity_id,
        };
        Self { jobs: jobs.into_iter().map(shown).collect(), total: total_size, next: next_page_token }
    }
}

/// Why a page was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// It was not asked for, since the calls of the tenant have to wait.
    NotItsTurn,
    /// It was not asked for, since the provider config may not call, or calls another realm now.
    NotAllowed,
    /// The service answered with an error, or not at all.
    Failed,
    /// The service has no such list.
    NoList,
}

impl From<&Failure> for NoPage {
    fn from(failure: &Failure) -> Self {
        if failure.kind == FailureKind::RateLimited { Self::NotItsTurn } else { Self::NotAllowed }
    }
}

impl From<&Error> for NoPage {
    fn from(error: &Error) -> Self {
        match error {
            Error::Retry { cause: NotSent::TooManyCalls, .. } => Self::NotItsTurn,
            Error::Retry { cause: NotSent::Stopped, .. } => Self::NotAllowed,
            Error::Retry { .. } | Error::InDoubt { .. } | Error::Refused { .. } => Self::Failed,
            Error::NotFound { .. } => Self::NoList,
        }
    }
}
