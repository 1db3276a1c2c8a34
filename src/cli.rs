//! The command line.

mod duration;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::api::crds;
use crate::beyond_identity::{Endpoint, EndpointHost, Region};
use crate::environment;
use crate::kubernetes::client::{self, ConnectError};
use crate::operator::{self, ListenAddress, RunError, Settings};
use crate::realm::EndpointRules;
use crate::runtime::shutdown;
use crate::runtime::telemetry::{self, LogFormat};

/// Enrols identities in Beyond Identity from Kubernetes resources: one request, one email.
#[derive(Debug, Parser)]
#[command(name = "beyond-identity-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinitions as YAML, or write one file per definition.
    Crds {
        /// Write one file per definition to this directory instead of printing to stdout.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Namespace to watch; repeat the flag, or separate namespaces by commas [default: all namespaces].
    #[arg(long, value_name = "NS", env = "BEYOND_IDENTITY_OPERATOR_WATCH_NAMESPACE", value_delimiter = ',', value_parser = dns_label)]
    watch_namespace: Vec<String>,
    /// Namespace of the Lease and of the Secrets of ClusterProviderConfigs [default: the pod's own, POD_NAMESPACE].
    #[arg(long, value_name = "NS", env = "BEYOND_IDENTITY_OPERATOR_OPERATOR_NAMESPACE", value_parser = dns_label)]
    operator_namespace: Option<String>,
    /// Name of this cluster: part of the ownership mark of every configuration; must never change.
    #[arg(long, value_name = "NAME", env = "BEYOND_IDENTITY_OPERATOR_CLUSTER_NAME", value_parser = cluster_name)]
    cluster_name: String,
    /// Enable leader election by a Lease, so that only one of several replicas is active.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_LEADER_ELECT")]
    leader_elect: bool,
    /// Address that serves /metrics, as IP:PORT, or :PORT for every address, IPv6 and IPv4.
    #[arg(
        long,
        visible_alias = "metrics-bind-address",
        value_name = "ADDR",
        env = "BEYOND_IDENTITY_OPERATOR_METRICS_ADDRESS",
        default_value = ":8080"
    )]
    metrics_address: ListenAddress,
    /// Serve /metrics over TLS, and only to bearer tokens with the permission to get the nonResourceURL /metrics.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_METRICS_SECURE")]
    metrics_secure: bool,
    /// Directory with tls.crt and tls.key for --metrics-secure, read again when they change [default: self-signed].
    #[arg(long, value_name = "DIR", env = "BEYOND_IDENTITY_OPERATOR_METRICS_CERT_PATH", requires = "metrics_secure")]
    metrics_cert_path: Option<PathBuf>,
    /// Address that serves /healthz and /readyz, as IP:PORT, or :PORT for every address, IPv6 and IPv4.
    #[arg(
        long,
        visible_alias = "health-probe-bind-address",
        value_name = "ADDR",
        env = "BEYOND_IDENTITY_OPERATOR_HEALTH_ADDRESS",
        default_value = ":8081"
    )]
    health_address: ListenAddress,
    /// PEM file with certificate authorities to trust beside the system's, read again when it changes.
    #[arg(long, value_name = "FILE", env = "BEYOND_IDENTITY_OPERATOR_CA_BUNDLE")]
    ca_bundle: Option<PathBuf>,
    /// How long a list may lag behind a create, and so how long a call in doubt is waited for, from 1s to 1h.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_SETTLE_TIME", default_value = "60s", value_parser = duration::settle_time)]
    settle_time: Duration,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled; at most 168h.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_GRACE_PERIOD", default_value = "10m", value_parser = duration::grace_period)]
    grace_period: Duration,
    /// Timeout of one call to the Beyond Identity API, from 1s to 30m.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_REQUEST_TIMEOUT", default_value = "30s", value_parser = duration::request_timeout)]
    request_timeout: Duration,
    /// Lower bound of the poll interval of a job, which is 10% of its age, from 1s to 24h.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_JOB_POLL_MIN", default_value = "5s", value_parser = duration::interval)]
    job_poll_min: Duration,
    /// Upper bound of the poll interval of a job, which is 10% of its age, from 1s to 24h.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_JOB_POLL_MAX", default_value = "5m", value_parser = duration::interval)]
    job_poll_max: Duration,
    /// Calls a minute for each realm to follow the links that are out, from 1 to 6000.
    #[arg(long, value_name = "N", env = "BEYOND_IDENTITY_OPERATOR_POLL_BUDGET", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=6000))]
    poll_budget: u32,
    /// Interval for drift detection, and for retrying problems that need manual action, from 1s to 24h.
    #[arg(long, value_name = "DURATION", env = "BEYOND_IDENTITY_OPERATOR_RESYNC_INTERVAL", default_value = "10m", value_parser = duration::interval)]
    resync_interval: Duration,
    /// Keep remote resources on every deletion and ignore deletion policies: to move or retire a cluster.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_ORPHAN_ON_DELETE")]
    orphan_on_delete: bool,
    /// Write the ids of jobs into the audit lines of the log, not their hashes.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_AUDIT_JOB_IDS")]
    audit_job_ids: bool,
    /// Maximum number of concurrent reconciles of each kind.
    #[arg(long, value_name = "N", env = "BEYOND_IDENTITY_OPERATOR_MAX_CONCURRENT_RECONCILES", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrent_reconciles: u16,
    /// Maximum number of these for each provider config, so that a slow one does not block others [default: 16, or all].
    #[arg(long, value_name = "N", env = "BEYOND_IDENTITY_OPERATOR_MAX_CONCURRENT_RECONCILES_PER_PROVIDER_CONFIG", value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrent_reconciles_per_provider_config: Option<u16>,
    /// Whether ClusterProviderConfigs are read; without them the operator needs no permission in the cluster as a whole.
    #[arg(long, value_name = "BOOL", env = "BEYOND_IDENTITY_OPERATOR_CLUSTER_PROVIDER_CONFIGS", default_value_t = true, action = ArgAction::Set, value_parser = boolean)]
    cluster_provider_configs: bool,
    /// Host that spec.endpoint may name, as HOST or HOST:PORT; repeat the flag, or separate hosts by commas [default: none].
    #[arg(long, value_name = "HOST", env = "BEYOND_IDENTITY_OPERATOR_ALLOWED_ENDPOINT_HOSTS", value_delimiter = ',')]
    allowed_endpoint_hosts: Vec<EndpointHost>,
    /// Allow http:// and any port in spec.endpoint for loopback addresses: for tests and the demo.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_ALLOW_LOOPBACK_ENDPOINTS")]
    allow_loopback_endpoints: bool,
    /// Loopback URL that stands for a region, REGION=URL; repeat the flag: for tests and the demo.
    #[arg(long, value_name = "REGION=URL", env = "BEYOND_IDENTITY_OPERATOR_LOOPBACK_REGION", value_delimiter = ',', value_parser = loopback_region)]
    loopback_region: Vec<(Region, Endpoint)>,
    /// Show the messages in error responses of the Beyond Identity API, which can name people, not only codes and fields.
    #[arg(long, env = "BEYOND_IDENTITY_OPERATOR_SHOW_SERVICE_MESSAGES")]
    show_service_messages: bool,
    /// Log format [default: text on a terminal, json elsewhere].
    #[arg(long, value_enum, value_name = "FORMAT", env = "BEYOND_IDENTITY_OPERATOR_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Log level, or directives in the syntax of RUST_LOG, which takes precedence.
    #[arg(long, value_name = "LEVEL", env = "BEYOND_IDENTITY_OPERATOR_LOG_LEVEL", default_value = "info", value_parser = telemetry::directives)]
    log_level: String,
}

