//! The way to the Kubernetes API: KUBECONFIG, ~/.kube/config, or the service account of the pod.

use std::env;
use std::fmt::Display;
use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};

/// Why there is no way to the Kubernetes API: one sentence, and nothing of what a kubeconfig holds.
#[derive(Debug, thiserror::Error)]
#[error("there is no way to the Kubernetes API: {0}")]
pub struct ConnectError(String);

/// A client for the API server that a kubeconfig or the pod names. No call is made yet.
pub async fn connect() -> Result<Client, ConnectError> {
    let config = match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => heed_no_proxy(config),
        // Whoever names one wants that one, and no other cluster.
        Err(error) if is_set("KUBECONFIG") => return Err(unusable(&error, "that KUBECONFIG names")),
        Err(error) => Config::incluster().map_err(|in_cluster| neither(&error, &in_cluster))?,
    };
    Client::try_from(config).map_err(|error| ConnectError(first_line(&error)))
}

/// kube goes to every cluster of a kubeconfig through HTTPS_PROXY. As with kubectl, NO_PROXY and this machine are exempt.
fn heed_no_proxy(mut config: Config) -> Config {
    let from_environment = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .filter_map(|name| env::var(name).ok()?.parse::<Uri>().ok())
        .any(|proxy| config.proxy_url.as_ref() == Some(&proxy));
    let loopback = config.cluster_url.host().is_some_and(|host| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if from_environment && (loopback || Matcher::from_env().intercept(&config.cluster_url).is_none()) {
        config.proxy_url = None;
    }
    config
}

fn neither(kubeconfig: &KubeconfigError, in_cluster: &InClusterError) -> ConnectError {
    if is_set("KUBERNETES_SERVICE_HOST") {
        return ConnectError(format!(
            "the service account of this pod cannot be used: {}; does the pod mount its token?",
            first_line(in_cluster)
        ));
    }
    match kubeconfig {
        KubeconfigError::ReadConfig(..) | KubeconfigError::FindPath => ConnectError(
            "KUBECONFIG is not set, ~/.kube/config cannot be read, and this is no pod of a cluster".to_owned(),
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
