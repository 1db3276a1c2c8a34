//! Metrics. Those that every controller has use controller-runtime's names, so that existing dashboards work. The rest
//! have the operator's prefix. No label contains an identity, a job or an address.

mod computed;
mod in_flight;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use jiff::Timestamp;
use kube::runtime::events::EventType;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use computed::{Computed, IsLeader};
use in_flight::InFlight;
use requests::Requests;

use crate::api::{EnrollmentRequest, ProviderConfigKey, Reason};
use crate::beyond_identity::{Error, NotSent, Operation};
use crate::reconcile::Ended;

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    leads: IsLeader,
    leader: Family<Labels<1>, Gauge>,
    reconciles: Family<Labels<2>, Counter>,
    reconcile_errors: Family<Labels<1>, Counter>,
    reconcile_time: Histograms<1>,
    active_workers: Family<Labels<1>, Gauge>,
    max_workers: Family<Labels<1>, Gauge>,
    queue_depth: Computed,
    emails: Counter,
    duplicates: Family<[(&'static str, String); 1], Counter>,
    retained: Family<[(&'static str, String); 1], Counter>,
    requests: Requests,
    token_expiration: Computed,
    provider_config_ready: Computed,
    provider_config_referrers: Computed,
    namespace_available: Computed,
    calls: Family<Labels<3>, Counter>,
    call_time: Histograms<2>,
}

/// When a token of a provider config expires.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenExpiration {
    /// The provider config.
    pub provider: ProviderConfigKey,
    /// The field of its credentials: `apiToken` or `clientCredentials`.
    pub credentials: &'static str,
    /// The time.
    pub at: Timestamp,
}

impl Metrics {
    /// Creates all metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        // From 5 ms to 80 s, which is longer than the default timeout of a request to the service.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 15));
        let (leader, reconciles, reconcile_errors) = (Family::default(), Family::default(), Family::default());
        let (active_workers, max_workers) = (Family::default(), Family::default());
        let (reconcile_time, call_time) =
            (Family::new_with_constructor(histogram), Family::new_with_constructor(histogram));
        registry.register(
            "leader_election_master_status",
            "Whether this process is the leader (1) or a standby (0)",
            Family::clone(&leader),
        );
        let of_loops = registry.sub_registry_with_prefix("controller_runtime");
        of_loops.register("reconcile", "Reconciles, by controller and result", Family::clone(&reconciles));
        of_loops.register(
            "reconcile_errors",
            "Reconciles that failed, by controller",
            Family::clone(&reconcile_errors),
        );
        of_loops.register_with_unit(
            "reconcile_time",
            "Duration of reconciles, by controller",
            Unit::Seconds,
            Family::clone(&reconcile_time),
        );
        of_loops.register("active_workers", "Reconciles in flight, by controller", Family::clone(&active_workers));
        of_loops.register(
            "max_concurrent_reconciles",
            "Maximum number of concurrent reconciles, by controller",
            Family::clone(&max_workers),
        );
        let help = "Objects waiting in the reconcile queue, by controller and priority";
        let queue_depth = Computed::register(&mut registry, "workqueue_depth", help);
        let own = registry.sub_registry_with_prefix("beyond_identity_operator");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        own.register("build", "Version of the operator", version);
        let (emails, duplicates, retained, calls) =
            (Counter::default(), Family::default(), Family::default(), Family::default());
        own.register("emails_sent", "Emails sent, counted once their job is recorded in status", emails.clone());
        let help = "Duplicate jobs and configurations found in Beyond Identity and left unchanged";
        own.register("duplicates", help, Family::clone(&duplicates));
        let help = "Objects deleted although their remote resource could not be removed";
        own.register("retained_remote_resources", help, Family::clone(&retained));
        let leads = IsLeader::default();
        let requests = Requests::register(own, &leads);
        let help = "Expiration of a provider config's token as Unix time, if it is known";
        let token_expiration =
            Computed::of_the_cluster(own, "token_expiration_timestamp", help, Some(Unit::Seconds), &leads);
        let help = "Whether a provider config is Ready (1) or not (0), a deletion not counted";
        let provider_config_ready = Computed::of_the_cluster(own, "provider_config_ready", help, None, &leads);
        let help = "Objects that refer to a provider config";
        let provider_config_referrers = Computed::of_the_cluster(own, "provider_config_referrers", help, None, &leads);
        let help = "Whether a watched namespace can be read (1) or not (0)";
        let namespace_available = Computed::of_the_cluster(own, "watched_namespace_available", help, None, &leads);
        own.register(
            "api_requests",
            "Requests to the Beyond Identity API, by method, path and outcome",
            Family::clone(&calls),
        );
        own.register_with_unit(
            "api_request_duration",
            "Duration of requests to the Beyond Identity API, by method and path",
            Unit::Seconds,
            Family::clone(&call_time),
        );
        Self {
            registry,
            leads,
            leader,
            reconciles,
            reconcile_errors,
            reconcile_time,
            active_workers,
            max_workers,
            queue_depth,
            emails,
            duplicates,
            retained,
            requests,
            token_expiration,
            provider_config_ready,
            provider_config_referrers,
            namespace_available,
            calls,
            call_time,
        }
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        _ = encode(&mut text, &self.registry);
        text
    }

    /// Sets whether this process is the leader, and so describes the cluster.
    pub fn set_leader(&self, leads: bool) {
        self.leads.set(leads);
        self.leader.get_or_create(&[("name", crate::NAME)]).set(leads.into());
    }

    /// Counts the requests that `requests` returns at each scrape. It must return all of them.
    pub fn count_requests(&self, requests: impl Fn() -> Vec<Arc<EnrollmentRequest>> + Send + Sync + 'static) {
        self.requests.count(requests);
    }

    /// Exports the expiration times that `tokens` returns, by provider config.
    pub fn observe_token_expirations(&self, tokens: impl Fn() -> Vec<TokenExpiration> + Send + 'static) {
        let labelled = |TokenExpiration { provider, credentials, at }: TokenExpiration| {
            let mut labels = labels_of(provider);
            labels.push(("credentials", credentials.to_owned()));
            (labels, at.as_second())
        };
        self.token_expiration.add(move || tokens().into_iter().map(labelled).collect());
    }

    /// Exports whether each provider config that `ready` returns is Ready.
    pub fn observe_provider_configs(&self, ready: impl Fn() -> Vec<(ProviderConfigKey, bool)> + Send + 'static) {
        let labelled = |(key, is_ready): (ProviderConfigKey, bool)| (labels_of(key), is_ready.into());
        self.provider_config_ready.add(move || ready().into_iter().map(labelled).collect());
    }

    /// Exports how many objects refer to each provider config that `referrers` returns.
    pub fn observe_referrers(&self, referrers: impl Fn() -> Vec<(ProviderConfigKey, usize)> + Send + 'static) {
        let labelled = |(key, count)| (labels_of(key), i64::try_from(count).unwrap_or(i64::MAX));
        self.provider_config_referrers.add(move || referrers().into_iter().map(labelled).collect());
    }

    /// Exports whether each watched namespace that `namespaces` returns is available.
    pub fn observe_namespaces(&self, namespaces: impl Fn() -> Vec<(String, bool)> + Send + 'static) {
        let labelled = |(namespace, available): (String, bool)| (vec![("namespace", namespace)], available.into());
        self.namespace_available.add(move || namespaces().into_iter().map(labelled).collect());
    }

    /// Registers a controller with at most `workers` concurrent reconciles. `waiting` returns the queue depth by the
    /// value of the label `priority`.
    pub fn runs(
        &self,
        controller: &'static str,
        workers: u16,
        waiting: impl Fn() -> Vec<(&'static str, usize)> + Send + 'static,
    ) {
        self.max_workers.get_or_create(&[("controller", controller)]).set(workers.into());
        // They begin at 0, so that an alert on their increase sees the first event, too.
        for family in [&self.duplicates, &self.retained] {
            _ = family.get_or_create(&[("controller", controller.to_owned())]);
        }
        self.queue_depth.add(move || {
            let labelled = |(priority, waiting): (&str, usize)| {
                let labels = [("controller", controller), ("name", controller), ("priority", priority)];
                let labels = labels.map(|(label, value)| (label, value.to_owned())).to_vec();
                (labels, i64::try_from(waiting).unwrap_or(i64::MAX))
            };
            waiting().into_iter().map(labelled).collect()
        });
    }

    /// Counts a reconcile as active until the returned guard is dropped.
    pub fn reconcile_started(&self, controller: &'static str) -> InFlight {
        InFlight::begin(self.active_workers.get_or_create(&[("controller", controller)]).clone())
    }

    /// Counts a sent email.
    pub fn email_sent(&self) {
        self.emails.inc();
    }

    /// Counts an event about an object of kind `controller`, in lower case, if its reason has a metric.
    pub fn event_emitted(&self, controller: &str, type_: EventType, reason: Reason) {
        let family = match (type_, reason) {
            (_, Reason::DuplicateJob | Reason::DuplicateConfiguration) => &self.duplicates,
            // A Normal event reports a resource that is orphaned on request.
            (EventType::Warning, Reason::RemoteResourceRetained) => &self.retained,
            _ => return,
        };
        family.get_or_create(&[("controller", controller.to_owned())]).inc();
    }

    /// Counts a finished reconcile of kind `controller`, in lower case.
    pub fn reconcile_finished(&self, controller: &'static str, ended: Ended, took: Duration) {
        let result = match ended {
            Ended::Done => "success",
            Ended::RequeueAfter => "requeue_after",
            Ended::Conflict => "requeue",
            Ended::Failed => "error",
        };
        let of = [("controller", controller)];
        self.reconciles.get_or_create(&[("controller", controller), ("result", result)]).inc();
        self.reconcile_time.get_or_create(&of).observe(took.as_secs_f64());
        let errors = self.reconcile_errors.get_or_create(&of);
        if ended == Ended::Failed {
            errors.inc();
        }
    }

    /// Counts a finished request to the service.
    pub fn called(&self, operation: Operation, error: Option<&Error>, took: Duration) {
        let outcome = match error {
            None => "success",
            Some(Error::Retry { cause: NotSent::NoConnection, .. }) => "no_connection",
            Some(Error::Retry { cause: NotSent::Stopped, .. }) => "stopped",
            Some(Error::Retry { cause: NotSent::TooManyCalls, .. }) => "too_many_requests",
            Some(Error::Refused { .. }) => "refused",
            Some(Error::NotFound { .. }) => "not_found",
            Some(Error::InDoubt { .. }) => "in_doubt",
        };
        let Operation { method, path, .. } = operation;
        self.calls.get_or_create(&[("method", method), ("path", path), ("outcome", outcome)]).inc();
        self.call_time.get_or_create(&[("method", method), ("path", path)]).observe(took.as_secs_f64());
    }
}

/// The labels of a provider config. The namespace of a cluster-scoped one is empty.
fn labels_of(ProviderConfigKey { kind, namespace, name }: ProviderConfigKey) -> Vec<(&'static str, String)> {
    vec![("kind", kind.as_str().to_owned()), ("namespace", namespace.unwrap_or_default()), ("name", name)]
}

/// The route of `/metrics`.
pub fn router(metrics: Arc<Metrics>) -> Router {
    let text = || async move {
        ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
    };
    Router::new().route("/metrics", get(text))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ProviderConfigKind;
    use crate::beyond_identity::CREATE_JOB;

    #[test]
    fn metrics_have_their_conventional_names_and_values() {
        let metrics = Metrics::new();
        metrics.set_leader(true);
        metrics.reconcile_finished("enrollmentrequest", Ended::Failed, Duration::from_millis(7));
        metrics.reconcile_finished("enrollmentrequest", Ended::RequeueAfter, Duration::from_millis(7));
        metrics.called(CREATE_JOB, None, Duration::from_secs(1));
        metrics.email_sent();
        for reason in [Reason::DuplicateJob, Reason::RemoteResourceRetained, Reason::Refused] {
            metrics.event_emitted("enrollmentrequest", EventType::Warning, reason);
            metrics.event_emitted("authenticatorconfig", EventType::Normal, Reason::RemoteResourceRetained);
        }
        metrics.event_emitted("authenticatorconfig", EventType::Warning, Reason::DuplicateConfiguration);
        let token = |namespace: Option<&str>, expires| {
            let (kind, name) = (ProviderConfigKind::ClusterProviderConfig, "default".to_owned());
            let key = ProviderConfigKey { kind, namespace: namespace.map(str::to_owned), name };
            TokenExpiration { provider: key, credentials: "apiToken", at: Timestamp::from_second(expires).unwrap() }
        };
        let tokens = [(None, 1_800_000_000), (Some("a"), 1_900_000_000), (Some("b"), 1_950_000_000)];
        metrics
            .observe_token_expirations(move || tokens.map(|(namespace, expires)| token(namespace, expires)).to_vec());
        metrics.runs("enrollmentrequest", 64, || vec![("200", 0), ("100", 3), ("-100", 4)]);
        drop(metrics.reconcile_started("enrollmentrequest"));
        let _running = metrics.reconcile_started("enrollmentrequest");
        metrics.text();
        let text = metrics.text();
        let unused = Metrics::new();
        unused.runs("enrollmentrequest", 64, Vec::new);
        for metric in ["duplicates", "retained_remote_resources"] {
            let line = format!("beyond_identity_operator_{metric}_total{{controller=\"enrollmentrequest\"}} 0");
            assert!(
                unused.text().lines().any(|written| written == line),
                "{line}: an alert on increase() needs an initial zero"
            );
        }
        let expires = |namespace: &str, at: i64| {
            format!(
                "beyond_identity_operator_token_expiration_timestamp_seconds{{kind=\"ClusterProviderConfig\",\
                 namespace=\"{namespace}\",name=\"default\",credentials=\"apiToken\"}} {at}"
            )
        };
        for line in [
            "beyond_identity_operator_emails_sent_total 1",
            "beyond_identity_operator_duplicates_total{controller=\"enrollmentrequest\"} 1",
            "beyond_identity_operator_duplicates_total{controller=\"authenticatorconfig\"} 1",
            "beyond_identity_operator_retained_remote_resources_total{controller=\"enrollmentrequest\"} 1",
            "leader_election_master_status{name=\"beyond-identity-operator\"} 1",
            "controller_runtime_reconcile_total{controller=\"enrollmentrequest\",result=\"error\"} 1",
            "controller_runtime_reconcile_total{controller=\"enrollmentrequest\",result=\"requeue_after\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"enrollmentrequest\"} 1",
            "controller_runtime_reconcile_time_seconds_count{controller=\"enrollmentrequest\"} 2",
            "controller_runtime_reconcile_time_seconds_bucket{le=\"0.01\",controller=\"enrollmentrequest\"} 2",
            "controller_runtime_active_workers{controller=\"enrollmentrequest\"} 1",
            "controller_runtime_max_concurrent_reconciles{controller=\"enrollmentrequest\"} 64",
            "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"200\"} 0",
            "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"100\"} 3",
            "workqueue_depth{controller=\"enrollmentrequest\",name=\"enrollmentrequest\",priority=\"-100\"} 4",
            &expires("", 1_800_000_000),
            &expires("a", 1_900_000_000),
            &expires("b", 1_950_000_000),
            concat!("beyond_identity_operator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "beyond_identity_operator_api_requests_total{method=\"POST\",path=\"credential-binding-jobs\",outcome=\"success\"} 1",
            "beyond_identity_operator_api_request_duration_seconds_sum{method=\"POST\",path=\"credential-binding-jobs\"} 1.0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        let orphan = "beyond_identity_operator_retained_remote_resources_total{controller=\"authenticatorconfig\"}";
        assert!(!text.contains(orphan), "an orphaned resource does not count as retained:\n{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