/// Default maximum number of concurrent reconciles of a kind for each provider config.
const PER_PROVIDER_CONFIG: u16 = 16;

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator ended without a shutdown request.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The connection to the Kubernetes API failed.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The bound for each provider config exceeds the total.
    #[error(
        "--max-concurrent-reconciles-per-provider-config {per_provider_config} exceeds --max-concurrent-reconciles {total}: \
         lower the first, or raise the second"
    )]
    Reconciles {
        /// For each provider config.
        per_provider_config: u16,
        /// In total.
        total: u16,
    },
    /// RUST_LOG cannot be parsed.
    #[error("RUST_LOG: {0}")]
    LogLevel(#[from] tracing_subscriber::filter::ParseError),
    /// The CustomResourceDefinitions cannot be written.
    #[error("cannot write the CustomResourceDefinitions to {0}: {1}")]
    Write(String, std::io::Error),
    /// The runtime or its signal handlers cannot be started.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

impl Cli {
    /// Executes the command.
    ///
    /// # Errors
    /// With a message for the user.
    pub async fn execute(self) -> Result<(), Error> {
        match self.command {
            Command::Run(args) => run(*args).await,
            Command::Crds { output: None } => std::io::stdout()
                .write_all(crds::yaml().as_bytes())
                .map_err(|error| Error::Write("stdout".to_owned(), error)),
            Command::Crds { output: Some(folder) } => {
                write_crds(&folder).map_err(|error| Error::Write(folder.display().to_string(), error))
            }
        }
    }
}

fn write_crds(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, yaml) in crds::files() {
        std::fs::write(folder.join(name), yaml)?;
    }
    Ok(())
}

