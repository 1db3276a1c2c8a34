//! What a process needs around its loops: health, leader election, logs, signals. It knows nothing of what the loops do.

pub mod health;
pub mod leader;
pub mod listen;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;

use std::error::Error;

/// What is behind an error in the end, in one line: what the libraries in between say is for those who wrote them.
pub fn cause(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
