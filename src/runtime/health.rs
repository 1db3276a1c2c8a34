//! `/healthz` and `/readyz`.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::readiness::Readiness;

/// Serves both paths forever.
pub async fn serve(listener: TcpListener, readiness: Readiness) {
    let router =
        Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readyz)).with_state(readiness);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "Health server stopped");
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.waits_for() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {what}")),
    }
}
