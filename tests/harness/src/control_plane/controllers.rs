//! Starts the controller manager of a running control plane, and waits until its controllers work.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::ControlPlane;
use crate::leash::Leashed;

/// Long enough for a machine that runs a build at the same time.
const TIMEOUT: Duration = Duration::from_secs(120);

pub fn start(control_plane: &ControlPlane, program: &Path) -> anyhow::Result<Leashed> {
    let folder = control_plane.folder();
    let log = folder.join("kube-controller-manager.log");
    let mut command = Command::new(program);
    command
        .arg(format!("--kubeconfig={}", control_plane.kubeconfig().display()))
        // There are no nodes and no volumes.
        .arg("--controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach")
        .arg("--use-service-account-credentials=false")
        .arg(format!("--service-account-private-key-file={}", folder.join("sa.key").display()))
        .arg(format!("--root-ca-file={}", folder.join("pki/apiserver.crt").display()))
        .args(["--bind-address=127.0.0.1", "--secure-port=0", "--leader-elect=false"]);
    let mut process = Leashed::spawn(&command, File::create(&log).context("cannot write the log")?)
        .context("cannot run sh to supervise the controller manager")?;
    let last_lines = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    };
    let started = Instant::now();
    while !is_working(control_plane)? {
        if let Some(status) = process.ended()? {
            bail!("kube-controller-manager exited with {status}. Its last log lines:\n{}", last_lines());
        }
        if started.elapsed() > TIMEOUT {
            bail!(
                "kube-controller-manager was not ready after {} s. Its last log lines:\n{}",
                TIMEOUT.as_secs(),
                last_lines()
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(process)
}

/// Whether the controllers work: aggregated roles are empty until then.
fn is_working(control_plane: &ControlPlane) -> anyhow::Result<bool> {
    let rules = control_plane.run_kubectl(["get", "clusterrole/view", "--output", "jsonpath={.rules}"])?;
    Ok(!rules.trim().is_empty())
}
