//! A way to a server on this machine that can be cut, or fall silent.

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

/// How the way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All goes through.
    Open,
    /// Nothing goes through, and nobody is told: as when a cable is pulled, or a server hangs.
    Silent,
    /// Every connection is closed.
    Cut,
}

/// A listener on loopback that passes on what it gets. It has a thread of its own; dropping it ends that.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// One in front of the server at `target`.
    pub fn start(target: SocketAddr, way: Way) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (way, seen) = watch::channel(way);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    _ = accept(listener, target, seen) => {}
                }
            });
        })?;
        Ok(Self { address, way, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the way is like that, for the connections that there are, too.
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
            let mut cut = way.clone();
            tokio::select! {
                _ = cut.wait_for(|way| *way == Way::Cut) => {}
                _ = pass(client, target, way) => {}
            }
        });
    }
}

async fn pass(client: TcpStream, target: SocketAddr, mut way: watch::Receiver<Way>) -> io::Result<()> {
    opened(&mut way).await;
    let server = TcpStream::connect(target).await?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(copy(from_client, to_server, way.clone()), copy(from_server, to_client, way))?;
    Ok(())
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        opened(&mut way).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn opened(way: &mut watch::Receiver<Way>) {
    // An error means that the proxy is being dropped.
    let _ = way.wait_for(|way| *way == Way::Open).await;
}
