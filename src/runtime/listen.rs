//! Binds the listen addresses.

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({flag}): {source}")]
pub struct ListenError {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

/// Binds the address from `flag`, so that an address in use is reported before anything starts.
pub async fn listen(address: SocketAddr, flag: &'static str, serving: &str) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, flag, source })?;
    // Logs the actual port, which the system chooses for port 0.
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "Serving {serving}");
    Ok(listener)
}
