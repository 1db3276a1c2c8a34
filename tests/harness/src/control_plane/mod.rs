//! A real kube-apiserver on a real etcd, as plain processes of this machine.
//!
//! It needs no container runtime and no rights. Whatever becomes of the process that started it, the servers end and
//! their folder goes.

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
use start::Supervisor;
pub use tools::{ETCD, HELM, HELM_DOCS, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL, Tool};

use crate::{leash::Leashed, process::output_of};

/// A running API server with a store of its own. Dropping it ends both and removes all they wrote.
#[derive(Debug)]
pub struct ControlPlane {
    /// Before the supervisor, so that it ends before the API server does.
    controllers: Option<Leashed>,
    supervisor: Supervisor,
    kubectl: PathBuf,
    server_url: String,
    token: String,
    ca_pem: String,
}

impl ControlPlane {
    /// Starts one and waits until it is ready: seconds, or minutes where its programs must be built first.
    ///
    /// It blocks, and belongs to no async runtime, so that one can serve tests that have a runtime each.
    pub fn start() -> anyhow::Result<Self> {
        let [etcd, apiserver, kubectl] = locate([&ETCD, &KUBE_APISERVER, &KUBECTL])?;
        start::start(&etcd, &apiserver, kubectl)
    }

    /// The same with the controller manager, which fills aggregated roles, collects garbage and ends namespaces.
    pub fn start_with_controllers() -> anyhow::Result<Self> {
        let [controller_manager] = locate([&KUBE_CONTROLLER_MANAGER])?;
        let mut control_plane = Self::start()?;
        control_plane.controllers = Some(controllers::start(&control_plane, &controller_manager)?);
        Ok(control_plane)
    }

    /// The one that all tests of this process share, started by the first that asks. It ends with the process.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::Error::msg(error.clone()))
    }

    /// A kubeconfig file of a cluster administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.supervisor.folder().join(start::KUBECONFIG)
    }

    /// Where the API server listens.
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The bearer token of a cluster administrator.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The certificate to trust, as PEM. It is for `127.0.0.1`, not for `localhost`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The folder with the servers' logs and data.
    pub fn folder(&self) -> &Path {
        self.supervisor.folder()
    }

    /// What ServiceAccounts have asked of the API server so far, in the form of `audit.k8s.io/v1`.
    pub fn audit_log(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let log = std::fs::read_to_string(self.folder().join(start::AUDIT_LOG)).context("cannot read the audit log")?;
        // The last line may be on its way.
        log.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// kubectl as a cluster administrator, without the user's own settings.
    pub fn kubectl<I>(&self, args: I) -> Command
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.folder()) // where it keeps its caches
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .args(args);
        command
    }

    /// Runs kubectl and returns what it printed; fails with what it complained about.
    pub fn run_kubectl<I>(&self, args: I) -> anyhow::Result<String>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.run_kubectl_with("", args)
    }

    /// The same with something on its standard input, as in `apply --filename -`.
    pub fn run_kubectl_with<I>(&self, input: &str, args: I) -> anyhow::Result<String>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        output_of(self.kubectl(args), input)
    }

    /// Applies a manifest, as `kubectl apply --server-side` does, and returns what it printed.
    pub fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        self.run_kubectl_with(manifest, ["apply", "--server-side", "--filename", "-"])
    }
}

/// A line of progress. Straight to stderr, since the test runner swallows what `eprintln!` prints.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "control plane: {line}");
}
