//! The API simulator as a program, for experiments: one realm and its identities. It prints each email.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harness::simulator::{Identity, RealmHandle, Simulator};

/// Simulates the Beyond Identity API on this machine. Sends no real email.
#[derive(Parser)]
struct Arguments {
    /// Port to listen on; 0 selects a free port
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Id of the tenant
    #[arg(long, default_value = "00010f21d92c5114")]
    tenant: String,
    /// Id of the realm
    #[arg(long, default_value = "1893ca3144993842")]
    realm: String,
    /// API token that the simulator accepts
    #[arg(long, env = "API_TOKEN", hide_env_values = true)]
    token: String,
    /// Identity, active unless suspended, with or without an address; repeat the flag for several
    #[arg(long = "identity", value_name = "ID[=EMAIL][,suspended]", value_parser = identity)]
    identities: Vec<Identity>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { port, tenant, realm, token, identities } = Arguments::parse();
    let simulator = match Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let realm = simulator.realm(&tenant, &realm, &token);
    // An invalid request gets the error of the service, instead of ending the simulator.
    simulator.allow_any_request();
    for identity in identities {
        realm.add_identity(identity);
    }
    println!("{}", simulator.url());
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = report(&realm) => {}
    }
    ExitCode::SUCCESS
}

async fn report(realm: &RealmHandle) {
    let mut reported = 0;
    loop {
        for email in realm.outbox().iter().skip(reported) {
            println!("Email to {}: identity {}, job {}", email.address, email.identity_id, email.job_id);
            reported += 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn identity(text: &str) -> Result<Identity, String> {
    let (text, is_suspended) = text.strip_suffix(",suspended").map_or((text, false), |text| (text, true));
    let identity = match text.split_once('=') {
        Some((id, email)) if !id.is_empty() && email.contains('@') => Identity::active(id, email),
        None if !text.is_empty() => Identity::active(text, "").without_email(),
        _ => return Err("must have the form ID=EMAIL, ID, ID=EMAIL,suspended or ID,suspended".to_owned()),
    };
    Ok(if is_suspended { identity.status(Some("suspended")) } else { identity })
}
