//! `cargo run --bin control-plane`: runs a Kubernetes API server for experiments, until Ctrl-C.

use std::{io::Read as _, process::ExitCode};

use clap::Parser;
use harness::control_plane::{
    ControlPlane, ETCD, GITOPS, HELM, HELM_DOCS, KSTATUS, KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBECTL, locate,
};

/// Runs a local Kubernetes API server until Ctrl-C or the end of standard input.
#[derive(Parser)]
struct Arguments {
    /// Only locate or build the required programs and print their paths
    #[arg(long)]
    prepare: bool,
    /// Include the programs that only some tests need: kube-controller-manager, helm, helm-docs and kstatus
    #[arg(long, requires = "prepare")]
    all: bool,
    /// Include the programs of Flux, Argo CD and Prometheus for the tests in tests/gitops, whose builds take long
    #[arg(long, requires = "prepare")]
    gitops: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.prepare {
        let mut paths = locate([&ETCD, &KUBE_APISERVER, &KUBECTL])?.to_vec();
        if arguments.all {
            paths.extend(locate([&KUBE_CONTROLLER_MANAGER, &HELM, &HELM_DOCS, &KSTATUS])?);
        }
        if arguments.gitops {
            paths.extend(locate(GITOPS)?);
        }
        for path in paths {
            println!("{}", path.display());
        }
        return Ok(());
    }
    let control_plane = ControlPlane::start()?;
    println!("export KUBECONFIG={}", control_plane.kubeconfig().display());
    // Ctrl-C needs no handler: the supervisor ends the servers with this process.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
