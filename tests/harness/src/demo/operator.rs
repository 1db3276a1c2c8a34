//! The operator as a process: the demo builds it, starts it, and stops it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::root;
use crate::{control_plane::ControlPlane, leash::Leashed};

/// The name of the program.
const NAME: &str = "beyond-identity-operator";

/// The number of log lines that an error quotes.
const LAST_LINES: usize = 20;

/// A running operator.
pub struct Operator {
    process: Leashed,
    log: PathBuf,
}

/// Builds the operator with `cargo`, and returns the path of the program. The output of cargo is visible.
pub fn build(cargo: &mut Command) -> anyhow::Result<PathBuf> {
    let output = cargo
        .args(["--bin", NAME, "--message-format", "json-render-diagnostics"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo to build the operator")?;
    if !output.status.success() {
        bail!("building the operator failed, see the output of cargo above");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == NAME)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo did not report the path of the operator binary")
}

impl Operator {
    /// Starts the operator as cluster administrator.
    pub fn start(program: &Path, control_plane: &ControlPlane, simulated: bool) -> anyhow::Result<Self> {
        let log = control_plane.folder().join("operator.log");
        let mut command = Command::new(program);
        command
            .args(["run", "--cluster-name", "demo", "--operator-namespace", super::OPERATOR_NAMESPACE])
            .args(["--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"])
            .args(["--log-format", "text"])
            .args(simulated.then_some("--allow-loopback-endpoints"))
            .env("KUBECONFIG", control_plane.kubeconfig());
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            // The user's settings must not apply, and the operator must read the token from its Secret.
            if text.starts_with("BEYOND_IDENTITY_") {
                command.env_remove(&name);
            }
            // A proxy cannot reach the loopback address of this machine.
            if simulated && text.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        if !simulated {
            let others = env::var("NO_PROXY").or_else(|_| env::var("no_proxy")).unwrap_or_default();
            command.env("NO_PROXY", format!("127.0.0.1,{others}"));
        }
        let process = File::create(&log)
            .and_then(|file| Leashed::spawn(&command, file))
            .with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { process, log })
    }

    /// The path of its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails if the operator has exited.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.ended()? {
            None => Ok(()),
            Some(status) => bail!("the operator exited unexpectedly ({status})"),
        }
    }

    /// Stops the operator as Kubernetes does. Fails if the exit code is not 0.
    pub fn stop(self) -> anyhow::Result<()> {
        let status = self.process.stop()?;
        if !status.success() {
            bail!("the operator did not shut down cleanly ({status})");
        }
        Ok(())
    }
}

/// The last lines of a log, for an error message.
pub fn last_lines(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    if lines.is_empty() {
        return "The operator log is empty.".to_owned();
    }
    format!("Last lines of the operator log:\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
}
