//! The demo's command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs the operator as its own process on a real Kubernetes API server, applies the manifests under `examples/`, shows
/// each phase, and checks the outcome.
///
/// The Beyond Identity API is a simulator, from which no email leaves this machine. With --tenant, --realm, --region and
/// --identity it is the real service, which sends a real email; its API token is read from BEYOND_IDENTITY_API_TOKEN.
#[derive(Debug, Parser)]
#[command(name = "demo", bin_name = "cargo demo")]
pub struct Arguments {
    /// Leave all running in the end, to try it by hand until Ctrl-C
    #[arg(long)]
    pub stay: bool,
    /// A program of the operator, instead of building it
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,
    /// The real service instead of the simulator
    #[command(flatten)]
    pub service: Option<ServiceArguments>,
}

/// Where in the real service, and whom to enrol.
#[derive(Clone, Debug, clap::Args)]
#[group(requires_all = ["tenant", "realm", "region", "identity"])]
pub struct ServiceArguments {
    /// The tenant's id in the real service
    #[arg(long, required = false)]
    pub tenant: String,
    /// The realm's id
    #[arg(long, required = false)]
    pub realm: String,
    /// Where the tenant lives
    #[arg(long, required = false, value_parser = ["US", "EU", "USFedRAMP"])]
    pub region: String,
    /// The id of the person who gets the email
    #[arg(long, required = false)]
    pub identity: String,
    /// Do not ask before the email is sent
    #[arg(long)]
    pub yes: bool,
}
