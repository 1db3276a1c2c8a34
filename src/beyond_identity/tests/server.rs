//! A server that answers the nth request with the nth scripted reply. It checks each request against the API contract.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use harness::contract::{Request, contract};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The reaction to a request.
#[derive(Clone)]
pub enum Reply {
    /// Sends these bytes and closes the connection.
    Send(Vec<u8>),
    /// Sends these bytes and keeps the connection for the next request.
    Keep(Vec<u8>),
    /// Sends these bytes and then nothing.
    Hang(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Sends these bytes and then up to this many MiB of zeros.
    Flood(Vec<u8>, usize),
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    requests: Vec<String>,
    flooded: usize,
}

pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { replies: replies.into_iter().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// Every request so far, with headers and body.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }

    /// The contract violations of all requests to the API. Requests for a token go to another service.
    fn breaches(&self) -> Vec<String> {
        let breaches = self.requests().into_iter().flat_map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let (first, lines) = head.split_once("\r\n").unwrap();
            let (method, target) = first.trim_end_matches(" HTTP/1.1").split_once(' ').unwrap();
            let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
            let pairs = lines.split("\r\n").map(|line| line.split_once(": ").unwrap());
            let headers = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let body = body.as_bytes();
            if path.ends_with("/token") {
                return Vec::new();
            }
            contract().check_request(&Request { method, path, query, headers: &headers, body })
        });
        breaches.map(|breach| breach.to_string()).collect()
    }

    /// The number of bytes sent by `Flood`.
    pub fn flooded(&self) -> usize {
        self.state.lock().flooded
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.breaches(), Vec::<String>::new());
        }
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Some(request) = read_request(&mut stream).await {
        let reply = {
            let mut state = state.lock();
            state.requests.push(request);
            state.replies.pop_front()
        };
        match reply {
            None => return,
            Some(Reply::Send(bytes)) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Some(Reply::Keep(bytes)) => {
                let _ = stream.write_all(&bytes).await;
            }
            Some(Reply::Hang(bytes)) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            Some(Reply::Reset) => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Some(Reply::Flood(head, mebibytes)) => {
                let _ = stream.write_all(&head).await;
                let block = vec![b'0'; 1024 * 1024];
                for _ in 0..mebibytes {
                    if stream.write_all(&block).await.is_err() {
                        return;
                    }
                    state.lock().flooded += block.len();
                }
                return;
            }
        }
    }
}

/// A request, with a body of its Content-Length.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        let mut block = [0; 4096];
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&block[..read]),
        }
    }
}

/// A response with a body and its length.
pub fn answer(status: &str, body: &str) -> Vec<u8> {
    answer_with(status, "", body)
}

/// The same, with more header lines, each with its line end.
pub fn answer_with(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
