//! The listeners under attack: connections that never send a whole request.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::program::{Running, command, until};
use tempfile::TempDir;

use crate::running::{RUN, kubeconfig};

/// How long a connection may stay open: three times the longest time in the program, for a machine that is busy.
const BOUND: Duration = Duration::from_secs(90);
/// What the kubelet waits for an answer, by the chart's probes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections to open to each listener: as many as the limit of files of this process allows.
fn connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: usize = files.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    (soft / 2).saturating_sub(200).min(3000)
}

/// An API server that closes each connection, and counts them.
fn api_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, calls) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = calls.clone();
    thread::spawn(move || listener.incoming().flatten().for_each(|_| _ = counted.fetch_add(1, Ordering::SeqCst)));
    (address, calls)
}

/// An operator that may open 1,024 files, as many as some container runtimes allow.
fn start(folder: &TempDir, api_server: SocketAddr) -> Running {
    let shell = ["-c", "ulimit -n 1024 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_beyond-identity-operator")];
    let mut command = command("sh", folder.path(), &[&shell[..], &RUN].concat());
    command.env("KUBECONFIG", kubeconfig(folder.path(), api_server));
    Running::start(command, folder.path())
}

/// Opens a connection, and sends the beginning of a request.
fn half_open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may have closed it already.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n");
    stream
}

/// Waits until the server closes the connection.
fn is_closed_within(mut stream: TcpStream, timeout: Duration) -> bool {
    stream.set_read_timeout(Some(timeout.max(Duration::from_millis(1)))).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Gets a path on a new connection within the timeout of a probe.
fn probe(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn half_open_connections_are_closed_while_probes_and_metrics_answer() {
    let folder = TempDir::new().unwrap();
    let (api_server, calls) = api_server();
    let operator = start(&folder, api_server);
    let [health, metrics] = ["/healthz", "/metrics"].map(|path| operator.address_of(path));
    let opening = [health, metrics]
        .map(|address| thread::spawn(move || (0..connections()).map(|_| half_open(address)).collect::<Vec<_>>()));
    let mut slowest = Duration::ZERO;
    let mut answers = || {
        for (address, path) in [(health, "/healthz"), (metrics, "/metrics")] {
            let started = Instant::now();
            // The kubelet, too, gives up after three failures in a row only.
            let answer = (0..3).find_map(|_| probe(address, path).ok()).unwrap_or_else(|| panic!("{path} fails"));
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
            slowest = slowest.max(started.elapsed());
        }
    };
    while !opening.iter().all(thread::JoinHandle::is_finished) {
        answers();
    }
    let opened = opening.map(|thread| thread.join().unwrap());
    let started = Instant::now();
    let closing = opened.map(|streams| {
        thread::spawn(move || {
            let close = |stream| is_closed_within(stream, BOUND.saturating_sub(started.elapsed()));
            streams.into_iter().map(close).filter(|closed| !closed).count()
        })
    });
    answers();
    while !closing.iter().all(thread::JoinHandle::is_finished) {
        answers();
    }
    let open = closing.map(|thread| thread.join().unwrap());
    println!("{} each; open after {:?}: {open:?}; slowest answer: {slowest:?}", connections(), started.elapsed());
    assert_eq!(open, [0, 0], "after {:?}", started.elapsed());
    let before = calls.load(Ordering::SeqCst);
    until("calls still have files", || (calls.load(Ordering::SeqCst) > before).then_some(()));
}
