//! The way to the Kubernetes API: KUBECONFIG, ~/.kube/config, or the service account of the pod.

use std::env;
use std::fmt::Display;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};

use crate::beyond_identity::is_loopback;

/// Why there is no way to the Kubernetes API: one sentence, and nothing of what a kubeconfig holds.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the Kubernetes API: {0}")]
pub struct ConnectError(String);

/// How long a connection may take: a server that is there takes no second.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may be silent when it owes something. Every watch ends before that.
const SILENCE: Duration = Duration::from_secs(WATCH as u64 + 5);
/// After how many seconds the server ends a watch, which then goes on from there in a new one. So a connection that has
/// died without a word is noticed within about a minute.
pub const WATCH: u32 = 60;

/// An API server, and the way there.
#[derive(Clone)]
pub struct Server {
    /// Makes the calls. It repeats none by itself: who makes one knows better how long that is worth it.
    pub client: Client,
    /// Its address.
    pub url: String,
}

impl Server {
    /// The way to the API server that `config` names. No call is made yet.
    ///
    /// # Errors
    /// When that cannot be used.
    pub fn new(mut config: Config) -> Result<Self, ConnectError> {
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| ConnectError(first_line(&error)))?;
        Ok(Self { client, url })
    }
}

/// What a kubeconfig or the pod says of the API server.
pub async fn configuration() -> Result<Config, ConnectError> {
    match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => Ok(heed_no_proxy(config)),
        // Whoever names one wants that one, and no other cluster.
        Err(error) if is_set("KUBECONFIG") => Err(unusable(&error, "named by KUBECONFIG")),
        Err(error) => Config::incluster().map_err(|in_cluster| neither(&error, &in_cluster)),
    }
}

/// kube goes to every cluster of a kubeconfig through HTTPS_PROXY. As with kubectl, NO_PROXY and this machine are exempt.
fn heed_no_proxy(mut config: Config) -> Config {
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

/// What follows on further lines is an excerpt of the file, which may be a secret.
fn first_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}
