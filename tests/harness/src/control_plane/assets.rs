//! Locates the programs: in the folder that the environment names, in the cache, or by a build into the cache.
//! The folder may also have programs that `setup-envtest` does not install, such as helm. Missing ones are built.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::{
    build::Builder,
    tools::{ETCD, KUBE_APISERVER, KUBECTL, Tool},
};

/// The folder of `setup-envtest`: `etcd`, `kube-apiserver` and `kubectl`.
const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// Finds these programs, or builds them.
pub fn locate<const N: usize>(tools: [&'static Tool; N]) -> anyhow::Result<[PathBuf; N]> {
    let assets = match env::var_os(ASSETS_VARIABLE).filter(|value| !value.is_empty()) {
        Some(folder) => {
            let folder = std::path::absolute(folder)?;
            check_assets(&folder, &tools)?;
            Some(folder)
        }
        None => None,
    };
    let mut paths = [const { PathBuf::new() }; N];
    let mut builder: Option<Builder> = None;
    for (path, tool) in paths.iter_mut().zip(tools) {
        *path = match assets.as_ref().map(|folder| folder.join(tool.name)).filter(|path| path.is_file()) {
            Some(asset) => asset,
            None => {
                let existing = match builder.take() {
                    Some(existing) => existing,
                    None => new_builder(assets.as_deref(), tool)?,
                };
                builder.insert(existing).get(tool)?
            }
        };
    }
    Ok(paths)
}

fn new_builder(assets: Option<&Path>, tool: &Tool) -> anyhow::Result<Builder> {
    let builder = Builder::new(&cache_folder()?);
    match assets {
        Some(folder) => {
            builder.with_context(|| format!("{ASSETS_VARIABLE} is {}, which has no {}", folder.display(), tool.name))
        }
        None => builder,
    }
}

/// Checks that the folder has the programs of `setup-envtest`. The error names all that are missing.
fn check_assets(folder: &Path, tools: &[&'static Tool]) -> anyhow::Result<()> {
    let installed = [&ETCD, &KUBE_APISERVER, &KUBECTL].map(|tool| tool.name);
    let required = tools.iter().map(|tool| tool.name).filter(|name| installed.contains(name));
    let missing: Vec<&str> = required.filter(|name| !folder.join(name).is_file()).collect();
    if !missing.is_empty() {
        bail!(
            "{ASSETS_VARIABLE} is {}, where {} missing: set it to the path that `setup-envtest use -p path` prints, or \
             unset it to build the control plane with Go",
            folder.display(),
            Missing(&missing),
        );
    }
    Ok(())
}

/// `kubectl is`, `etcd and kubectl are`.
struct Missing<'a>(&'a [&'a str]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.0.len() == 1 { "is" } else { "are" };
        write!(f, "{} {verb}", self.0.join(" and "))
    }
}

fn cache_folder() -> anyhow::Result<PathBuf> {
    let cache = dirs::cache_dir()
        .context("no cache directory for the programs of the control plane: set HOME or XDG_CACHE_HOME")?;
    Ok(cache.join("beyond-identity-operator/control-plane"))
}
