//! The client over real HTTP, against a server with scripted responses, and its decoding.

mod asked;
mod check;
mod contract;
mod decoding;
mod fuzz;
mod gate;
mod lists;
mod revoking;
mod secrecy;
mod server;
mod simulated;
mod tokens;
mod transport;
mod usernames;

use std::time::Duration;

use super::types::{DeliveryMethod, NewJob};
use super::{ApiToken, CaBundle, Endpoint, HttpClient, RealmClient, TokenEndpoint};

const TOKEN: &str = "Seeded-Token-0123456789";

const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the server at this address.
fn client(address: std::net::SocketAddr, timeout: Duration) -> RealmClient {
    client_of(address, "realm", timeout)
}

/// The same, for another realm.
fn client_of(address: std::net::SocketAddr, realm: &str, timeout: Duration) -> RealmClient {
    let http = HttpClient::new("beyond-identity-operator/test", &CaBundle::default()).unwrap();
    client_with(http, address, realm, timeout)
}

/// The same, with these connections.
fn client_with(http: HttpClient, address: std::net::SocketAddr, realm: &str, timeout: Duration) -> RealmClient {
    let endpoint = Endpoint::parse(&format!("http://{address}"), true).unwrap();
    RealmClient::new(http, endpoint, "tenant", realm, ApiToken::parse(TOKEN.as_bytes()).unwrap(), timeout)
}

/// The token endpoint of an application at this address.
fn token_endpoint(address: std::net::SocketAddr) -> TokenEndpoint {
    TokenEndpoint {
        auth: Endpoint::parse(&format!("http://{address}"), true).unwrap(),
        tenant_id: "tenant".to_owned(),
        realm_id: "admin".to_owned(),
        application_id: "application".to_owned(),
        scopes: Vec::new(),
    }
}

fn new_job() -> NewJob {
    NewJob {
        delivery_method: DeliveryMethod::Email,
        authenticator_config_id: "config".to_owned(),
        post_binding_redirect_uri: None,
    }
}
