//! Starts the servers under a supervisor, and waits until they are ready.

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

/// The file name of the kubeconfig in the folder of the control plane.
pub const KUBECONFIG: &str = "kubeconfig";

/// The script of the supervisor. It is a file, so that process lists stay readable.
const SUPERVISOR: &str = "supervisor.sh";

/// The self-signed certificate that the API server creates.
const CA: &str = "pki/apiserver.crt";

/// The audit policy of the API server.
const AUDIT_POLICY: &str = "audit-policy.json";

/// The audit log, with one JSON object in each line.
pub const AUDIT_LOG: &str = "audit.log";

/// The servers in start order. The first one that exited is the cause of a failed start.
const SERVERS: [&str; 2] = ["etcd", "kube-apiserver"];

/// The number of start attempts: another process may take a free port before the server listens on it.
const ATTEMPTS: u32 = 5;

/// Long enough for a machine that runs a build at the same time. On an idle machine, the start takes three seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The process that ends the servers and removes their folder when its standard input closes. It closes when this is
/// dropped, and when this process ends for whatever reason.
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
            // etcd also reads its flags from the environment.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            // A group of its own, so that Ctrl-C does not end it: it must outlive this process briefly.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run sh to supervise the servers of the control plane")?;
        Ok(Self { folder: folder.keep(), process })
    }

    /// The folder with the files of the servers.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server that has exited, if any.
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

    /// The last lines of a server's log, for an error message.
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

/// Why a start attempt failed.
enum Failure {
    PortInUse,
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
            Err(Failure::PortInUse) => {}
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
        etcd_url: format!("http://127.0.0.1:{etcd_port}"),
        token,
        ca_pem: String::new(),
    };
    wait_until_ready(&control_plane, api_port)?;
    control_plane.ca_pem = fs::read_to_string(control_plane.folder().join(CA))?;
    Ok(control_plane)
}

/// Two free ports. Both stay bound until both are known, or they could be the same.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

/// Writes the credentials of the servers and their clients, and the script of the supervisor.
fn write_files(folder: &Path, server_url: &str, token: &str) -> anyhow::Result<()> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    // JSON, which is also YAML, so that paths need no quoting.
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

/// Records the requests of ServiceAccounts when the response starts.
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
    let mut last = String::from("not listening yet");
    while started.elapsed() < TIMEOUT {
        if let Some(name) = supervisor.ended() {
            if supervisor.log(name).contains("address already in use") {
                return Err(Failure::PortInUse);
            }
            return Err(
                anyhow!("the control plane did not start: {name} exited. {}", supervisor.last_lines(name)).into()
            );
        }
        if is_listening(api_port) && control_plane.folder().join(CA).exists() {
            // The certificate and the token ensure that this server answers, and not another process on its port.
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
