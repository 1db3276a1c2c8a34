//! The way out of the cluster: a proxy, an authority that no system trusts, and both down. The operator runs as a process,
//! since HTTPS_PROXY and NO_PROXY are of the process.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use harness::forward_proxy::ForwardProxy;
use harness::tls::{Authority, TlsFront};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Access, Fixture, Process, message, patch};

/// Every machine is its own 0.0.0.0, and yet it is no loopback address: so calls go to a proxy unless told otherwise.
const HOST: &str = "0.0.0.0";

/// A realm behind TLS, with a certificate of an authority of its own.
struct Behind {
    fixture: Fixture,
    front: TlsFront,
    folder: TempDir,
}

impl Behind {
    async fn tls() -> Self {
        let fixture = Fixture::new().await;
        let authority = Authority::new().unwrap();
        let server: SocketAddr = fixture.realm.url().strip_prefix("http://").unwrap().parse().unwrap();
        let front = TlsFront::start(&authority, HOST, server).unwrap();
        let endpoint = format!("https://{HOST}:{}", front.address().port());
        patch(&fixture.providers(), &fixture.provider, json!({"spec": {"endpoint": {"api": endpoint}}})).await.unwrap();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fixture.create_config().await;
        Self { fixture, front, folder }
    }

    /// Starts an operator, with these variables and arguments.
    async fn start(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Process {
        self.fixture.spawn_in(&Access::shared(), arguments, environment).await
    }

    fn ca_bundle(&self) -> [String; 2] {
        ["--ca-bundle".to_owned(), self.folder.path().join("ca.pem").to_str().unwrap().to_owned()]
    }

    /// Waits until the AuthenticatorConfig says that nothing was sent, and why.
    async fn unreachable(&self, way: &str, why: &str) {
        let begun = format!("GET authenticator-configs was not sent because no connection was made{way}: ");
        let config = self.fixture.config_says("ServiceUnavailable").await;
        let message = message(&config);
        assert!(message.starts_with(&begun) && message.contains(why), "{message}");
        assert_eq!(self.fixture.realm.requests(), []);
    }
}

#[tokio::test]
async fn https_proxy_and_a_ca_bundle_lead_to_the_service() {
    let behind = Behind::tls().await;
    let proxy = ForwardProxy::start(behind.front.address()).unwrap();
    let [flag, file] = behind.ca_bundle();
    let _operator = behind.start(&[("HTTPS_PROXY", &proxy.url())], &[&flag, &file]).await;
    behind.fixture.create_request().await;
    behind.fixture.request_says("LinkSent").await;
    assert_eq!(behind.fixture.realm.outbox().len(), 1);
    let asked = proxy.asked();
    // And for the API server it was not asked: that is this machine.
    let target = format!("{HOST}:{}", behind.front.address().port());
    assert!(!asked.is_empty() && asked.iter().all(|asked| *asked == target), "{asked:?}");
}

#[tokio::test]
async fn no_proxy_goes_past_the_proxy() {
    let behind = Behind::tls().await;
    let proxy = ForwardProxy::start(behind.front.address()).unwrap();
    let [flag, file] = behind.ca_bundle();
    let _operator = behind.start(&[("HTTPS_PROXY", &proxy.url()), ("NO_PROXY", HOST)], &[&flag, &file]).await;
    behind.fixture.config_says("Available").await;
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test]
async fn an_authority_that_nobody_vouches_for_is_not_trusted() {
    let behind = Behind::tls().await;
    let _operator = behind.start(&[], &[]).await;
    behind.unreachable("", "invalid peer certificate: UnknownIssuer").await;
}

#[tokio::test]
async fn a_proxy_that_is_down_is_said_and_waited_for() {
    let behind = Behind::tls().await;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let [flag, file] = behind.ca_bundle();
    let _operator = behind.start(&[("HTTPS_PROXY", &format!("http://{nobody}"))], &[&flag, &file]).await;
    behind.unreachable(" through the proxy in HTTPS_PROXY", "Connection refused").await;
}
