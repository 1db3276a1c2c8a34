//! The operator without a cluster: errors at startup, and waiting for an API server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::program::{Running, until};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{end_of, program};

pub const RUN: [&str; 5] = ["run", "--cluster-name", "test", "--operator-namespace", "beyond-identity"];

/// A kubeconfig for an API server at this address.
pub fn kubeconfig(folder: &Path, server: SocketAddr) -> PathBuf {
    let path = folder.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://{server}") } }],
        "users": [{ "name": "test", "user": {} }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    });
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// A free address, on which no server listens.
pub fn unused_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Starts an operator whose kubeconfig names this address.
fn start(folder: &TempDir, server: SocketAddr) -> Running {
    let mut command = program(folder.path(), &RUN);
    command.env("KUBECONFIG", kubeconfig(folder.path(), server));
    Running::start(command, folder.path())
}

/// Stops the operator with TERM. It exits with 0 within seconds.
fn stop(operator: Running) -> String {
    let started = Instant::now();
    let (status, log) = operator.stop();
    assert_eq!(status.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    log
}

/// The error of an operator that cannot start.
fn startup_error(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let ended = end_of(&[&RUN[..], arguments].concat(), &[&[("RUST_LOG", "off")], environment].concat());
    assert_eq!(ended.code, 1, "{ended:?}");
    ended.error().to_owned()
}

#[test]
fn missing_cluster_configuration_is_reported() {
    assert_eq!(
        startup_error(&[], &[]),
        "error: cannot connect to the Kubernetes API: KUBECONFIG is not set, ~/.kube/config cannot be read, and this \
         process does not run in a pod"
    );
    let error = startup_error(&[], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]);
    assert!(error.contains("the service account of this pod cannot be used"), "{error}");
}

#[test]
fn unusable_kubeconfig_is_named_and_not_shown() {
    let error = startup_error(&[], &[("KUBECONFIG", "/nowhere/kubeconfig")]);
    assert!(error.contains("KUBECONFIG") && error.contains("/nowhere/kubeconfig: No such file"), "{error}");

    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("kubeconfig");
    fs::write(&broken, "users: [{name: a, user: {token: secret-token\n").unwrap();
    let error = startup_error(&[], &[("KUBECONFIG", broken.to_str().unwrap())]);
    assert!(error.contains("cannot be used") && !error.contains("secret-token"), "{error}");
}

#[test]
fn address_in_use_is_reported_with_its_flag() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kubeconfig = kubeconfig(folder.path(), unused_address());
    let aliases = [
        ["--health-address", "--health-probe-bind-address", "--metrics-address"],
        ["--metrics-address", "--metrics-bind-address", "--health-address"],
    ];
    for ([flag, _, other], given) in aliases.into_iter().flat_map(|names| [(names, names[0]), (names, names[1])]) {
        let arguments = [given, &address, other, "127.0.0.1:0"];
        let error = startup_error(&arguments, &[("KUBECONFIG", kubeconfig.to_str().unwrap())]);
        assert!(error.starts_with(&format!("error: cannot listen on {address} ({flag}): ")), "{error}");
    }
}

#[test]
fn unusable_ca_bundle_is_reported_with_its_flag() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let kubeconfig = kubeconfig(folder.path(), unused_address());
    let connected = [("KUBECONFIG", kubeconfig.to_str().unwrap())];
    let error_for = |text: &str| {
        fs::write(&file, text).unwrap();
        startup_error(&["--ca-bundle", file.to_str().unwrap()], &connected)
    };
    let named = format!("error: --ca-bundle {}: ", file.display());
    assert_eq!(
        error_for("nonsense"),
        format!("{named}the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)")
    );
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unusable = "the file contains no certificate that can be used: the block at line 1 is not a valid certificate";
    assert_eq!(error_for(nonsense), format!("{named}{unusable}"));
    fs::remove_file(&file).unwrap();
    let error = startup_error(&["--ca-bundle", file.to_str().unwrap()], &connected);
    assert!(error.starts_with(&format!("{named}No such file")), "{error}");
}

#[test]
fn invalid_log_directives_are_reported_with_their_variable() {
    let error = startup_error(&[], &[("RUST_LOG", "info=very=much")]);
    assert!(error.starts_with("error: RUST_LOG: "), "{error}");
}

#[test]
fn waits_for_an_unreachable_api_server_and_exits_with_0() {
    let (folder, server) = (TempDir::new().unwrap(), unused_address());
    let operator = start(&folder, server);
    assert_eq!(operator.get("/healthz"), (200, "ok".to_owned()));
    let message = "requests to the Kubernetes API fail";
    until("the readiness probe reports the failing requests", || {
        (operator.get("/readyz").1 == format!("not ready: {message}")).then_some(())
    });
    assert_eq!(operator.get("/readyz").0, 503);
    assert_eq!(operator.get("/healthz").0, 200, "the process stays live while it waits");
    let log = stop(operator);
    // Only the log names the address and the cause.
    let details = format!("{message}: http://{server}: Connection refused (os error 111)");
    assert_eq!(log.matches(&details).count(), 1, "{log}");
}

#[test]
fn shutdown_does_not_wait_for_a_silent_api_server() {
    let (folder, silent) = (TempDir::new().unwrap(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let server = silent.local_addr().unwrap();
    let operator = start(&folder, server);
    let (_connection, _) = silent.accept().unwrap();
    assert_eq!(operator.get("/readyz"), (503, "not ready: waiting for the Kubernetes API".to_owned()));
    stop(operator);
}
