//! The wish of the system, or of a person, that the process end.

use tokio::signal::unix::{SignalKind, signal};

/// Done at the first SIGTERM or SIGINT. From the call on, neither kills the process.
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
