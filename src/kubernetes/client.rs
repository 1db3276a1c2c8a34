//! Connects to the Kubernetes API, from KUBECONFIG, ~/.kube/config, or the service account of the pod.

use std::env;
use std::fmt::Display;
use std::time::Duration;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};

use crate::beyond_identity::is_loopback;

/// Why the Kubernetes API cannot be reached. One sentence that contains nothing from the kubeconfig.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the Kubernetes API: {0}")]
pub struct ConnectError(String);

/// The connect timeout. A reachable server responds well within a second.
const CONNECT: Duration = Duration::from_secs(5);
/// The read timeout. The server ends every watch earlier than that.
const SILENCE: Duration = Duration::from_secs(WATCH as u64 + 5);
/// The number of seconds after which the server ends a watch. The watcher then resumes it, so a dead connection is
/// noticed within about a minute.
pub const WATCH: u32 = 60;

/// An API server and a client for it.
#[derive(Clone)]
pub struct Server {
    /// The client. It does not retry, because each caller decides how long retries are worthwhile.
    pub client: Client,
    /// The URL of the API server.
    pub url: String,
}

impl Server {
    /// Creates a client for the API server that `config` names. Sends no request yet.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(mut config: Config) -> Result<Self, ConnectError> {
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        // The API server makes its part before the slash the field manager, and logs it. Without one it is `unknown`.
        config.headers.push((USER_AGENT, HeaderValue::from_static(crate::USER_AGENT)));
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| ConnectError(first_line(&error)))?;
        Ok(Self { client, url })
    }
}

/// Reads the configuration from a kubeconfig or from the pod.
pub async fn configuration() -> Result<Config, ConnectError> {
    match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => Ok(honor_no_proxy(config)),
        // An explicit KUBECONFIG must never fall back to another cluster.
        Err(error) if is_set("KUBECONFIG") => Err(unusable(&error, "named by KUBECONFIG")),
        Err(error) => Config::incluster().map_err(|in_cluster| neither(&error, &in_cluster)),
    }
}

/// kube sends requests to every cluster of a kubeconfig through HTTPS_PROXY. As in kubectl, NO_PROXY and loopback are
/// exempt.
fn honor_no_proxy(mut config: Config) -> Config {
    let from_environment = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .filter_map(|name| env::var(name).ok()?.parse::<Uri>().ok())
        .any(|proxy| config.proxy_url.as_ref() == Some(&proxy));
    let loopback = config.cluster_url.host().is_some_and(is_loopback);
    if from_environment && (loopback || Matcher::from_env().intercept(&config.cluster_url).is_none()) {
        config.proxy_url = None;
    }
    config
}

fn neither(kubeconfig: &KubeconfigError, in_cluster: &InClusterError) -> ConnectError {
    if is_set("KUBERNETES_SERVICE_HOST") {
        return ConnectError(format!(
            "the service account of this pod cannot be used: {}; check that the pod mounts its token",
            first_line(in_cluster)
        ));
    }
    match kubeconfig {
        KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath => ConnectError(
            "KUBECONFIG is not set, ~/.kube/config cannot be read, and this process does not run in a pod".to_owned(),
        ),
        error => unusable(error, "~/.kube/config"),
    }
}

fn unusable(error: &KubeconfigError, which: &str) -> ConnectError {
    ConnectError(match error {
        KubeconfigError::ReadConfig(error, path) => {
            format!("the kubeconfig {which} cannot be read: {}: {}", path.display(), first_line(error))
        }
        error => format!("the kubeconfig {which} cannot be used: {}", first_line(error)),
    })
}

/// Returns the first line only. Further lines quote the file, which may contain a secret.
fn first_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}
