//! A forward proxy for HTTPS_PROXY. It accepts CONNECT, and records the targets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::background::Background;

/// A proxy on a port of 127.0.0.1. It connects to one address, whatever the target of a request. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    _background: Background,
}

impl ForwardProxy {
    /// Starts a proxy that connects to `server`.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let background = Background::start()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&targets);
        background.spawn(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connect(stream, server, Arc::clone(&recorded)));
            }
        });
        Ok(Self { address, targets, _background: background })
    }

    /// The value for HTTPS_PROXY.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requested hosts and ports, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.targets.lock().clone()
    }
}

async fn connect(stream: TcpStream, server: SocketAddr, targets: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut client = BufReader::new(stream);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    targets.lock().push(target);
    while line != "\r\n" && !line.is_empty() {
        line.clear();
        client.read_line(&mut line).await?;
    }
    let mut server = TcpStream::connect(server).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
