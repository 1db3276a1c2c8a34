//! Serves HTTP to everybody on the pod network, within bounds that no client can exceed.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

/// How long a client may take to send the head of its request, and before that for the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last, with a client that reads its answer slowly.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of connections of one listener. Both listeners together leave at least half of 1,024 files, the
/// usual limit of a process, to the calls to the Kubernetes API and the service.
const CONNECTIONS: usize = 256;
/// How long a connection lasts at least, so that a flood of new ones does not close those of probes.
const MIN_TIME: Duration = Duration::from_millis(100);
/// The maximum size of the head of a request in bytes.
const HEAD_SIZE: usize = 16 * 1024;

/// Serves `router` forever.
pub async fn serve(listener: TcpListener, router: Router) {
    serve_on(listener, router, |stream| async { Some(stream) }).await;
}

/// Serves `router` over TLS forever, with what `acceptor` returns at each connection.
pub async fn serve_tls(listener: TcpListener, router: Router, acceptor: impl Fn() -> TlsAcceptor) {
    serve_on(listener, router, move |stream| {
        let handshake = timeout(HEAD_TIMEOUT, acceptor().accept(stream));
        async { handshake.await.ok()?.ok() }
    })
    .await;
}

/// Serves what `open` makes of each connection. A connection serves one request, so that none is ever idle.
async fn serve_on<S, F>(mut listener: TcpListener, router: Router, open: impl Fn(TcpStream) -> F)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_SIZE).keep_alive(false);
    let mut connections = Connections::default();
    loop {
        let (stream, _) = Listener::accept(&mut listener).await;
        let (opening, http, router) = (open(stream), http.clone(), router.clone());
        let connection = async move {
            let stream = opening.await?;
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await.ok()
        };
        let started = connections.start(async {
            // An error is the client's, and there is nobody to report it to.
            let _ = timeout(CONNECTION_TIMEOUT, connection).await;
        });
        started.await;
    }
}

/// The open connections of one listener. Dropping it closes them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<(Instant, AbortHandle)>,
}

impl Connections {
    /// Serves one more connection. At the bound, it closes the oldest one and not the new one: a request is answered in
    /// milliseconds, so an old connection is not a probe of the kubelet, and a new one may be. Each has [`MIN_TIME`] for
    /// that, and until then new ones wait.
    async fn start(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        self.forget_finished();
        if self.oldest_first.len() >= CONNECTIONS
            && let Some((since, _)) = self.oldest_first.front()
        {
            sleep_until(*since + MIN_TIME).await;
            self.forget_finished();
        }
        if self.oldest_first.len() >= CONNECTIONS
            && let Some((_, oldest)) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.oldest_first.push_back((Instant::now(), self.tasks.spawn(connection)));
    }

    fn forget_finished(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|(_, task)| !task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tls::Certificate;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    /// Connects to a server that answers `ok`.
    async fn connect<const N: usize>() -> [TcpStream; N] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Router::new().route("/", get(|| async { "ok" }))));
        let mut streams = Vec::new();
        for _ in 0..N {
            streams.push(TcpStream::connect(address).await.unwrap());
        }
        streams.try_into().unwrap()
    }

    /// Sends this text, and returns everything that the server sends until it closes the connection.
    async fn exchange(stream: &mut TcpStream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn oldest_connection_is_closed_at_the_bound_and_the_others_are_served() {
        let mut streams: [_; CONNECTIONS + 1] = connect().await;
        assert_eq!(streams[0].read(&mut [0]).await.unwrap(), 0);
        for stream in &mut streams[1..] {
            let answer = exchange(stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
        }
    }

    #[tokio::test]
    async fn connection_without_a_tls_handshake_is_closed_before_its_end() {
        let certificate = Certificate::new(None).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(serve_tls(listener, Router::new(), certificate.acceptor()));
        let started = Instant::now();
        assert_eq!(exchange(&mut stream, "").await, "");
        assert!(started.elapsed() < CONNECTION_TIMEOUT);
    }

    #[tokio::test]
    async fn long_head_is_refused() {
        let [mut stream] = connect().await;
        let answer = exchange(&mut stream, &format!("GET / HTTP/1.1\r\nLong: {}", "a".repeat(HEAD_SIZE))).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
