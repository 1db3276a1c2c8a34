//! The operator without a cluster: what it says when it cannot start, and that it waits for an API server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::program::{Running, until};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{end_of, program};

const RUN: [&str; 5] = ["run", "--cluster-name", "test", "--operator-namespace", "beyond-identity"];

/// A kubeconfig for an API server at this address.
fn kubeconfig(folder: &Path, server: SocketAddr) -> PathBuf {
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

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Starts an operator whose API server would be at this address.
fn start(folder: &TempDir, server: SocketAddr) -> Running {
    let mut command = program(folder.path(), &RUN);
    command.env("KUBECONFIG", kubeconfig(folder.path(), server));
    Running::start(command, folder.path())
}

/// Asks it to end, which it does well, and in no time.
fn stop(operator: Running) -> String {
    let asked = Instant::now();
    let (status, log) = operator.stop();
    assert_eq!(status.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    log
}

/// The complaint of an operator that could not start.
fn could_not_start(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let ended = end_of(&[&RUN[..], arguments].concat(), &[&[("RUST_LOG", "off")], environment].concat());
    assert_eq!(ended.code, 1, "{ended:?}");
    ended.complaint().to_owned()
}

#[test]
fn without_a_cluster_it_says_where_it_looked_for_one() {
    assert_eq!(
        could_not_start(&[], &[]),
        "error: cannot connect to the Kubernetes API: KUBECONFIG is not set, ~/.kube/config cannot be read, and this \
         process does not run in a pod"
    );
    let said = could_not_start(&[], &[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]);
    assert!(said.contains("the service account of this pod cannot be used"), "{said}");
}

#[test]
fn a_kubeconfig_that_is_missing_or_broken_is_named_and_none_of_it_is_shown() {
    let said = could_not_start(&[], &[("KUBECONFIG", "/nowhere/kubeconfig")]);
    assert!(said.contains("KUBECONFIG") && said.contains("/nowhere/kubeconfig: No such file"), "{said}");

    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("kubeconfig");
    fs::write(&broken, "users: [{name: a, user: {token: secret-token\n").unwrap();
    let said = could_not_start(&[], &[("KUBECONFIG", broken.to_str().unwrap())]);
    assert!(said.contains("cannot be used") && !said.contains("secret-token"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_named_with_its_flag() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let kubeconfig = kubeconfig(folder.path(), nobody());
    let aliases = [
        ["--health-address", "--health-probe-bind-address", "--metrics-address"],
        ["--metrics-address", "--metrics-bind-address", "--health-address"],
    ];
    for ([flag, _, other], given) in aliases.into_iter().flat_map(|names| [(names, names[0]), (names, names[1])]) {
        let arguments = [given, &address, other, "127.0.0.1:0"];
        let said = could_not_start(&arguments, &[("KUBECONFIG", kubeconfig.to_str().unwrap())]);
        assert!(said.starts_with(&format!("error: cannot listen on {address} ({flag}): ")), "{said}");
    }
}

#[test]
fn a_ca_bundle_that_is_none_is_named_with_its_flag() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let said = |text: &str| {
        fs::write(&file, text).unwrap();
        could_not_start(&["--ca-bundle", file.to_str().unwrap()], &[])
    };
    let named = format!("error: --ca-bundle {}: ", file.display());
    assert_eq!(said("nonsense"), format!("{named}the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)"));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unusable = "the file contains a certificate that cannot be parsed";
    assert_eq!(said(nonsense), format!("{named}{unusable}"));
    fs::remove_file(&file).unwrap();
    let said = could_not_start(&["--ca-bundle", file.to_str().unwrap()], &[]);
    assert!(said.starts_with(&format!("{named}No such file")), "{said}");
}

#[test]
fn log_directives_that_cannot_be_read_are_named_with_their_variable() {
    let said = could_not_start(&[], &[("RUST_LOG", "info=very=much")]);
    assert!(said.starts_with("error: RUST_LOG: "), "{said}");
}

#[test]
fn it_waits_for_an_api_server_that_is_not_there_and_ends_with_0_when_asked_to() {
    let (folder, server) = (TempDir::new().unwrap(), nobody());
    let operator = start(&folder, server);
    assert_eq!(operator.get("/healthz"), (200, "ok".to_owned()));
    let answer = format!("requests to the Kubernetes API at http://{server} fail: Connection refused (os error 111)");
    until("it says what it waits for", || (operator.get("/readyz").1 == format!("not ready: {answer}")).then_some(()));
    assert_eq!(operator.get("/readyz").0, 503);
    assert_eq!(operator.get("/healthz").0, 200, "and goes on waiting");
    let log = stop(operator);
    assert_eq!(log.matches(&answer).count(), 1, "{log}");
}

#[test]
fn an_api_server_that_never_answers_does_not_keep_it_from_ending() {
    let (folder, silent) = (TempDir::new().unwrap(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let server = silent.local_addr().unwrap();
    let operator = start(&folder, server);
    let (_connection, _) = silent.accept().unwrap();
    let waiting = format!("not ready: waiting for the Kubernetes API at http://{server}");
    assert_eq!(operator.get("/readyz"), (503, waiting));
    stop(operator);
}
