//! A real kube-apiserver and a real etcd, as processes of this machine.
//!
//! It needs no container runtime and no privileges. When the process that started it ends, for whatever reason, the
//! servers end and their folder is removed.

mod assets;
mod build;
mod controllers;
mod start;
mod tools;

use std::{
    ffi::OsStr,
    fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::Context as _;

pub use assets::locate;
pub use build::module_folder;
use start::Supervisor;
pub use tools::{
    ARGOCD, ETCD, GITOPS, HELM, HELM_DOCS, KSTATUS, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL,
    KUSTOMIZE_CONTROLLER, PROMETHEUS, PROMTOOL, SOURCE_CONTROLLER, Tool,
};

use crate::{leash::Leashed, process::output_of};

/// A running API server with its own etcd. Dropping it ends both, and removes their files.
#[derive(Debug)]
pub struct ControlPlane {
    /// Declared before the supervisor, so that it is dropped before the API server ends.
    controllers: Option<Leashed>,
    supervisor: Supervisor,
    kubectl: PathBuf,
    server_url: String,
    etcd_url: String,
    token: String,
    ca_pem: String,
}

impl ControlPlane {
    /// Starts a control plane, and waits until it is ready. It takes seconds, or minutes if programs must be built.
    ///
    /// It blocks and uses no async runtime, so that tests with different runtimes can share it.
    pub fn start() -> anyhow::Result<Self> {
        let [etcd, apiserver, kubectl] = locate([&ETCD, &KUBE_APISERVER, &KUBECTL])?;
        start::start(&etcd, &apiserver, kubectl)
    }

    /// The same with the controller manager, for role aggregation, garbage collection and namespace deletion.
    pub fn start_with_controllers() -> anyhow::Result<Self> {
        let [controller_manager] = locate([&KUBE_CONTROLLER_MANAGER])?;
        let mut control_plane = Self::start()?;
        control_plane.controllers = Some(controllers::start(&control_plane, &controller_manager)?);
        Ok(control_plane)
    }

    /// The control plane that all tests of this process share. The first call starts it. It ends with the process.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::Error::msg(error.clone()))
    }

    /// The kubeconfig file of a cluster administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.supervisor.folder().join(start::KUBECONFIG)
    }

    /// The URL of the API server.
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The URL of etcd, which needs no credentials.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// The bearer token of a cluster administrator.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The CA certificate, as PEM. The server certificate is for `127.0.0.1`, not for `localhost`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The folder with the servers' logs and data.
    pub fn folder(&self) -> &Path {
        self.supervisor.folder()
    }

    /// The audit events of the requests of ServiceAccounts so far, as `audit.k8s.io/v1`.
    pub fn audit_log(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let log = std::fs::read_to_string(self.folder().join(start::AUDIT_LOG)).context("cannot read the audit log")?;
        // The last line may be incomplete.
        log.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// A kubectl command as a cluster administrator, without the user's settings.
    pub fn kubectl<I>(&self, args: I) -> Command
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.folder()) // for its caches
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .args(args);
        command
    }

    /// Runs kubectl. Returns its standard output, or an error with its standard error.
    pub fn run_kubectl<I>(&self, args: I) -> anyhow::Result<String>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.run_kubectl_with("", args)
    }

    /// The same with `input` on its standard input, as in `apply --filename -`.
    pub fn run_kubectl_with<I>(&self, input: &str, args: I) -> anyhow::Result<String>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        output_of(self.kubectl(args), input)
    }

    /// Applies a manifest with `kubectl apply --server-side`, and returns its output.
    pub fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        self.run_kubectl_with(manifest, ["apply", "--server-side", "--filename", "-"])
    }
}

/// Prints a line of progress directly to standard error, since the test runner captures `eprintln!`.
fn log_progress(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "control plane: {line}");
}
