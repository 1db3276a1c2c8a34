//! How an operator is to run.

use std::net::SocketAddr;
use std::time::Duration;

use crate::beyond_identity::CaBundle;
use crate::queue::fair::Bounds;
use crate::reconcile::{Options, Times};

/// How an operator is to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces to watch; none: every namespace.
    pub watch_namespaces: Vec<String>,
    /// Where the Lease and the Secrets of cluster-scoped provider configs lie.
    pub operator_namespace: String,
    /// Under which name this process takes the Lease, a name that no other process ever has; `None`: there is no other
    /// process beside this one, and no Lease.
    pub lease_holder: Option<String>,
    /// The cluster's name, part of the mark of what is made.
    pub cluster_name: String,
    /// Where `/healthz` and `/readyz` are served.
    pub health_address: SocketAddr,
    /// Where `/metrics` is served.
    pub metrics_address: SocketAddr,
    /// Certificate authorities that the service may go by, beside those of the system.
    pub ca_bundle: CaBundle,
    /// How long one call to the service may take.
    pub request_timeout: Duration,
    /// How long after a call in doubt a list may still miss its effect.
    pub settle_time: Duration,
    /// How long what could come right by itself is in progress, before it is stalled.
    pub grace_period: Duration,
    /// How soon an outstanding job is looked at again at the earliest.
    pub job_poll_min: Duration,
    /// How late at the latest.
    pub job_poll_max: Duration,
    /// When what only a person can mend is tried again.
    pub resync_interval: Duration,
    /// Whether no deletion touches the remote side, whatever a deletion policy says.
    pub orphan_on_delete: bool,
    /// Reconciles of one kind at the same time, in all.
    pub max_concurrent_reconciles: u16,
    /// Reconciles of one kind at the same time, for each provider config.
    pub max_concurrent_reconciles_per_provider_config: u16,
    /// Whether an endpoint may be plain http on a loopback address.
    pub allow_loopback_endpoints: bool,
}

impl Settings {
    /// How many objects of one kind are reconciled at the same time.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            total: self.max_concurrent_reconciles.into(),
            per_provider_config: self.max_concurrent_reconciles_per_provider_config.into(),
        }
    }

    /// What reconciles go by.
    pub(crate) fn options(&self) -> Options {
        Options {
            cluster: self.cluster_name.clone(),
            orphan_on_delete: self.orphan_on_delete,
            times: Times {
                request_timeout: self.request_timeout,
                settle: self.settle_time,
                job_poll_min: self.job_poll_min,
                job_poll_max: self.job_poll_max,
                resync: self.resync_interval,
                grace: self.grace_period,
            },
        }
    }
}
