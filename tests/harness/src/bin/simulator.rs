//! The API simulator as a program, to try things by hand: one realm, its identities, and each email as it would be sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use harness::simulator::{Identity, RealmHandle, Simulator};

/// Plays the Beyond Identity API on this machine: no email leaves it.
#[derive(Parser)]
struct Arguments {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The tenant's id.
    #[arg(long, default_value = "00010f21d92c5114")]
    tenant: String,
    /// The realm's id.
    #[arg(long, default_value = "1893ca3144993842")]
    realm: String,
    /// The API token that is accepted.
    #[arg(long, env = "API_TOKEN", hide_env_values = true)]
    token: String,
    /// An identity that can be enrolled; may be given several times.
    #[arg(long = "identity", value_name = "ID=EMAIL", value_parser = identity)]
    identities: Vec<Identity>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { port, tenant, realm, token, identities } = Arguments::parse();
    let simulator = match Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let realm = simulator.realm(&tenant, &realm, &token);
    // Whoever tries something by hand is told what the service says to it.
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
            println!("email to {} for identity {}, job {}", email.address, email.identity_id, email.job_id);
            reported += 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn identity(text: &str) -> Result<Identity, String> {
    match text.split_once('=') {
        Some((id, email)) if !id.is_empty() && email.contains('@') => Ok(Identity::active(id, email)),
        _ => Err("it is written ID=EMAIL".to_owned()),
    }
}
