//! The addresses that are listened on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({flag}): {source}")]
pub struct ListenError {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

/// Takes the address that `flag` names, so that one that is taken already is said before anything starts.
pub async fn listen(address: SocketAddr, flag: &'static str, serving: &str) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, flag, source })?;
    // With the port that the system chose, where it was to choose one.
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "Serving {serving}");
    Ok(listener)
}
