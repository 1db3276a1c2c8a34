//! Shutdown signals.

use tokio::signal::unix::{SignalKind, signal};

/// Completes at the first SIGTERM or SIGINT. After this call, neither terminates the process.
pub fn requested() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
