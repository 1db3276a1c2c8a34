//! A forward proxy, as HTTPS_PROXY names one: it takes CONNECT, and remembers for whom.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::background::Background;

/// A proxy on a port of 127.0.0.1. Wherever it is asked to connect to, it connects to one address. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _background: Background,
}

impl ForwardProxy {
    /// One that connects to `server`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let background = Background::start()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        background.spawn(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connect(stream, server, Arc::clone(&seen)));
            }
        });
        Ok(Self { address, asked, _background: background })
    }

    /// What HTTPS_PROXY is to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The hosts and ports that it was asked to connect to, in that order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

async fn connect(stream: TcpStream, server: SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut client = BufReader::new(stream);
    let mut line = String::new();
    client.read_line(&mut line).await?;
    let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    asked.lock().push(target);
    while line != "\r\n" && !line.is_empty() {
        line.clear();
        client.read_line(&mut line).await?;
    }
    let mut server = TcpStream::connect(server).await?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
