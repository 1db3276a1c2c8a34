//! The operator's Helm chart, with the real helm.

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

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/beyond-identity-operator")
}

/// What `helm template` makes of the chart: all its objects as one YAML stream. Of the values, `clusterName` has to be
/// there.
pub fn render(release: &str, namespace: &str, values: &serde_json::Value) -> anyhow::Result<String> {
    let arguments = ["template", release, "--namespace", namespace, "--values", "-"];
    let command = helm(arguments.map(OsStr::new).into_iter().chain([folder().as_os_str()]))?;
    output_of(command, &values.to_string())
}

/// helm without a cluster, and without the user's own settings.
pub fn helm<I>(args: I) -> anyhow::Result<Command>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = Command::new(program()?);
    command.env_clear().env("HOME", "/nonexistent").args(args);
    Ok(command)
}

/// helm as an administrator of this cluster.
pub fn helm_in<I>(cluster: &ControlPlane, args: I) -> anyhow::Result<Command>
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = helm(args)?;
    command.env("HOME", cluster.folder()).env("KUBECONFIG", cluster.kubeconfig());
    Ok(command)
}

/// Where helm is. It is built by the first that asks, where it has to be.
fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PROGRAM.get_or_init(|| locate([&HELM]).map(|[path]| path).map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(error) => Err(anyhow::Error::msg(error.clone())),
    }
}