async fn run(args: RunArgs) -> Result<(), Error> {
    telemetry::start(args.log_format, &args.log_level)?;
    let settings = args.settings()?;
    let signal = shutdown::requested().map_err(Error::Runtime)?;
    let cluster = client::configuration().await?;
    tracing::info!(cluster = settings.cluster_name, version = env!("CARGO_PKG_VERSION"), "Starting");
    let stopped = operator::run(settings, cluster, signal).await;
    if let Err(error @ (RunError::LostLease(_) | RunError::Broken(_))) = &stopped {
        // A running operator reports its end in the format of its log.
        tracing::error!(%error, "Operator stopped");
    }
    Ok(stopped?)
}

impl RunArgs {
    fn settings(mut self) -> Result<Settings, Error> {
        let total = self.max_concurrent_reconciles;
        let per_provider_config =
            self.max_concurrent_reconciles_per_provider_config.unwrap_or(PER_PROVIDER_CONFIG.min(total));
        if per_provider_config > total {
            return Err(Error::Reconciles { per_provider_config, total });
        }
        // A repeated namespace is watched once: two watches for one object would conflict.
        self.watch_namespace.sort();
        self.watch_namespace.dedup();
        Ok(Settings {
            ca_bundle: self.ca_bundle,
            operator_namespace: self.operator_namespace.unwrap_or_else(pod_namespace),
            lease_holder: self.leader_elect.then(lease_holder),
            watch_namespaces: self.watch_namespace,
            cluster_name: self.cluster_name,
            metrics_address: self.metrics_address,
            metrics_secure: self.metrics_secure,
            metrics_cert_path: self.metrics_cert_path,
            health_address: self.health_address,
            request_timeout: self.request_timeout,
            settle_time: self.settle_time,
            grace_period: self.grace_period,
            job_poll_min: self.job_poll_min,
            job_poll_max: self.job_poll_max,
            poll_budget: self.poll_budget,
            resync_interval: self.resync_interval,
            orphan_on_delete: self.orphan_on_delete,
            audit_job_ids: self.audit_job_ids,
            max_concurrent_reconciles: self.max_concurrent_reconciles,
            max_concurrent_reconciles_per_provider_config: per_provider_config,
            cluster_provider_configs: self.cluster_provider_configs,
            show_service_messages: self.show_service_messages,
            endpoints: EndpointRules {
                allowed_hosts: self.allowed_endpoint_hosts,
                allow_loopback: self.allow_loopback_endpoints,
                loopback_regions: self.loopback_region.into_iter().collect(),
            },
        })
    }
}

/// The namespace of the pod of this process; without one, the process exits.
fn pod_namespace() -> String {
    let wrong = |kind, what: &str| -> ! { Cli::command().error(kind, what).exit() };
    match std::env::var("POD_NAMESPACE") {
        Ok(namespace) if !namespace.is_empty() => dns_label(&namespace)
            .unwrap_or_else(|what| wrong(ErrorKind::InvalidValue, &format!("POD_NAMESPACE is {what}"))),
        _ => wrong(
            ErrorKind::MissingRequiredArgument,
            "neither --operator-namespace nor POD_NAMESPACE is set: set one to the namespace of the Lease and of the \
             Secrets of ClusterProviderConfigs",
        ),
    }
}

/// The name of the pod or the host, with a random suffix. Without the suffix a restarted container would take the Lease
/// for its own, while other processes may be waiting for it.
fn lease_holder() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let host =
        || hostname::get().map_or_else(|_| env!("CARGO_PKG_NAME").to_owned(), |host| host.to_string_lossy().into());
    format!("{}_{}", pod.unwrap_or_else(host), environment::nonce())
}

/// A region, and the loopback endpoint that stands for it.
fn loopback_region(text: &str) -> Result<(Region, Endpoint), String> {
    let (region, url) = text.split_once('=').ok_or("write it as REGION=URL, such as US=http://127.0.0.1:8080")?;
    let region = match region {
        "US" => Region::US,
        "EU" => Region::EU,
        "USFedRAMP" => Region::USFedRAMP,
        _ => return Err("the region must be US, EU or USFedRAMP".to_owned()),
    };
    let endpoint = Endpoint::parse(url, true).map_err(|error| error.to_string())?;
    if !endpoint.is_loopback() {
        return Err("the host must be localhost or a loopback address".to_owned());
    }
    Ok((region, endpoint))
}

/// `true` or `false`.
fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "must be true or false")
}

/// A DNS label (RFC 1123).
fn dns_label(text: &str) -> Result<String, String> {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (1..=63).contains(&text.len())
        && text.bytes().all(|b| is_alphanumeric(b) || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("not a DNS label: use lowercase letters and digits, with hyphens only in between, at most 63 characters"
            .to_owned())
    }
}

/// A DNS label that leaves room for the rest of an ownership mark.
fn cluster_name(text: &str) -> Result<String, String> {
    match dns_label(text)? {
        name if name.len() > 32 => Err(format!("must have at most 32 characters, but has {}", name.len())),
        name => Ok(name),
    }
}
