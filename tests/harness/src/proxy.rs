//! A TCP proxy in front of a server on this machine. It can close connections, or stop forwarding.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    thread::JoinHandle,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{oneshot, watch},
};

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Forwards everything.
    Open,
    /// Forwards nothing, and keeps connections open: as if a cable were unplugged, or the server hung.
    Silent,
    /// Closes every connection.
    Cut,
}

/// A proxy that listens on loopback, with its own thread. Dropping it ends the thread.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `target`.
    pub fn start(target: SocketAddr, way: Way) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (way, receiver) = watch::channel(way);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, target, receiver) => {}
                }
            });
        })?;
        Ok(Self { address, way, stop: Some(stop), thread: Some(thread) })
    }

    /// The address of the proxy.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the behaviour, also for existing connections.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, target: SocketAddr, way: watch::Receiver<Way>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let way = way.clone();
        tokio::spawn(async move {
            let mut watched = way.clone();
            tokio::select! {
                _ = watched.wait_for(|way| *way == Way::Cut) => {}
                _ = forward(client, target, way) => {}
            }
        });
    }
}

async fn forward(client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) -> io::Result<()> {
    wait_until_open(&mut way).await;
    let server = TcpStream::connect(target).await?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(copy(from_client, to_server, way.clone()), copy(from_server, to_client, way))?;
    Ok(())
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        wait_until_open(&mut way).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn wait_until_open(way: &mut watch::Receiver<Way>) {
    // An error means that the proxy is dropped.
    let _ = way.wait_for(|way| *way == Way::Open).await;
}
