//! Starts the servers under a supervisor and waits until they answer.

use std::{
    env, fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{OpenOptionsExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use rand::distr::{Alphanumeric, SampleString as _};

use super::ControlPlane;

/// The kubeconfig's name in the control plane's folder.
pub const KUBECONFIG: &str = "kubeconfig";

/// The script that the supervisor runs; a file, so that a list of processes stays readable.
const SUPERVISOR: &str = "supervisor.sh";

/// What the API server writes by itself: a certificate that is its own authority.
const CA: &str = "pki/apiserver.crt";

/// Which calls the API server writes down.
const AUDIT_POLICY: &str = "audit-policy.json";

/// Where it writes them, a JSON object a line.
pub const AUDIT_LOG: &str = "audit.log";

/// In the order in which they start, and in which to look for the one that failed.
const SERVERS: [&str; 2] = ["etcd", "kube-apiserver"];

/// Between a free port and the server that listens on it somebody else may take it. So often we try.
const ATTEMPTS: u32 = 5;

/// Long enough for a machine that is busy with a build. The start takes three seconds on one that is not.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The process that ends the servers and removes their folder as soon as our end of its stdin closes, as it does when
/// this is dropped and when this process ends in whatever way.
#[derive(Debug)]
pub struct Supervisor {
    folder: PathBuf,
    process: Child,
}

impl Supervisor {
    fn spawn(folder: tempfile::TempDir, etcd: &Path, apiserver: &Path, ports: [u16; 2]) -> anyhow::Result<Self> {
        let process = Command::new("sh")
            .arg(folder.path().join(SUPERVISOR))
            .args([folder.path(), etcd, apiserver])
            .args(ports.map(|port| port.to_string()))
            // etcd takes every one of its flags from the environment too.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            // Out of reach of Ctrl-C: it has to outlive us for a moment.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh to supervise the servers of the control plane")?;
        Ok(Self { folder: folder.keep(), process })
    }

    /// What the servers write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server that has ended, if one has.
    fn ended(&self) -> Option<&'static str> {
        SERVERS.into_iter().find(|name| self.folder.join(format!("{name}.exit")).exists())
    }

    fn log(&self, name: &str) -> String {
        let path = self.folder.join(format!("{name}.log"));
        fs::read(&path).map_or_else(
            |error| format!("cannot read {}: {error}", path.display()),
            |log| String::from_utf8_lossy(&log).into_owned(),
        )
    }

    /// The last lines of a server's log, for an error to end with.
    fn last_lines(&self, name: &str) -> String {
        let log = self.log(name);
        let lines: Vec<&str> = log.lines().collect();
        format!("Last log lines of {name}:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Why a start did not succeed.
enum Failure {
    PortTaken,
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

pub fn start(etcd: &Path, apiserver: &Path, kubectl: PathBuf) -> anyhow::Result<ControlPlane> {
    for _ in 0..ATTEMPTS {
        match attempt(etcd, apiserver, &kubectl) {
            Ok(control_plane) => return Ok(control_plane),
            Err(Failure::PortTaken) => {}
            Err(Failure::Other(error)) => return Err(error),
        }
    }
    bail!("the control plane did not start: another process took the free port {ATTEMPTS} times")
}

fn attempt(etcd: &Path, apiserver: &Path, kubectl: &Path) -> Result<ControlPlane, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("control-plane-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("cannot create a directory for the control plane")?;
    let [etcd_port, api_port] = free_ports().context("no port is free")?;
    let server_url = format!("https://127.0.0.1:{api_port}");
    let token = Alphanumeric.sample_string(&mut rand::rng(), 32);
    write_files(folder.path(), &server_url, &token)?;
    let mut control_plane = ControlPlane {
        controllers: None,
        supervisor: Supervisor::spawn(folder, etcd, apiserver, [etcd_port, api_port])?,
        kubectl: kubectl.to_owned(),
        server_url,
        token,
        ca_pem: String::new(),
    };
    wait_until_ready(&control_plane, api_port)?;
    control_plane.ca_pem = fs::read_to_string(control_plane.folder().join(CA))?;
    Ok(control_plane)
}

/// Ports that nobody uses; both are held until both are known, or the second could be the first.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

/// Writes what the servers and their clients identify themselves with, and the supervisor's script.
fn write_files(folder: &Path, server_url: &str, token: &str) -> anyhow::Result<()> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    // JSON, which is YAML too, so that no path in it needs quotes of our own.
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "local",
            "cluster": { "server": server_url, "certificate-authority": folder.join(CA) },
        }],
        "users": [{ "name": "admin", "user": { "token": token } }],
        "contexts": [{ "name": "local", "context": { "cluster": "local", "user": "admin" } }],
        "current-context": "local",
    });
    for (name, content) in [
        ("sa.key", key.serialize_pem()),
        ("sa.pub", key.public_key_pem()),
        ("tokens.csv", format!("{token},admin,u1,\"system:masters\"\n")),
        (AUDIT_POLICY, audit_policy().to_string()),
        (SUPERVISOR, include_str!("supervisor.sh").to_owned()),
        (KUBECONFIG, serde_json::to_string_pretty(&kubeconfig)?),
    ] {
        let path = folder.join(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The calls of ServiceAccounts, when they have been answered, or in a watch have begun to be.
fn audit_policy() -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata", "userGroups": ["system:serviceaccounts"] }, { "level": "None" }],
    })
}

fn wait_until_ready(control_plane: &ControlPlane, api_port: u16) -> Result<(), Failure> {
    let supervisor = &control_plane.supervisor;
    let started = Instant::now();
    let mut last = String::from("it does not listen yet");
    while started.elapsed() < TIMEOUT {
        if let Some(name) = supervisor.ended() {
            if supervisor.log(name).contains("address already in use") {
                return Err(Failure::PortTaken);
            }
            return Err(
                anyhow!("the control plane did not start: {name} exited. {}", supervisor.last_lines(name)).into()
            );
        }
        if is_listening(api_port) && control_plane.folder().join(CA).exists() {
            // With our authority and our token, so that it is this server that answers and none that took its port.
            match control_plane.run_kubectl(["get", "--raw", "/readyz"]) {
                Ok(answer) if answer.trim() == "ok" => return Ok(()),
                Ok(answer) => last = answer,
                Err(error) => last = error.to_string(),
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(anyhow!(
        "the control plane was not ready after {} s ({last}). {}\n{}",
        TIMEOUT.as_secs(),
        supervisor.last_lines(SERVERS[0]),
        supervisor.last_lines(SERVERS[1]),
    )
    .into())
}

fn is_listening(port: u16) -> bool {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::ConnectionRefused,
    }
}
