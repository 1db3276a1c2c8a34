//! The API simulator over real HTTP: what the tests of the operator rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "also in helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "only the operator takes the time from its environment")]

mod access;
mod configs;
mod faults;
mod identities;
mod jobs;
mod pages;
mod program;
mod quota;
mod revoking;
mod time;
mod tokens;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use harness::simulator::{Config, Identity, RealmHandle, Simulator};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// The simulator of all tests. Each test has its own runtime and its own realm.
static SIMULATOR: LazyLock<Simulator> = LazyLock::new(|| start(0).unwrap());

fn start(port: u16) -> std::io::Result<Simulator> {
    let simulator = Simulator::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    // The tests also send invalid requests.
    simulator.allow_any_request();
    Ok(simulator)
}

/// A realm, and a client with its token that never retries.
struct Api {
    realm: RealmHandle,
    client: Client,
    token: String,
}

/// The identity that each realm has.
const JANE: &str = "9ca7716e846cfa97";

impl Api {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = format!("token-{number}");
        let realm = SIMULATOR.realm("tenant", &format!("realm-{number}"), &token);
        realm.add_identity(Identity::active(JANE, "jane@example.com"));
        let client = Client::builder().retry(reqwest::retry::never()).no_proxy().build().unwrap();
        Self { realm, client, token }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let Self { realm, client, token } = self;
        let (url, tenant, id) = (realm.url(), realm.tenant(), realm.realm());
        let mut request =
            client.request(method, format!("{url}/v1/tenants/{tenant}/realms/{id}/{path}")).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        parts(self.send(method, path, body).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The body that enrols Jane, with a new configuration.
    fn enrolment(&self) -> Value {
        let config = Config::of_type("hosted_web");
        self.realm.add_config(config.clone());
        json!({"job": {"delivery_method": "EMAIL", "authenticator_config_id": config.id}})
    }

    /// Reads all pages, and returns the ids in order.
    async fn pages(&self, path: &str, key: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let mut token = String::new();
        loop {
            let (status, page) = self.get(&format!("{path}{token}")).await;
            assert_eq!(status, 200, "{page}");
            ids.extend(page[key].as_array().unwrap().iter().map(|item| text(&item["id"])));
            let Some(next) = page["next_page_token"].as_str() else {
                return ids;
            };
            token = format!("&page_token={}", encoded(next));
        }
    }
}

async fn parts(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn jobs_of(identity: &str) -> String {
    format!("identities/{identity}/credential-binding-jobs")
}

/// The body of a 400 that names one field.
fn field_error(field: &str, description: &str) -> Value {
    json!({
        "code": "bad_request",
        "message": "invalid parameters",
        "details": [{
            "type": "FieldViolations",
            "field_violations": [{"field": field, "description": description}],
        }],
    })
}
