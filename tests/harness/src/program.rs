//! Runs the operator as a process with a clean environment. Errors panic, as in a test.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::leash::Leashed;

/// Long enough for a machine that is busy with a build.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A program with these arguments, the home directory `home`, and a clean environment.
pub fn command(program: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let is_setting = text.starts_with("BEYOND_IDENTITY_") || text.to_ascii_lowercase().ends_with("_proxy");
        if is_setting
            || ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "POD_NAMESPACE", "POD_NAME", "RUST_LOG"].contains(&&*text)
        {
            command.env_remove(&name);
        }
    }
    command.args(arguments).env("HOME", home).stdin(Stdio::null());
    command
}

/// Polls until `poll` returns a value, and returns that value.
#[track_caller]
pub fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(started.elapsed() < TIMEOUT, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A running operator and its log. Dropping it stops the operator.
#[derive(Debug)]
pub struct Running {
    process: Leashed,
    log: PathBuf,
    health: SocketAddr,
    metrics: SocketAddr,
}

impl Running {
    /// Starts the operator with its log in `home`, and waits until it serves health probes and metrics. The log is JSON
    /// unless the arguments say otherwise.
    #[must_use]
    #[track_caller]
    pub fn start(mut command: Command, home: &Path) -> Self {
        let log = home.join("log");
        command.args(["--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"]);
        if command.get_args().all(|argument| argument != "--log-format") {
            command.args(["--log-format", "json"]);
        }
        let mut process = Leashed::spawn(&command, File::create(&log).unwrap()).unwrap();
        let [health, metrics] = ["Serving health probes", "Serving metrics"].map(|what| {
            until(what, || {
                assert!(process.ended().unwrap().is_none(), "the operator exited: {}", text(&log));
                text(&log).lines().find(|line| line.contains(what)).and_then(address_in)
            })
        });
        Self { process, log, health, metrics }
    }

    /// Stops it as Kubernetes does. Returns its exit status and its output.
    pub fn stop(self) -> (ExitStatus, String) {
        Self::ended(self.process.stop(), &self.log)
    }

    /// Kills it, and returns its output.
    pub fn kill(self) -> String {
        Self::ended(self.process.kill(), &self.log).1
    }

    /// Waits until it exits by itself. Returns its exit status and its output.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, String) {
        let ended = until("the operator exits", || self.process.ended().transpose());
        Self::ended(ended, &self.log)
    }

    fn ended(status: std::io::Result<ExitStatus>, log: &Path) -> (ExitStatus, String) {
        (status.unwrap(), text(log))
    }

    /// The address that serves this path.
    #[must_use]
    pub fn address_of(&self, path: &str) -> SocketAddr {
        if path == "/metrics" { self.metrics } else { self.health }
    }

    /// Status and body of the response to a GET.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = self.address_of(path);
        let request = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
            let mut response = String::new();
            stream.read_to_string(&mut response)?;
            Ok(response)
        };
        let response = request().unwrap_or_else(|error| panic!("{path} is not served: {error}: {}", text(&self.log)));
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The log so far, as it was written.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.log)
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        lines(&self.log)
    }

    /// The log lines that contain `text`, each as its message and its error.
    #[must_use]
    pub fn logged(&self, text: &str) -> Vec<String> {
        let field = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
        let lines = self.log().into_iter().filter_map(|line| {
            let message = field(&line, "message")?;
            Some(field(&line, "error").map_or(message.clone(), |error| format!("{message}: {error}")))
        });
        lines.filter(|line| line.contains(text)).collect()
    }
}

/// The address in a line of either format.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.rsplit_once("address")?;
    let address = address.trim_start_matches(['"', ':', '=']);
    address.split(['"', ' ', ',', '}']).next()?.parse().ok()
}

fn text(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// The complete lines of a log.
fn lines(log: &Path) -> Vec<Value> {
    text(log).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
