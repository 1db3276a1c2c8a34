//! The Beyond Identity API of the demo: a simulator on this machine, or the real service.

use std::{
    env,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::arguments::ServiceArguments;
use crate::simulator::{Identity, RealmHandle, Simulator};

/// The environment variable with the token of the real service.
const TOKEN_VARIABLE: &str = "BEYOND_IDENTITY_API_TOKEN";

/// An API, and the identity to enrol.
pub struct Service {
    /// The API token.
    pub token: String,
    /// The id of the identity.
    pub identity: String,
    /// The differences from `examples/provider.yaml`, as a merge patch.
    pub provider: Value,
    simulation: Option<(Simulator, RealmHandle)>,
}

impl Service {
    /// The simulator, with the ids of the examples.
    pub fn simulated() -> anyhow::Result<Self> {
        let (tenant, realm, identity) = ("00010f21d92c5114", "1893ca3144993842", "9ca7716e846cfa97");
        let token = "a-token-of-the-demo".to_owned();
        let simulator =
            Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).context("cannot start the simulator")?;
        let handle = simulator.realm(tenant, realm, &token);
        handle.add_identity(Identity::active(identity, "jane@example.com"));
        Ok(Self {
            token,
            identity: identity.to_owned(),
            provider: json!({"spec": {
                "tenantID": tenant,
                "realmID": realm,
                "region": null,
                "endpoint": {"api": simulator.url()},
            }}),
            simulation: Some((simulator, handle)),
        })
    }

    /// The real service. Asks for confirmation, since an email is sent.
    pub fn real(arguments: ServiceArguments) -> anyhow::Result<Self> {
        let ServiceArguments { tenant, realm, region, identity, yes } = arguments;
        let token = env::var(TOKEN_VARIABLE).unwrap_or_default().trim().to_owned();
        ensure!(!token.is_empty(), "set the environment variable {TOKEN_VARIABLE} to an API token of tenant {tenant}");
        println!(
            "The demo uses the real Beyond Identity API: it sends an email to identity {identity} of tenant {tenant}, realm \
             {realm}. The authenticator configuration and the link remain when the demo ends."
        );
        if !yes {
            confirm()?;
        }
        Ok(Self {
            token,
            identity,
            provider: json!({"spec": {"tenantID": tenant, "realmID": realm, "region": region}}),
            simulation: None,
        })
    }

    /// The simulated realm. `None` for the real service.
    pub fn realm(&self) -> Option<&RealmHandle> {
        self.simulation.as_ref().map(|(_, realm)| realm)
    }
}

fn confirm() -> anyhow::Result<()> {
    print!("Send the email? Type yes to confirm: ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("not confirmed, nothing was sent (use --yes to skip the confirmation)");
    }
    Ok(())
}
