//! `/healthz` and `/readyz`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

/// What the process still waits for before it is ready.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Readiness {
    /// Not ready: waiting for `what`.
    pub fn waiting_for(what: impl Into<String>) -> Self {
        Self(Arc::new(Mutex::new(Some(what.into()))))
    }

    /// Nothing is waited for any more.
    pub fn ready(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is waited for, if anything.
    pub fn waits_for(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (--health-address): {source}")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Takes the address, so that one that is taken already is said before anything starts.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenError { address, source })?;
    // With the port that the system chose, where it was to choose one.
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "serving /healthz and /readyz");
    Ok(listener)
}

/// Serves the two paths for ever.
pub async fn serve(listener: TcpListener, readiness: Readiness) {
    let router =
        Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readyz)).with_state(readiness);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the health server ended: {error}");
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.waits_for() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {what}")),
    }
}
