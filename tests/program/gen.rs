//! `cargo gen`: writes every generated file of the repository. Tests fail while one of them is stale.
//!
//! It is an example target of the operator's package, so that it uses the same dependencies, with the same features, as
//! the tests.

#![allow(clippy::unwrap_used)] // a generator that cannot continue panics with the location

mod generated;
#[path = "../chart/permissions_page.rs"]
mod permissions_page;

use std::fs;
use std::process::{Command, ExitCode};

use generated::{DEFINITIONS, files, root};
use harness::control_plane::{HELM, HELM_DOCS, locate};
use harness::process::output_of;

fn main() -> ExitCode {
    for folder in DEFINITIONS {
        let folder = root().join(folder);
        fs::create_dir_all(&folder).unwrap();
        // A kind that was removed or renamed leaves no file behind.
        for entry in fs::read_dir(folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    for (path, content) in files() {
        let file = root().join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        println!("{}", path.display());
    }
    match chart_files() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: all files but the chart's README and docs/permissions.md were written: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Generates the README of the chart with helm-docs, and the page of permissions with helm. `tests/chart` checks both.
fn chart_files() -> Result<(), Box<dyn std::error::Error>> {
    let [helm_docs] = locate([&HELM_DOCS])?;
    let mut command = Command::new(helm_docs);
    command.args(["--sort-values-order", "file", "--chart-search-root"]).arg(root().join("charts"));
    output_of(command, "")?;
    println!("charts/beyond-identity-operator/README.md");
    locate([&HELM])?;
    fs::write(root().join("docs/permissions.md"), permissions_page::page())?;
    println!("docs/permissions.md");
    Ok(())
}
