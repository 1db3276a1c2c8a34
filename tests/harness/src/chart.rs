//! Renders and installs the operator's Helm chart with the real helm.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{
    control_plane::{ControlPlane, HELM, locate},
    process::output_of,
};

/// The folder of the chart.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/beyond-identity-operator")
}

/// What a cluster admin applies before an installation without cluster-scoped objects.
pub fn cluster_admin_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install/cluster-admin.yaml")
}

/// Renders the chart with `helm template`: all its objects as one YAML stream. The values must contain `clusterName`.
pub fn render(release: &str, namespace: &str, values: &serde_json::Value) -> anyhow::Result<String> {
    let arguments = ["template", release, "--namespace", namespace, "--values", "-"];
    let command = helm(arguments.map(OsStr::new).into_iter().chain([folder().as_os_str()]))?;
    output_of(command, &values.to_string())
}

/// A helm command without a cluster and without the user's settings.
pub fn helm<I>(args: I) -> anyhow::Result<Command>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = Command::new(program()?);
    command.env_clear().env("HOME", "/nonexistent").args(args);
    Ok(command)
}

/// A helm command as an administrator of this cluster.
pub fn helm_in<I>(cluster: &ControlPlane, args: I) -> anyhow::Result<Command>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = helm(args)?;
    command.env("HOME", cluster.folder()).env("KUBECONFIG", cluster.kubeconfig());
    Ok(command)
}

/// The path of helm. The first call builds it, if necessary.
fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PROGRAM.get_or_init(|| locate([&HELM]).map(|[path]| path).map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(error) => Err(anyhow::Error::msg(error.clone())),
    }
}
