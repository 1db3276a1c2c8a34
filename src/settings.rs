//! The settings of the operator.

use std::path::PathBuf;
use std::time::Duration;

use crate::queue::fair::Bounds;
use crate::realm::EndpointRules;
use crate::reconcile::{Options, Times};
use crate::runtime::listen::ListenAddress;

/// The settings of the operator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces to watch; empty: all namespaces.
    pub watch_namespaces: Vec<String>,
    /// The namespace of the Lease and of the Secrets of ClusterProviderConfigs.
    pub operator_namespace: String,
    /// The holder identity of this process in the Lease, which no other process ever uses. `None`: this is the only
    /// process, and there is no Lease.
    pub lease_holder: Option<String>,
    /// The cluster's name, part of the ownership mark of every configuration.
    pub cluster_name: String,
    /// The address that serves `/healthz` and `/readyz`.
    pub health_address: ListenAddress,
    /// The address that serves `/metrics`.
    pub metrics_address: ListenAddress,
    /// Whether the metrics are served over TLS, and only to readers whom the Kubernetes API authorizes.
    pub metrics_secure: bool,
    /// The directory with the certificate of the metrics; `None`: self-signed.
    pub metrics_cert_path: Option<PathBuf>,
    /// The file with certificate authorities to trust for the service, in addition to the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Timeout of one call to the service.
    pub request_timeout: Duration,
    /// Time after a call in doubt during which lists may miss its effect.
    pub settle_time: Duration,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled.
    pub grace_period: Duration,
    /// Minimum poll interval of a job that is not COMPLETE.
    pub job_poll_min: Duration,
    /// Maximum poll interval of a job that is not COMPLETE.
    pub job_poll_max: Duration,
    /// Calls a minute for each realm to follow the links that are out.
    pub poll_budget: u32,
    /// Interval for drift detection, and for retrying problems that need manual action.
    pub resync_interval: Duration,
    /// Whether every deletion keeps its remote resources and ignores deletion policies.
    pub orphan_on_delete: bool,
    /// Whether the audit lines have the ids of jobs as they are. Otherwise their hashes.
    pub audit_job_ids: bool,
    /// Maximum number of concurrent reconciles of one kind.
    pub max_concurrent_reconciles: u16,
    /// Maximum number of concurrent reconciles of one kind for each provider config.
    pub max_concurrent_reconciles_per_provider_config: u16,
    /// Whether ClusterProviderConfigs are read.
    pub cluster_provider_configs: bool,
    /// Whether errors contain the messages of the service.
    pub show_service_messages: bool,
    /// Which endpoints of the service may be called.
    pub endpoints: EndpointRules,
}

impl Settings {
    /// The bounds of the queue of each kind.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            total: self.max_concurrent_reconciles.into(),
            per_provider_config: self.max_concurrent_reconciles_per_provider_config.into(),
        }
    }

    /// The configuration of reconciles.
    pub(crate) fn options(&self) -> Options {
        Options {
            cluster: self.cluster_name.clone(),
            orphan_on_delete: self.orphan_on_delete,
            audit_job_ids: self.audit_job_ids,
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
