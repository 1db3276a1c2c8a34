//! Serves HTTP to everybody on the pod network, within bounds that no client can exceed.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last, with a client that reads its answer slowly.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of connections of one listener. Both listeners together leave at least half of 1,024 files, the
/// usual limit of a process, to the calls to the Kubernetes API and the service.
const CONNECTIONS: usize = 256;
/// The maximum size of the head of a request in bytes.
const HEAD_SIZE: usize = 16 * 1024;

/// Serves `router` forever. Each connection serves one request, so that none is ever idle.
pub async fn serve(mut listener: TcpListener, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_SIZE).keep_alive(false);
    let mut connections = Connections::default();
    loop {
        let (stream, _) = Listener::accept(&mut listener).await;
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        connections.start(async move {
            // An error is the client's, and there is nobody to report it to.
            let _ = timeout(CONNECTION_TIMEOUT, connection).await;
        });
    }
}

/// The open connections of one listener. Dropping it closes them.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<AbortHandle>,
}

impl Connections {
    /// Serves one more connection. At the bound, it closes the oldest one and not the new one: a request is answered in
    /// milliseconds, so an old connection is not a probe of the kubelet, and a new one may be.
    fn start(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|task| !task.is_finished());
        if self.oldest_first.len() >= CONNECTIONS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            oldest.abort();
        }
        self.oldest_first.push_back(self.tasks.spawn(connection));
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

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
    async fn long_head_is_refused() {
        let [mut stream] = connect().await;
        let answer = exchange(&mut stream, &format!("GET / HTTP/1.1\r\nLong: {}", "a".repeat(HEAD_SIZE))).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
