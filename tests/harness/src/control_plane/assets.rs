//! Where the programs come from: a folder that the environment names, our cache, or a build into that cache.
//! What `setup-envtest` does not bring, such as helm, may lie in that folder too, and is built where it does not.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::{
    build::Builder,
    tools::{ETCD, KUBE_APISERVER, KUBECTL, Tool},
};

/// The folder that `setup-envtest` and its users name: `etcd`, `kube-apiserver`, `kubectl`.
const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// Finds these programs, or builds what is not there yet.
pub fn locate<const N: usize>(tools: [&'static Tool; N]) -> anyhow::Result<[PathBuf; N]> {
    let assets = match env::var_os(ASSETS_VARIABLE).filter(|value| !value.is_empty()) {
        Some(folder) => {
            let folder = std::path::absolute(folder)?;
            look_up(&folder, &tools)?;
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
                let known = match builder.take() {
                    Some(known) => known,
                    None => new_builder(assets.as_deref(), tool)?,
                };
                builder.insert(known).get(tool)?
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

/// Every program that the folder has to have is there, or all that are missing are named at once.
fn look_up(folder: &Path, tools: &[&'static Tool]) -> anyhow::Result<()> {
    let brought = [&ETCD, &KUBE_APISERVER, &KUBECTL].map(|tool| tool.name);
    let wanted = tools.iter().map(|tool| tool.name).filter(|name| brought.contains(name));
    let missing: Vec<&str> = wanted.filter(|name| !folder.join(name).is_file()).collect();
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
