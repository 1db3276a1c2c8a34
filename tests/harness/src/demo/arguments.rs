//! The demo's command line.

use std::path::PathBuf;

use clap::Parser;

/// Runs the operator against a real Kubernetes API server, applies the manifests in `examples/`, prints each status change,
/// and verifies the result.
///
/// By default, the Beyond Identity API is simulated and no email is sent. With --tenant, --realm, --region and --identity,
/// the demo uses the real API, which sends a real email. It reads the API token from BEYOND_IDENTITY_API_TOKEN.
#[derive(Debug, Parser)]
#[command(name = "demo", bin_name = "cargo demo")]
pub struct Arguments {
    /// Keep everything running until Ctrl-C, to experiment with it
    #[arg(long)]
    pub stay: bool,
    /// Use this operator binary instead of building one
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,
    /// The real API instead of the simulator
    #[command(flatten)]
    pub service: Option<ServiceArguments>,
}

/// The realm of the real API, and the identity to enrol.
#[derive(Clone, Debug, clap::Args)]
#[group(requires_all = ["tenant", "realm", "region", "identity"])]
pub struct ServiceArguments {
    /// Id of the tenant in the real API
    #[arg(long, required = false)]
    pub tenant: String,
    /// Id of the realm
    #[arg(long, required = false)]
    pub realm: String,
    /// Region that hosts the tenant
    #[arg(long, required = false, value_parser = ["US", "EU", "USFedRAMP"])]
    pub region: String,
    /// Id of the identity that receives the email
    #[arg(long, required = false)]
    pub identity: String,
    /// Send the email without asking for confirmation
    #[arg(long)]
    pub yes: bool,
}
