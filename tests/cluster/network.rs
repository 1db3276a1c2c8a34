//! Egress from the cluster: an HTTPS proxy, a private certificate authority, and failures of both. The operator runs as
//! a process, since `HTTPS_PROXY` and `NO_PROXY` are read from the environment of a process.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use harness::forward_proxy::ForwardProxy;
use harness::tls::{Authority, TlsFront};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Access, CONFIG, Fixture, Process, eventually, message, patch};

/// A connection to 0.0.0.0 reaches this machine. It is not a loopback address, so calls to it use the proxy.
const HOST: &str = "0.0.0.0";

/// A realm behind TLS, with a certificate of a private authority.
struct TlsRealm {
    fixture: Fixture,
    front: TlsFront,
    folder: TempDir,
}

impl TlsRealm {
    async fn start() -> Self {
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

    /// Starts an operator that allows the endpoint, with this environment and these arguments.
    async fn spawn(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Process {
        let allowed = format!("--allowed-endpoint-hosts=api.example.com,{HOST}:{}", self.front.address().port());
        self.fixture.spawn_in(&Access::shared(), &[&[&*allowed], arguments].concat(), environment).await
    }

    fn ca_bundle(&self) -> [String; 2] {
        ["--ca-bundle".to_owned(), self.folder.path().join("ca.pem").to_str().unwrap().to_owned()]
    }

    /// Waits until the AuthenticatorConfig reports that no call was sent, and why.
    async fn reports_unreachable(&self, route: &str, why: &str) {
        let provider = &self.fixture.provider;
        let prefix = format!(
            "ClusterProviderConfig {provider} is not Ready: GET authenticator-configs was not sent because no connection \
             was made{route}: "
        );
        let config = self.fixture.wait_for_config("ServiceUnavailable").await;
        let message = message(&config);
        assert!(message.starts_with(&prefix) && message.contains(why), "{message}");
        assert_eq!(self.fixture.realm.requests(), []);
    }
}

#[tokio::test]
async fn https_proxy_and_ca_bundle_are_used() {
    let tls_realm = TlsRealm::start().await;
    let proxy = ForwardProxy::start(tls_realm.front.address()).unwrap();
    let [flag, file] = tls_realm.ca_bundle();
    let _operator = tls_realm.spawn(&[("HTTPS_PROXY", &proxy.url())], &[&flag, &file]).await;
    tls_realm.fixture.create_request().await;
    tls_realm.fixture.wait_for_request("LinkSent").await;
    assert_eq!(tls_realm.fixture.realm.outbox().len(), 1);
    let targets = proxy.asked();
    // Calls to the Kubernetes API server do not use the proxy, since its address is a loopback address.
    let target = format!("{HOST}:{}", tls_realm.front.address().port());
    assert!(!targets.is_empty() && targets.iter().all(|asked| *asked == target), "{targets:?}");
}

#[tokio::test]
async fn no_proxy_bypasses_the_proxy() {
    let tls_realm = TlsRealm::start().await;
    let proxy = ForwardProxy::start(tls_realm.front.address()).unwrap();
    let [flag, file] = tls_realm.ca_bundle();
    let _operator = tls_realm.spawn(&[("HTTPS_PROXY", &proxy.url()), ("NO_PROXY", HOST)], &[&flag, &file]).await;
    tls_realm.fixture.wait_for_config("Available").await;
    assert_eq!(proxy.asked(), [""; 0]);
}

#[tokio::test]
async fn unknown_certificate_authority_is_not_trusted() {
    let tls_realm = TlsRealm::start().await;
    let _operator = tls_realm.spawn(&[], &[]).await;
    tls_realm.reports_unreachable("", "invalid peer certificate: UnknownIssuer").await;
}

/// The password of a proxy, which no output contains.
const PASSWORD: &str = "Seeded-Password-0123";

#[tokio::test]
async fn unreachable_proxy_is_reported() {
    let tls_realm = TlsRealm::start().await;
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let [flag, file] = tls_realm.ca_bundle();
    let proxy = format!("http://operator:{PASSWORD}@{unused}");
    let operator = tls_realm.spawn(&[("HTTPS_PROXY", &proxy)], &[&flag, &file, "--log-level=trace"]).await;
    tls_realm.reports_unreachable(" through the proxy in HTTPS_PROXY", "Connection refused").await;
    let config = serde_json::to_string(&tls_realm.fixture.configs().get(CONFIG).await.unwrap()).unwrap();
    let log = operator.kill();
    assert!(!log.contains(PASSWORD) && !config.contains(PASSWORD), "{log}");
}

#[tokio::test]
async fn endpoint_at_a_host_that_is_not_allowed_gets_no_call() {
    let tls_realm = TlsRealm::start().await;
    let [flag, file] = tls_realm.ca_bundle();
    let operator = tls_realm.fixture.spawn(&Access::shared(), &[&flag, &file]).await;
    let config = tls_realm.fixture.wait_for_config("InvalidEndpoint").await;
    assert_eq!(
        message(&config),
        format!(
            "ClusterProviderConfig {} has an invalid spec.endpoint.api: the operator does not allow this host; add it to \
             --allowed-endpoint-hosts (allowedEndpointHosts in the chart), or set spec.region instead",
            tls_realm.fixture.provider
        )
    );
    operator.stop();
    assert_eq!(tls_realm.fixture.realm.requests(), []);
    let _operator = tls_realm.spawn(&[], &[&flag, &file]).await;
    tls_realm.fixture.wait_for_config("Available").await;
}

#[tokio::test]
async fn ca_bundle_is_read_again_when_it_changes() {
    let tls_realm = TlsRealm::start().await;
    let [flag, file] = tls_realm.ca_bundle();
    let trusted = fs::read_to_string(&file).unwrap();
    let other = Authority::new().unwrap().pem();
    fs::write(&file, &other).unwrap();
    let operator = tls_realm.spawn(&[], &[&flag, &file]).await;
    tls_realm.reports_unreachable("", "invalid peer certificate: ").await;

    // A file that cannot be used keeps the earlier certificates.
    fs::write(&file, "nonsense").unwrap();
    let refused = "the earlier ones are used: the file contains no PEM certificate";
    eventually("the log says what is wrong", || !operator.logged(refused).is_empty()).await;
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&file, format!("\u{feff}{bad}{other}{trusted}")).unwrap();
    tls_realm.fixture.wait_for_config("Available").await;
    let skipped = "Part of --ca-bundle skipped: the block at line 1 is not a valid certificate";
    assert_eq!(operator.logged(skipped).len(), 1);
    let loaded =
        operator.log().into_iter().filter(|line| line["message"] == "Certificate authorities of --ca-bundle loaded");
    assert_eq!(loaded.map(|line| line["certificates"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}
