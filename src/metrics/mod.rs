//! Metrics. Those that every controller has use controller-runtime's names, so that existing dashboards work. The rest
//! have the operator's prefix. No label contains an identity, a job or an address.

mod computed;
mod conditions;
mod in_flight;
mod observe;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
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
pub use observe::TokenExpiration;
use requests::Requests;

use crate::api::Reason;
use crate::beyond_identity::{Error, NotSent, Operation};
use crate::reconcile::Ended;

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// The bounds of the time until the first email, in seconds: from 1 s to a day.
const UNTIL_EMAIL: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];
/// The bounds of the time until a passkey is bound, in seconds: from a minute to 30 days.
const UNTIL_PASSKEY: [f64; 12] = [
    60.0,
    300.0,
    900.0,
    3600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
];

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    leads: IsLeader,
    leader: Family<Labels<1>, Gauge>,
    reconciles: Family<Labels<2>, Counter>,
    reconcile_errors: Family<Labels<1>, Counter>,
    reconcile_panics: Family<Labels<1>, Counter>,
    reconcile_time: Histograms<1>,
    active_workers: Family<Labels<1>, Gauge>,
    max_workers: Family<Labels<1>, Gauge>,
    queue_depth: Computed,
    emails: Counter,
    until_email: Histogram,
    until_passkey: Histogram,
    duplicates: Family<[(&'static str, String); 1], Counter>,
    retained: Family<[(&'static str, String); 1], Counter>,
    status_not_stored: Family<[(&'static str, String); 1], Counter>,
    requests: Requests,
    conditions: Computed,
    rate_limited: Computed,
    token_expiration: Computed,
    provider_config_ready: Computed,
    provider_config_referrers: Computed,
    namespace_available: Computed,
    calls: Family<Labels<3>, Counter>,
    call_time: Histograms<2>,
}

impl Metrics {
    /// Creates all metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        // From 5 ms to 80 s, which is longer than the default timeout of a request to the service.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 15));
        let (leader, reconciles) = (Family::default(), Family::default());
        let (reconcile_errors, reconcile_panics) = (Family::default(), Family::default());
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
        let help = "Reconciles that panicked, by controller";
        of_loops.register("reconcile_panics", help, Family::clone(&reconcile_panics));
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
        let (emails, duplicates, retained, status_not_stored, calls) =
            (Counter::default(), Family::default(), Family::default(), Family::default(), Family::default());
        own.register("emails_sent", "Emails sent, counted once their job is recorded in status", emails.clone());
        let (until_email, until_passkey) = (Histogram::new(UNTIL_EMAIL), Histogram::new(UNTIL_PASSKEY));
        let help = "Time from the creation of an EnrollmentRequest until its first email is recorded";
        own.register_with_unit("request_to_email", help, Unit::Seconds, until_email.clone());
        let help = "Time from the creation of an EnrollmentRequest until its job is seen as COMPLETE";
        own.register_with_unit("request_to_passkey", help, Unit::Seconds, until_passkey.clone());
        let help = "Duplicate jobs and configurations found in Beyond Identity and left unchanged";
        own.register("duplicates", help, Family::clone(&duplicates));
        let help = "Objects deleted although their remote resource could not be removed";
        own.register("retained_remote_resources", help, Family::clone(&retained));
        let help = "Reports that the API server refused a write of the operator, or stored only a part of it";
        own.register("status_not_stored", help, Family::clone(&status_not_stored));
        let leads = IsLeader::default();
        let requests = Requests::register(own, &leads);
        let help = "Objects with a condition that is present only while True, such as Stalled";
        let conditions = Computed::of_the_cluster(own, "object_conditions", help, None, &leads);
        let help = "Objects that wait for their turn because the Beyond Identity API limits the rate";
        let rate_limited = Computed::register(own, "rate_limited_objects", help);
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
            reconcile_panics,
            reconcile_time,
            active_workers,
            max_workers,
            queue_depth,
            emails,
            until_email,
            until_passkey,
            duplicates,
            retained,
            status_not_stored,
            requests,
            conditions,
            rate_limited,
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
        for family in [&self.duplicates, &self.retained, &self.status_not_stored] {
            _ = family.get_or_create(&[("controller", controller.to_owned())]);
        }
        _ = self.reconcile_panics.get_or_create(&[("controller", controller)]);
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

    /// Counts a sent email. `after` is the time since the creation of its request, if it is the first one.
    pub fn email_sent(&self, after: Option<Duration>) {
        self.emails.inc();
        after.into_iter().for_each(|after| self.until_email.observe(after.as_secs_f64()));
    }

    /// Counts a bound passkey, this long after the creation of its request.
    pub fn enrolled(&self, after: Duration) {
        self.until_passkey.observe(after.as_secs_f64());
    }

    /// Counts an event about an object of kind `controller`, in lower case, if its reason has a metric.
    pub fn event_emitted(&self, controller: &str, type_: EventType, reason: Reason) {
        let family = match (type_, reason) {
            (_, Reason::DuplicateJob | Reason::DuplicateConfiguration) => &self.duplicates,
            // A Normal event reports a resource that is orphaned on request.
            (EventType::Warning, Reason::RemoteResourceRetained) => &self.retained,
            (_, Reason::StatusNotStored) => &self.status_not_stored,
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

    /// Counts a reconcile of kind `controller`, in lower case, that panicked.
    pub fn reconcile_panicked(&self, controller: &'static str) {
        self.reconcile_panics.get_or_create(&[("controller", controller)]).inc();
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
mod tests;
